"""A dead letter of a decode role: what could not be read, whole, with the reason."""

from schemas.errors import Poison
from schemas.ops import DeadLettered
from schemas.role import Output, Record
from schemas.topics import DEAD_LETTERS


def dead_letter(role: str, record: Record, payload: str, error: Poison) -> Output:
    """Return the dead letter of a raw record."""
    origin = f"{record.topic}/{record.partition}/{record.offset}"
    letter = DeadLettered(
        ts_event=record.value.ts_event,
        ts_ingest=record.value.ts_ingest,
        origin=origin,
        role=role,
        error=type(error).__name__,
        reason=str(error),
        attempt=1,
        payload=payload.encode(),
    )
    return Output(DEAD_LETTERS, origin, letter)

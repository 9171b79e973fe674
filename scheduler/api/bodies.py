"""What a request may say: every field bounded, nothing unknown, instants of a calendar we know."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic import WithJsonSchema as Shown

from scheduler.api.keys import DAYS_MAX, NAME
from scheduler.api.roles import SCOPES_MAX
from schemas.krx import calendar
from schemas.krx.sessions import kst_midnight
from schemas.units import HOUR, KST_OFFSET, Micros

BODY_BYTES_MAX: Final = 16_384
REASON_MAX: Final = 500
URL_MAX: Final = 2_000
PLAIN: Final = r"^[^\x00-\x1f\x7f]+$"
"""No control character: a reason stands in logs and on screens."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KOREA: Final = timezone(timedelta(hours=KST_OFFSET // HOUR))


def instant(text: object) -> Micros:
    """Read ``yyyy-mm-ddThh:mm``, in Korea unless it names its own offset.

    Raises:
        ValueError: It is no instant, or on a day that the calendar does not know.
    """
    told = ascii(text)[:60]
    try:
        read = datetime.fromisoformat(text if isinstance(text, str) else "")
    except ValueError as error:
        raise ValueError(f"expected an instant as yyyy-mm-ddThh:mm, was {told}") from error
    aware = read if read.tzinfo is not None else read.replace(tzinfo=_KOREA)
    at = Micros((aware - _EPOCH) // timedelta(microseconds=1))
    if not kst_midnight(calendar.FIRST) <= at < kst_midnight(calendar.END):
        raise ValueError(f"expected an instant in {calendar.FIRST} .. {calendar.END}, was {told}")
    return at


Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=REASON_MAX, pattern=PLAIN),
    Field(description="Why; it stands on record."),
]
Callback = Annotated[
    str,
    StringConstraints(min_length=1, max_length=URL_MAX, pattern=PLAIN),
    Field(description="Called once with the end of the fire; under a prefix that is allowed."),
]


class Act(BaseModel):
    """Pause, resume, release or cancel."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Reason


class Run(Act):
    """Run a job now, beside the timetable."""

    callback: Callback | None = None


class Backfill(Run):
    """Run a past slot once more."""

    slot: Annotated[
        Micros,
        BeforeValidator(instant),
        Shown({
            "type": "string",
            "examples": ["2026-02-10T09:00"],
            "description": "A past slot, in Korea unless it names its own offset.",
        }),
    ]  # fmt: skip


class NewKey(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(pattern=NAME)]
    role: Annotated[str, StringConstraints(max_length=20)]
    scopes: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=80)], ...], Field(max_length=SCOPES_MAX)
    ] = ()
    days: Annotated[int, Field(ge=1, le=DAYS_MAX)] = 90

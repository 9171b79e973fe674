"""The end of a log, read from its end."""

from pathlib import Path

BYTES_PER_LINE_MAX = 2_000


def tail(log: Path, lines: int) -> str:
    """Return a log's last lines, or a word on its absence."""
    if not log.exists():
        return f"(no log yet at {log})"
    with log.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - lines * BYTES_PER_LINE_MAX))
        text = file.read().decode("utf-8", errors="replace")
    return "\n".join(text.splitlines()[-lines:])

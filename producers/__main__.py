"""Load a session's daily data and filings, once: ``python -m producers``."""

import sys

from infra.host import configure_logs, die_with_parent, make_context
from infra.settings import Settings
from producers.dart import service as dart
from producers.krx import service as krx


def main() -> int:
    """Read the settings, publish, end."""
    die_with_parent()
    settings = Settings()
    configure_logs(settings.log_level)
    context = make_context(settings)
    days, filings = krx.publish(context), dart.publish(context)
    context.log.info("loaded", raw_krx=days, raw_dart=filings)
    return 0


if __name__ == "__main__":
    sys.exit(main())

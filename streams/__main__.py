"""Run a Faust worker group: ``python -m streams market``."""

import sys

from infra.host import (
    configure_logs,
    die_with_parent,
    make_context,
    serve_metrics,
    tune_interpreter,
)
from infra.settings import Settings
from streams import worker


def main() -> int:
    """Read the settings, build, run."""
    die_with_parent()
    tune_interpreter()
    settings = Settings()
    configure_logs(settings.log_level)
    context = make_context(settings)
    serve_metrics(context)
    return worker.run(context, sys.argv[1] if len(sys.argv) > 1 else "market")


if __name__ == "__main__":
    sys.exit(main())

"""A process that runs the inference service, to be killed by a test."""

import sys

from consumers.inference import service
from infra.host import configure_logs, die_with_parent, make_context
from infra.settings import Settings
from infra.topology import Topology


def main() -> int:
    """Run until killed."""
    die_with_parent()
    configure_logs("INFO")
    context = make_context(Settings())
    context.topology = Topology((), ())
    service.run(context)
    return 0


if __name__ == "__main__":
    sys.exit(main())

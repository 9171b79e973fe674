"""Run a simulated brokerage: ``python -m infra.exchange --data DIR --date DAY --journal FILE``."""

import sys

from infra.exchange.options import parse
from infra.exchange.server import run
from infra.settings import Settings
from schemas.errors import Misconfigured


def main() -> int:
    """Read the options, play the day."""
    try:
        return run(parse(sys.argv[1:], Settings()))
    except Misconfigured as error:
        print(error, file=sys.stderr)  # noqa: T201 -- the reason it does not start
        return 2


if __name__ == "__main__":
    sys.exit(main())

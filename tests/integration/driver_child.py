"""A process that runs one conformance role by one driver, to be killed by a test."""

import sys

from infra import faust_driver, kafka_loop
from infra.host import configure_logs, die_with_parent, make_context
from infra.settings import Settings
from infra.topology import Topology
from schemas.conformance import LEAGUE, TALLY
from schemas.role import Role
from schemas.topics import BOOKS, TRADES


def feed() -> Role:
    """Name the source of the test's trades and books."""
    fields = {name: getattr(TALLY, name) for name in TALLY.__slots__}
    return Role(
        **{
            **fields,
            "name": "feed",
            "scope": "universe",
            "inputs": (),
            "outputs": (TRADES, BOOKS),
        }
    )


def main(kind: str) -> int:
    """Run until killed."""
    die_with_parent()
    configure_logs("INFO")
    settings = Settings()
    context = make_context(settings)
    count = settings.symbol_partitions or 4
    context.topology = Topology((feed(), TALLY, LEAGUE), (), count)
    if kind == "faust":
        return faust_driver.run(faust_driver.make_app(context, "test", (TALLY,), {}))
    if kind == "loop-key":
        kafka_loop.run_role(context, TALLY)
    else:
        kafka_loop.run_role(context, LEAGUE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

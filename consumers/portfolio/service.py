"""The shell: run the role by the Kafka loop."""

from consumers.portfolio.role import ROLE
from infra.host import Context
from infra.kafka_loop import run_role


def run(context: Context) -> None:
    """Run until told to stop."""
    run_role(context, ROLE)

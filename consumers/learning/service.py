"""The learning service: ``learning.weights`` on the Kafka loop."""

from consumers.learning.weights import ROLE
from infra.host import Context
from infra.kafka_loop import run_role


def run(context: Context) -> None:
    """Teach after each close until ``context.stopping`` is set."""
    run_role(context, ROLE)

"""The universe roles as services of the Kafka loop, one fenced instance each."""

from infra.host import Context
from infra.kafka_loop import run_role
from streams import final, quant, screener, snapshots


def screen(context: Context) -> None:
    """Run the screener."""
    run_role(context, screener.ROLE)


def score_quant(context: Context) -> None:
    """Run the factor model."""
    run_role(context, quant.ROLE)


def take_snapshots(context: Context) -> None:
    """Run the role that gathers what a model sees."""
    run_role(context, snapshots.ROLE)


def score_final(context: Context) -> None:
    """Run the role that mixes quant and AI."""
    run_role(context, final.ROLE)

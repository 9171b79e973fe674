"""The service ``krx``: a session's daily data from ``AEGIS_DATA_DIR`` to ``raw.krx``, once."""

from typing import Final

from infra.clock import wall_now
from infra.host import Context
from infra.publish import Publisher
from producers.krx import day
from schemas.errors import Misconfigured
from schemas.krx.sessions import kst_date
from schemas.topics import RAW_KRX

NAME: Final = "producers.krx"
FLUSH_S_MAX: Final = 60.0


def run(context: Context) -> None:
    """Publish the session's data, then wait to be stopped."""
    count = publish(context)
    context.log.info("krx_day_published", records=count)
    context.stopping.wait()


def publish(context: Context) -> int:
    """Publish the data of ``AEGIS_SESSION_DATE``, else of the clock's day; return the records.

    Raises:
        Misconfigured: No folder is set, or it does not have what is needed.
    """
    settings = context.settings
    if settings.data_dir is None:
        raise Misconfigured(
            "AEGIS_DATA_DIR: expected a folder of Parquet, was nothing; "
            "name one, or let `aegis demo` make a synthetic one"
        )
    session = settings.session_date or kst_date(context.clock.now())
    publisher = Publisher(
        context.connection,
        context.serde,
        client=NAME,
        symbol_partitions=context.topology.symbol_partitions,
    )
    for record in day.collect(settings.data_dir, session, wall_now()):
        publisher.send(RAW_KRX, record.source, record)
        publisher.poll()
    publisher.flush(FLUSH_S_MAX)
    return publisher.sent

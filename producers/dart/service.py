"""The service ``dart``: filings of the days before the session, from ``AEGIS_DATA_DIR``, once."""

from typing import Final

from infra.clock import wall_now
from infra.host import Context
from infra.publish import Publisher
from producers.dart import pages
from schemas.topics import RAW_DART

NAME: Final = "producers.dart"
FLUSH_S_MAX: Final = 60.0


def run(context: Context) -> None:
    """Publish the pages, then wait to be stopped."""
    count = publish(context)
    context.log.info("dart_pages_published", records=count)
    context.stopping.wait()


def publish(context: Context) -> int:
    """Publish the pages that were known before the session; return how many."""
    settings = context.settings
    if settings.data_dir is None:
        return 0
    publisher = Publisher(
        context.connection,
        context.serde,
        client=NAME,
        symbol_partitions=context.topology.symbol_partitions,
    )
    for record in pages.collect(settings.data_dir, settings.session_date, wall_now()):
        publisher.send(RAW_DART, record.source, record)
        publisher.poll()
    publisher.flush(FLUSH_S_MAX)
    return publisher.sent

"""The control interface as a service: it listens on one address until it is told to stop."""

import socket
import threading
from typing import Final

import structlog
import uvicorn

from infra.host import Context
from infra.settings import Api
from scheduler import timetable
from scheduler.api import app
from scheduler.api.callbacks import Courier
from scheduler.api.desk import Desk
from scheduler.timetable import Timetable
from schemas.errors import Fatal, Misconfigured

CONNECTIONS_MAX: Final = 64
BACKLOG_MAX: Final = 128
KEEP_ALIVE_S: Final = 5
LOOK_S: Final = 0.1
STOP_S_MAX: Final = 5


def run(context: Context) -> None:
    """Answer until told to stop; entry point ``aegis.services: api``.

    Raises:
        Misconfigured: The address is taken.
        Fatal: The server, or what tells callbacks, ended by itself.
    """
    settings = context.settings.api
    listening = _listen(settings)
    desk = Desk(context.connection, context.serde, _timetable(context), context.settings)
    try:
        desk.database.prepare()
        courier = Courier(desk.database, desk.log.ends_of, settings.callback_s)
        telling = threading.Thread(target=courier.run, args=(context.stopping,), name="callbacks")
        telling.start()
        try:
            _serve(context, desk, listening, telling)
        finally:
            context.stopping.set()
            telling.join()
    finally:
        listening.close()
        desk.close()


def _serve(
    context: Context, desk: Desk, listening: socket.socket, telling: threading.Thread
) -> None:
    server = uvicorn.Server(
        uvicorn.Config(
            app.make(desk),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,  # who knocks is who connects, whatever a header says
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_S_MAX,
        )
    )
    serving = threading.Thread(target=server.run, args=([listening],), name="http", daemon=True)
    serving.start()
    host, port = listening.getsockname()[:2]
    structlog.get_logger("api").info("listening", host=host, port=port)
    both = (serving, telling)
    while all(each.is_alive() for each in both) and not context.stopping.wait(LOOK_S):
        pass
    ended = [each.name for each in both if not each.is_alive() and not context.stopping.is_set()]
    server.should_exit = True
    serving.join(2 * STOP_S_MAX)
    if ended:
        raise Fatal(f"api: expected its threads to go on, was the end of {ended}; see its log")


def _listen(settings: Api) -> socket.socket:
    try:
        found = socket.create_server((settings.host, settings.port), backlog=BACKLOG_MAX)
    except OSError as error:
        raise Misconfigured(
            f"AEGIS_API__HOST, AEGIS_API__PORT: expected a free address, was {settings.host}:"
            f"{settings.port}: {error.strerror}"
        ) from error
    # connections inherit it; asyncio forgets it for sockets made so, which costs 40 ms a call
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def _timetable(context: Context) -> Timetable:
    path = context.settings.scheduler.timetable
    if path is None:
        return timetable.default()
    try:
        return timetable.load(path.read_text("utf-8"))
    except OSError as error:
        raise Misconfigured(
            f"AEGIS_SCHEDULER__TIMETABLE: expected a readable file, was {path}: {error.strerror}"
        ) from error

"""What a simulated brokerage is told when it starts."""

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from infra.settings import Settings

DEFAULT_CASH = 1_000_000_000


class Options(NamedTuple):
    """One day of the simulated brokerage.

    Attributes:
        data: Folder with the day's bars.
        date: The session to play.
        seed: Of paths, flow, faults and keys.
        journal: The exchange's own book.
        pacing: Roles that time waits for.
        speed: Market seconds per wall second at most; 0 is no ceiling.
        begin, end: HH:MM KST, where market time starts and ends.
        cash: Won at the opening.
        holdings: Names held at the opening: a number, or ``SYMBOL:QTY:COST,...``.
        faults: ``reject=0.01,late=0.01,lost=0.01``; empty is none.
        trades_s, books_s: Prints and books per second and streamed name.
        environment: real or mock.
        grace_s: Wall seconds the doors stay open after the end.
    """

    data: Path
    date: date
    seed: int
    journal: Path
    pacing: tuple[str, ...]
    speed: float
    begin: str
    end: str
    cash: int
    holdings: str
    faults: str
    trades_s: float
    books_s: float
    environment: str
    grace_s: float
    app_key: str
    app_secret: str
    account: str
    hts_id: str


def parse(argv: Sequence[str], settings: Settings) -> Options:
    """Read a command line; the app key, its secret and the account come from the settings."""
    say = argparse.ArgumentParser(prog="python -m infra.exchange", description=__doc__)
    say.add_argument("--data", type=Path, required=True, help="folder with krx_daily/*.parquet")
    say.add_argument("--date", type=date.fromisoformat, required=True, help="session to play")
    say.add_argument("--seed", type=int, default=1)
    say.add_argument("--journal", type=Path, required=True, help="the exchange's own book")
    say.add_argument("--pacing", default="", help="roles that time waits for: kis,features")
    say.add_argument("--speed", type=float, default=0.0, help="ceiling; 0 is none")
    say.add_argument("--begin", default="07:50", help="HH:MM KST")
    say.add_argument("--end", default="18:10", help="HH:MM KST")
    say.add_argument("--cash", type=int, default=DEFAULT_CASH)
    say.add_argument(
        "--holdings", default="8", help="how many, 20@2 (percent each), or SYMBOL:QTY:COST,..."
    )
    say.add_argument("--faults", default="", help="reject=0.01,late=0.01,lost=0.01")
    say.add_argument("--trades-s", type=float, default=0.3)
    say.add_argument("--books-s", type=float, default=0.4)
    say.add_argument("--environment", choices=("real", "mock"), default="real")
    say.add_argument("--grace-s", type=float, default=60.0)
    given = vars(say.parse_args(argv))
    kis = settings.kis
    given["pacing"] = tuple(filter(None, given["pacing"].split(",")))
    return Options(
        **given,
        app_key=kis.app_key.get_secret_value() if kis.app_key else "simulated-key",
        app_secret=kis.app_secret.get_secret_value() if kis.app_secret else "simulated-secret",
        account=kis.account.get_secret_value() if kis.account else "5019920201",
        hts_id=kis.hts_id,
    )

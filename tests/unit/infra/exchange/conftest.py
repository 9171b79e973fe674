"""A small seeded market, its paths, and a venue with one account on it."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from infra.exchange.account import Account, Holding
from infra.exchange.day import DayMarket, load_day
from infra.exchange.flow import Rates
from infra.exchange.journal import Journal
from infra.exchange.path import Ladder, build
from infra.exchange.synthetic import write_market
from infra.exchange.venue import Venue
from schemas.units import Micros

DAY = date(2026, 2, 10)
REAL = Path(__file__).parents[5] / "shared" / "data"

MakeVenue = Callable[..., Venue]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a seeded market of 150 names."""
    made = tmp_path_factory.mktemp("synthetic")
    write_market(made, seed=3, names=150, sessions=20, day=DAY)
    return made


@pytest.fixture(scope="session")
def market(folder: Path) -> DayMarket:
    """Return its day."""
    return load_day(folder, DAY)


@pytest.fixture(scope="session")
def ladder(market: DayMarket) -> Ladder:
    """Return its paths."""
    return build(market, seed=11)


@pytest.fixture(scope="session")
def real_market() -> DayMarket:
    """Return 2026-02-10 as it was; skips without the data."""
    if not REAL.exists():
        pytest.skip("needs ../shared/data")
    return load_day(REAL, DAY)


@pytest.fixture
def make_venue(ladder: Ladder, tmp_path: Path) -> Iterator[MakeVenue]:
    """Return a maker of venues; ``at`` is market time, ``holdings`` shares by symbol."""
    journals: list[Journal] = []

    def make(at: Micros, holdings: dict[str, int] | None = None, cash: int = 10**9) -> Venue:
        held = {symbol: Holding(qty, 0) for symbol, qty in (holdings or {}).items()}
        journal = Journal(tmp_path / "exchange.jsonl")
        journals.append(journal)
        lines = {symbol: (h.qty, h.cost) for symbol, h in held.items()}
        journal.write("opened", at, cash=cash, holdings=lines)
        return Venue(
            ladder=ladder,
            account=Account("5019920201", DAY, cash, held),
            journal=journal,
            rates=Rates(),
            hts_id="aegis",
            now=at,
        )

    yield make
    for journal in journals:
        journal.close()

"""The catalogue: every topic, named once.

A topic has one record type; its ``.avsc`` in ``schemas/avro`` is the source of truth and its
subject is ``<topic>-value``, without namespace.  Keys are plain UTF-8 strings and never change.
"""

from dataclasses import dataclass
from typing import Final, Literal

from schemas import (
    control,
    features,
    learning,
    market,
    ops,
    orders,
    portfolio,
    quality,
    raw,
    scores,
    signals,
    state,
)

SYMBOL_PARTITIONS: Final = 4
"""Symbol topics are joined, so they all have the same number of partitions (per namespace)."""

RECORD_BYTES_MAX: Final = 1_000_000
"""Kafka's default is 1,048,588 bytes; a larger value is a design error, not a setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic of the catalogue.

    Attributes:
        name: Without namespace, lower case, dots between levels, hyphens within.
        record: The event class it carries.
        key: What its keys are, in words.
        owner: The room that writes it.
        spread: ``symbol`` (partitions by symbol) or ``one`` (a single partition).
        policy: Kafka's cleanup policy.
        paced: Watermarks travel on it: decisions wait for them.
        self_timed: Its key is its source and its records advance that source's time.
        transactional: Written in transactions: read it ``read_committed``.
    """

    name: str
    record: type
    key: str
    owner: str
    spread: Literal["symbol", "one"] = "one"
    policy: Literal["delete", "compact"] = "delete"
    paced: bool = False
    self_timed: bool = False
    transactional: bool = True

    @property
    def schema_name(self) -> str:
        """The file in ``schemas/avro`` without suffix: its own name, ``state`` for saved states."""
        return "state" if self.name.startswith("state.") else self.name


RAW_KIS: Final = Topic(
    name="raw.kis", record=raw.RawFrame, key="connection", owner="producers",
    paced=True, self_timed=True, transactional=False,
)  # fmt: skip
RAW_DART: Final = Topic(
    name="raw.dart", record=raw.RawFiling, key="source", owner="producers", transactional=False
)
RAW_KRX: Final = Topic(
    name="raw.krx", record=raw.RawDaily, key="source", owner="producers", transactional=False
)
TRADES: Final = Topic(
    name="market.trades", record=market.Trade, key="symbol", owner="streams",
    spread="symbol", paced=True, transactional=False,
)  # fmt: skip
BOOKS: Final = Topic(
    name="market.books", record=market.Book, key="symbol", owner="streams",
    spread="symbol", paced=True, transactional=False,
)  # fmt: skip
STATUS: Final = Topic(
    name="market.status", record=market.MarketStatus, key="symbol", owner="streams",
    spread="symbol", paced=True, transactional=False,
)  # fmt: skip
BARS: Final = Topic(
    name="market.bars-1d", record=market.DailyBars, key="symbol", owner="streams",
    spread="symbol", transactional=False,
)  # fmt: skip
INSTRUMENTS: Final = Topic(
    name="market.instruments", record=market.Instrument, key="symbol", owner="streams",
    spread="symbol", policy="compact", transactional=False,
)  # fmt: skip
FUNDAMENTALS: Final = Topic(
    name="market.fundamentals", record=market.Fundamentals, key="symbol", owner="streams",
    spread="symbol", transactional=False,
)  # fmt: skip
INDICES: Final = Topic(
    name="market.indices", record=market.IndexBars, key="index", owner="streams",
    transactional=False,
)  # fmt: skip
DISCLOSURES: Final = Topic(
    name="market.disclosures", record=market.Disclosure, key="symbol", owner="streams",
    spread="symbol", transactional=False,
)  # fmt: skip
QUALITY: Final = Topic(
    name="quality.events", record=quality.QualityEvent, key="symbol or source", owner="streams",
    spread="symbol", transactional=False,
)  # fmt: skip
WINDOWS: Final = Topic(
    name="features.windows", record=features.Window, key="symbol", owner="streams",
    spread="symbol", paced=True, transactional=False,
)  # fmt: skip
MOVES: Final = Topic(
    name="features.moves", record=features.Move, key="symbol", owner="streams",
    spread="symbol", transactional=False,
)  # fmt: skip
SNAPSHOTS: Final = Topic(
    name="features.snapshots", record=features.FeatureSnapshot, key="model", owner="streams"
)
SCREEN: Final = Topic(
    name="scores.screen", record=scores.Screened, key="universe", owner="streams", paced=True
)
QUANT: Final = Topic(
    name="scores.quant", record=scores.QuantScored, key="universe", owner="streams", paced=True
)
AI: Final = Topic(name="scores.ai", record=scores.AiScored, key="universe", owner="consumers")
FINAL: Final = Topic(
    name="scores.final", record=scores.FinalScored, key="universe", owner="streams", paced=True
)
SIGNALS: Final = Topic(
    name="signals", record=signals.Signal, key="symbol", owner="streams",
    spread="symbol", transactional=False,
)  # fmt: skip
NOTICES: Final = Topic(
    name="brokerage.notices", record=orders.NoticeReceived, key="account", owner="producers",
    transactional=False,
)  # fmt: skip
ORDERS: Final = Topic(
    name="orders.events", record=orders.OrderEvent, key="account", owner="consumers"
)
REPORTS: Final = Topic(
    name="orders.reports", record=orders.OrderReport, key="account", owner="consumers"
)
POSITIONS: Final = Topic(
    name="portfolio.positions", record=portfolio.PortfolioStated, key="account",
    owner="consumers", policy="compact",
)  # fmt: skip
PERFORMANCE: Final = Topic(
    name="portfolio.performance", record=portfolio.PerformanceStated, key="account",
    owner="consumers",
)  # fmt: skip
WEIGHTS: Final = Topic(
    name="learning.weights", record=learning.WeightsLearned, key="regime", owner="consumers"
)
MODELS: Final = Topic(
    name="learning.models", record=learning.ModelDeployed, key="model", owner="consumers",
    policy="compact", transactional=False,
)  # fmt: skip
LEADER: Final = Topic(
    name="control.leader", record=control.LeadershipHeld, key="shard", owner="scheduler",
    policy="compact",
)  # fmt: skip
SCHEDULE: Final = Topic(
    name="control.schedule", record=control.ScheduleDecided, key="job", owner="scheduler"
)
TRIGGERS: Final = Topic(
    name="control.triggers", record=control.JobTriggered, key="job", owner="scheduler", paced=True
)
RUNS: Final = Topic(
    name="control.runs", record=control.RunReported, key="job", owner="everybody",
    transactional=False,
)  # fmt: skip
COMMANDS: Final = Topic(
    name="control.commands", record=control.CommandGiven, key="subject", owner="operators",
    transactional=False,
)  # fmt: skip
MODE: Final = Topic(
    name="ops.mode", record=ops.ModeChanged, key="service", owner="everybody", transactional=False
)
ALERTS: Final = Topic(
    name="ops.alerts", record=ops.AlertRaised, key="service", owner="everybody",
    transactional=False,
)  # fmt: skip
AUDIT: Final = Topic(
    name="ops.audit", record=ops.ActAudited, key="service", owner="everybody", transactional=False
)
DEAD_LETTERS: Final = Topic(
    name="dead-letters", record=ops.DeadLettered, key="origin", owner="everybody",
    transactional=False,
)  # fmt: skip


def state_topic(role: str) -> Topic:
    """The compacted topic that holds the saved states of ``role``."""
    return Topic(
        name=f"state.{role}", record=state.StateSaved, key="instance and digest", owner="drivers",
        policy="compact",
    )  # fmt: skip


SCHEDULER_STATE: Final = state_topic("scheduler")

CATALOGUE: Final[tuple[Topic, ...]] = (
    RAW_KIS, RAW_DART, RAW_KRX, TRADES, BOOKS, STATUS, BARS, INSTRUMENTS, FUNDAMENTALS, INDICES,
    DISCLOSURES, QUALITY, WINDOWS, MOVES, SNAPSHOTS, SCREEN, QUANT, AI, FINAL, SIGNALS, NOTICES,
    ORDERS, REPORTS, POSITIONS, PERFORMANCE, WEIGHTS, MODELS, LEADER, SCHEDULE, TRIGGERS, RUNS,
    COMMANDS, MODE, ALERTS, AUDIT, DEAD_LETTERS,
)  # fmt: skip
"""Every topic but the saved states, in the order of an event's way."""

BY_NAME: Final = {topic.name: topic for topic in CATALOGUE}

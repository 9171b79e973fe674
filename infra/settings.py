"""Settings: read once, in an entry point, and handed down.

Every setting is an environment variable with the prefix ``AEGIS_``; nested ones use ``__``
(``AEGIS_KAFKA__BOOTSTRAP``).  A part that is not set belongs to the local stack, which fills
it in from ``var/stack/stack.json`` while it runs.
"""

from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Kafka(BaseModel):
    """Where Kafka is and how to log in.

    Attributes:
        linger_ms: How long a producer gathers records that nobody waits for.
    """

    bootstrap: str | None = None
    linger_ms: int = Field(default=5, ge=0, le=1_000)
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    sasl_mechanism: str = "SCRAM-SHA-512"
    security_protocol: str | None = None
    ssl_ca_location: Path | None = None


class Registry(BaseModel):
    """The schema registry (Confluent REST API)."""

    url: str | None = None


class Postgres(BaseModel):
    """The database."""

    dsn: SecretStr | None = None


class Redis(BaseModel):
    """The cache."""

    url: str | None = None


class Stack(BaseModel):
    """The local stack: which ports (unset: any free one, remembered), how long to wait.

    Attributes:
        maven_url: A Maven repository to fetch its artifacts from; unset: jgo's default.
        ready_s_max: Seconds that one service may take until it answers.
    """

    kafka_port: int | None = Field(default=None, gt=0, lt=65_536)
    registry_port: int | None = Field(default=None, gt=0, lt=65_536)
    postgres_port: int | None = Field(default=None, gt=0, lt=65_536)
    redis_port: int | None = Field(default=None, gt=0, lt=65_536)
    maven_url: str | None = None
    ready_s_max: float = Field(default=90.0, gt=0)


class Kis(BaseModel):
    """The brokerage: Korea Investment & Securities, or the simulated exchange."""

    rest_url: str | None = None
    ws_url: str | None = None
    app_key: SecretStr | None = None
    app_secret: SecretStr | None = None
    account: SecretStr | None = None
    hts_id: str = "aegis"


class Dart(BaseModel):
    """OpenDART."""

    key: SecretStr | None = None


class Scheduler(BaseModel):
    """An instance of the scheduler.

    Attributes:
        node: Its name among the instances; unset: the host's. One that comes back under the name
            of the last leader takes over at once.
        lease_s: Wall seconds of silence after which another instance takes over.
        timetable: A TOML file in place of the timetable that ships with the scheduler.
        snapshot_every: Records after which the leader saves its state.
        watch_tape: A session without a trade a minute after its open is closed for orders; unset:
            in the namespace ``live``.
    """

    node: str | None = None
    lease_s: float = Field(default=1.5, ge=0.2, le=60)
    timetable: Path | None = None
    snapshot_every: int = Field(default=5_000, ge=1)
    watch_tape: bool | None = None


class Jobs(BaseModel):
    """A worker that runs jobs.

    Attributes:
        worker: Its name, never given to two that live at once; unset: host name and process id.
        slots: How many attempts it runs at once.
        silent_s: Wall seconds of silence after which another worker takes an attempt over; the
            same for all workers.  A worker is heard five times as often.
        allow: Distributions whose handlers may run, beside our own.
        commands: First words that a ``command:`` target may have.
        urls: Where the url of an ``http:`` target may begin.
        environment: Job to the environment variables that its process is given of the worker's.
        cpu_s: CPU seconds of a job's process.
        memory_mib: Address space of a job's process.
        open_files: Files that a job's process may hold open.
        file_mib: Size of a file that a job's process writes, its output among them.
        http_s: Seconds that an ``http:`` target may take to answer.
    """

    worker: str | None = Field(default=None, min_length=1, max_length=200)
    slots: int = Field(default=4, ge=1, le=100)
    silent_s: float = Field(default=10.0, ge=0.5, le=600)
    allow: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    environment: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    cpu_s: int = Field(default=600, ge=1)
    memory_mib: int = Field(default=8_192, ge=256)
    open_files: int = Field(default=256, ge=32)
    file_mib: int = Field(default=1_024, ge=1)
    http_s: float = Field(default=30.0, gt=0, le=3_600)


class Api(BaseModel):
    """The scheduler's control interface over HTTP.

    Attributes:
        host: Where it listens; loopback, unless something in front of it speaks TLS.
        port: Where it listens.
        callbacks: Where the url that is told of a fire's end may begin.
        callback_s: Seconds that such a url may take to answer.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8780, gt=0, lt=65_536)
    callbacks: tuple[str, ...] = ()
    callback_s: float = Field(default=3.0, gt=0, le=60)


class Alerts(BaseModel):
    """Who is told of alerts; an empty address is no channel.  See ``consumers.alerts.channels``.

    Attributes:
        email: Address, or an apprise URL.
        slack: Address of an incoming webhook, or an apprise URL.
        sms: Number with + and country code, or an apprise URL.
        pagerduty: Integration key (Events API v2), or an apprise URL.
        email_least: The severity it begins at; so for the others.
        smtp: Relay of a plain ``email``, host:port, without login.
        sender: What such mail is from.
        slack_channel: Where a plain ``slack`` webhook is to write.
        sms_gateway: Address that takes a plain ``sms``.
        pagerduty_url: Address that takes a plain ``pagerduty``.
        tries: How often a channel is asked until an alert is given up.
        retry_s: Wall seconds before the second try; doubled for each further one.
        send_s: Seconds that a channel may take to answer.
    """

    email: SecretStr = SecretStr("")
    slack: SecretStr = SecretStr("")
    sms: SecretStr = SecretStr("")
    pagerduty: SecretStr = SecretStr("")
    email_least: Literal["info", "warning", "urgent"] = "info"
    slack_least: Literal["info", "warning", "urgent"] = "info"
    sms_least: Literal["info", "warning", "urgent"] = "warning"
    pagerduty_least: Literal["info", "warning", "urgent"] = "urgent"
    smtp: str = "127.0.0.1:25"
    sender: str = "aegis@localhost"
    slack_channel: str = "#system-alerts"
    sms_gateway: SecretStr = SecretStr("")
    pagerduty_url: str = "https://events.pagerduty.com/v2/enqueue"
    tries: int = Field(default=6, ge=1, le=20)
    retry_s: float = Field(default=2.0, gt=0, le=60)
    send_s: float = Field(default=5.0, gt=0, le=60)


class Settings(BaseSettings):
    """Everything a service may be told."""

    model_config = SettingsConfigDict(
        env_prefix="AEGIS_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    kafka: Kafka = Field(default_factory=Kafka)
    registry: Registry = Field(default_factory=Registry)
    postgres: Postgres = Field(default_factory=Postgres)
    redis: Redis = Field(default_factory=Redis)
    stack: Stack = Field(default_factory=Stack)
    kis: Kis = Field(default_factory=Kis)
    dart: Dart = Field(default_factory=Dart)
    scheduler: Scheduler = Field(default_factory=Scheduler)
    jobs: Jobs = Field(default_factory=Jobs)
    api: Api = Field(default_factory=Api)
    alerts: Alerts = Field(default_factory=Alerts)
    namespace: str = "live"
    clock: Literal["wall", "exchange"] = "wall"
    clock_url: str | None = None
    raw_sources: tuple[str, ...] = ("kis.ws.0", "kis.poll")
    symbol_partitions: int | None = None
    metrics_port: int | None = None
    data_dir: Path | None = None
    session_date: date | None = None
    var_dir: Path = Path("var")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"

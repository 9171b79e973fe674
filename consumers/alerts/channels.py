"""The channels: a setting in its natural form or an apprise URL, and what others install.

    AEGIS_ALERTS__EMAIL       address; the mail goes through AEGIS_ALERTS__SMTP, without login
    AEGIS_ALERTS__SLACK       http(s) address of an incoming webhook
    AEGIS_ALERTS__SMS         +number; posted as {"to", "text"} to AEGIS_ALERTS__SMS_GATEWAY
    AEGIS_ALERTS__PAGERDUTY   integration key of 32 characters (Events API v2)

Anything else with ``://`` goes to apprise (``mailtos://``, ``slack://``, ``twilio://`` ...).  An
empty setting is no channel.  A package adds one by the entry point group ``aegis.alert_channels``:
a callable that takes an alert of any severity.

A channel returns when the alert was taken.  ``Transient`` says that it was not and may be later,
``Poison`` that it never will be; any other error, that nobody knows.  Addresses hold tokens: our
messages name the setting and never its value, and libraries that log addresses are silenced.
"""

import logging
import re
import smtplib
from collections.abc import Callable, Iterable
from email.message import EmailMessage
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, NamedTuple

import httpx

from consumers.alerts.rules import Delivery, body, title
from infra.settings import Alerts
from schemas.errors import AegisError, Misconfigured, Poison, Transient
from schemas.ops import AlertRaised

GROUP: Final = "aegis.alert_channels"
OURS: Final = ("email", "slack", "sms", "pagerduty")
PAGERDUTY_SEVERITY: Final = {"info": "info", "warning": "warning"}
ASK_LATER: Final = frozenset({429, 503})
LOG_ADDRESSES: Final = ("httpx", "httpcore", "urllib3")
"""These do so when they speak below WARNING; apprise does in its errors too."""

Send = Callable[[AlertRaised], None]


class Channel(NamedTuple):
    """Where alerts go.

    Attributes:
        name: On record; no colon.
        least: The severity it begins at.
        send: Deliver one; see the module.
    """

    name: str
    least: str
    send: Send


def channels(
    settings: Alerts, installed: Iterable[EntryPoint] | None = None
) -> tuple[Channel, ...]:
    """Return every channel that is set, then every one that is installed.

    Raises:
        Misconfigured: A value that is neither form, or a name that is taken.
    """
    logging.getLogger("apprise").disabled = True
    for name in LOG_ADDRESSES:
        logging.getLogger(name).setLevel(logging.WARNING)
    found = []
    for name, natural in (("email", _mail), ("slack", _slack), ("sms", _sms), ("pagerduty", _page)):
        value = getattr(settings, name).get_secret_value().strip()
        if value:
            ours = "://" not in value or value.startswith(("http://", "https://"))
            send = natural(settings, value) if ours else _apprise(name, value)
            found.append(Channel(name, getattr(settings, f"{name}_least"), send))
    for each in entry_points(group=GROUP) if installed is None else installed:
        if ":" in each.name or each.name in {one.name for one in found} or each.name in OURS:
            raise Misconfigured(
                f"{GROUP}: expected a name of its own without a colon, was {each.name!r}; "
                "rename it in the package that brings it"
            )
        found.append(Channel(each.name, "info", each.load()))
    return tuple(found)


def _mail(settings: Alerts, address: str) -> Send:
    _fits("EMAIL", address, r"[^@\s,:/]+@[^@\s,:/]+", "an address")
    host, _, port = settings.smtp.rpartition(":")
    if not host or not port.isdigit():
        raise Misconfigured(f"AEGIS_ALERTS__SMTP: expected host:port, was {settings.smtp!r}")

    def send(alert: AlertRaised) -> None:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = settings.sender, address, title(alert)
        mail["Message-ID"] = f"<{_id('email', alert)}@aegis>"
        mail.set_content(body(alert))
        _post_mail(host, int(port), mail, settings.send_s)

    return send


def _slack(settings: Alerts, url: str) -> Send:
    _fits("SLACK", url, r"https?://\S+", "the http(s) address of a webhook")

    def send(alert: AlertRaised) -> None:
        text = f"*{title(alert)}*\n{body(alert)}"
        _post(url, {"channel": settings.slack_channel, "text": text}, "slack", alert, settings)

    return send


def _sms(settings: Alerts, number: str) -> Send:
    _fits("SMS", number, r"\+[0-9]{8,15}", "+ and 8 to 15 digits")
    gateway = settings.sms_gateway.get_secret_value()
    _fits("SMS_GATEWAY", gateway, r"https?://\S+", "the http(s) address that takes messages")

    def send(alert: AlertRaised) -> None:
        _post(gateway, {"to": number, "text": title(alert)}, "sms", alert, settings)

    return send


def _page(settings: Alerts, key: str) -> Send:
    _fits("PAGERDUTY", key, r"[A-Za-z0-9]{32}", "an integration key of 32 letters and digits")

    def send(alert: AlertRaised) -> None:
        page = {
            "routing_key": key,
            "event_action": "trigger",
            "dedup_key": _id("pagerduty", alert),
            "payload": {
                "summary": title(alert),
                "source": alert.service,
                "severity": PAGERDUTY_SEVERITY.get(alert.severity, "critical"),
                "custom_details": {"detail": alert.detail, "alert_key": alert.alert_key},
            },
        }
        _post(settings.pagerduty_url, page, "pagerduty", alert, settings)

    return send


def _apprise(name: str, url: str) -> Send:
    import apprise  # noqa: PLC0415 -- a second of import that few need

    known = apprise.Apprise()
    if not known.add(url):
        raise Misconfigured(
            f"AEGIS_ALERTS__{name.upper()}: expected an apprise URL, was one that apprise does "
            "not read; see `apprise --details` for the forms it knows"
        )

    def send(alert: AlertRaised) -> None:
        if not known.notify(title=title(alert), body=body(alert)):
            raise AegisError(f"{name}: expected apprise to deliver, was told that it did not")

    return send


def _post(url: str, told: Any, name: str, alert: AlertRaised, settings: Alerts) -> None:
    headers = {"Idempotency-Key": _id(name, alert)}
    try:
        answer = httpx.post(url, json=told, headers=headers, timeout=settings.send_s)
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise Transient(f"{name}: expected a connection, was {type(error).__name__}") from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise Poison(f"{name}: expected an address, was none that can be read") from None
    if answer.is_success:
        return
    kind: type[AegisError] = AegisError if answer.is_server_error else Poison
    if answer.status_code in ASK_LATER:
        kind = Transient
    raise kind(f"{name}: expected an answer of 200 to 299, was {answer.status_code}")


def _post_mail(host: str, port: int, mail: EmailMessage, send_s: float) -> None:
    try:
        server = smtplib.SMTP(host, port, timeout=send_s)
    except (OSError, smtplib.SMTPException) as error:
        raise Transient(f"email: expected a relay, was {type(error).__name__}") from None
    try:
        server.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        [(code, _)] = error.recipients.values()
        raise _refused(code) from None
    except smtplib.SMTPResponseException as error:
        raise _refused(error.smtp_code) from None
    finally:
        server.close()


def _refused(code: int) -> AegisError:
    kind = Poison if code >= 500 else Transient  # noqa: PLR2004 -- RFC 5321: 5yz is for good
    return kind(f"email: expected the relay to take it, was {code}")


def _fits(name: str, value: str, pattern: str, expected: str) -> None:
    if not re.fullmatch(pattern, value):
        raise Misconfigured(
            f"AEGIS_ALERTS__{name}: expected {expected} or an apprise URL, was something of "
            f"{len(value)} characters that is not"
        )


def _id(name: str, alert: AlertRaised) -> str:
    return Delivery(name, alert.alert_key).id

"""``aegis jobs run · backfill · cancel · pause · resume · release · state``: operators' acts.

Each waits for the scheduler's answer and exits 1 when it was refused.
"""

import json
from typing import Annotated, Any

import typer

from scheduler.commands import Json, app, at_text, instant_of, place

__all__ = ["app"]

Job = Annotated[str, typer.Argument(help="Name of a job.")]
Reason = Annotated[str, typer.Option(help="Why; it stands on record.")]
Actor = Annotated[str | None, typer.Option(help="Who; unset: the account that runs this.")]


@app.command("run")
def run_now(job: Job, reason: Reason, actor: Actor = None, *, as_json: Json = False) -> None:
    """Run a job now, beside the timetable."""
    _ask("run", f"job:{job}", reason, actor, as_json=as_json)


@app.command()
def backfill(
    job: Job,
    slot: Annotated[str, typer.Argument(help="A past slot in Korea, yyyy-mm-ddThh:mm.")],
    reason: Reason,
    actor: Actor = None,
    *,
    as_json: Json = False,
) -> None:
    """Run a past slot once more; what its children were decided stays."""
    _ask("backfill", f"job:{job}", reason, actor, slot=instant_of(slot), as_json=as_json)


@app.command()
def cancel(
    fire: Annotated[str, typer.Argument(help="Fire id, whole.")],
    reason: Reason,
    actor: Actor = None,
    *,
    as_json: Json = False,
) -> None:
    """End a fire that waits or runs."""
    _ask("cancel", f"fire:{fire}", reason, actor, as_json=as_json)


@app.command()
def pause(job: Job, reason: Reason, actor: Actor = None, *, as_json: Json = False) -> None:
    """Let a job fire nothing until it is resumed."""
    _ask("pause", f"job:{job}", reason, actor, as_json=as_json)


@app.command()
def resume(job: Job, reason: Reason, actor: Actor = None, *, as_json: Json = False) -> None:
    """Let a paused job fire again."""
    _ask("resume", f"job:{job}", reason, actor, as_json=as_json)


@app.command()
def release(job: Job, reason: Reason, actor: Actor = None, *, as_json: Json = False) -> None:
    """Let a quarantined job go."""
    _ask("release", f"job:{job}", reason, actor, as_json=as_json)


@app.command("state")
def print_state(*, as_json: Json = False) -> None:
    """Print what waits, runs and is held, and who leads."""
    from scheduler import control  # noqa: PLC0415 -- --help must not wait for it

    with place() as (connection, serde):
        left = control.left(connection, serde)
    state, held = left.state, left.held
    told: dict[str, Any] = {
        "leader": None if held is None or held.state == "left" else held.node,
        "term": 0 if held is None else held.term,
        "clock": left.said,
        "running": [], "waiting": [], "held": [],
    }  # fmt: skip
    if state is not None:
        told["running"] = [
            {"fire_id": name, "job": run.slot.job, "slot": run.slot.at, "attempt": run.attempt}
            for name, run in state.running.items()
        ]
        told["waiting"] = [
            {"fire_id": each.fire_id, "job": each.slot.job, "slot": each.slot.at,
             "attempt": each.attempt, "reason": each.reason, "due": each.due}
            for each in state.waiting.values()
        ]  # fmt: skip
        told["held"] = [{"job": job, **each._asdict()} for job, each in state.held.items()]
    if as_json:
        typer.echo(json.dumps(told, separators=(",", ":")))
        return
    lines = [f"leader {told['leader'] or '-'}, term {told['term']}"]
    for word in ("running", "waiting"):
        lines += [
            f"{word:8} {each['job']:26} {at_text(each['slot'])} attempt {each['attempt']} "
            f"{each.get('reason', '')}"
            for each in told[word]
        ]
    lines += [
        f"{each['word']:11} {each['job']:26} {at_text(each['since'])} {each['reason']}"
        for each in told["held"]
    ]
    typer.echo("\n".join(lines))


@app.command("dashboard")
def print_dashboard() -> None:
    """Print the scheduler's dashboard as Grafana's JSON."""
    from scheduler import dashboard  # noqa: PLC0415 -- --help must not wait for it

    typer.echo(json.dumps(dashboard.dashboard(), indent=2))


def _ask(
    verb: str, subject: str, reason: str, actor: str | None, *, as_json: bool, slot: Any = None
) -> None:
    import getpass  # noqa: PLC0415 -- --help must not wait for it

    from scheduler import control  # noqa: PLC0415 -- same

    who = getpass.getuser() if actor is None else actor
    with place() as (connection, serde):
        answer = control.ask(connection, serde, verb, subject, actor=who, reason=reason, slot=slot)
    if as_json:
        typer.echo(json.dumps(answer._asdict(), separators=(",", ":")))
    else:
        about = f" {answer.fire_id}" if answer.fire_id else ""
        typer.echo(f"{answer.decision}{about}: {answer.reason}")
    raise typer.Exit(0 if answer.done else 1)

"""A worker's loop: read the log, claim what is free, run it, say how it ended.

One thread reads ``control.triggers``, ``control.schedule`` and ``control.runs`` from their
beginning (all three are small: a few thousand records a day) and never waits for a job.  The
claim is decided by the log (``infra.jobs.claims``).  While an attempt runs, ``running`` is said
again ``BEATS`` times within ``silent_s``; each that comes back from the log confirms the claim.

An end is only written while the newest confirmation is younger than half of ``silent_s``, so a
worker that stood still finds out first: it says ``running``, reads on to it, and sees that the
attempt is another's.  What remains is a stop of that length within the few milliseconds between
that check and the broker's append: then two ends can lie on the log, the first of which counts.
"""

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import structlog

from infra.clock import wall_now
from infra.host import Context
from infra.jobs.attempt import Attempt
from infra.jobs.board import Board, Wanted, key_of
from infra.jobs.claims import AFTER, BEAT, RUNNING, Key, said
from infra.jobs.contract import DETAIL_CHARS_MAX, Result
from infra.jobs.launch import begin
from infra.jobs.targets import kind_of
from infra.publish import Publisher
from infra.runner import Incoming
from infra.tail import Tail, View
from schemas.control import JobTriggered, RunReported
from schemas.errors import Fatal, Poison, Transient
from schemas.topics import BY_NAME, RUNS, SCHEDULE, TRIGGERS
from schemas.units import Micros

NAME: Final = "jobs"
BEATS: Final = 5
FRESH_SHARE: Final = 0.5
POLL_IDLE_S: Final = 0.05
POLL_BUSY_S: Final = 0.01


@dataclass(slots=True, kw_only=True)
class Mine:
    """An attempt that this worker has claimed.

    Attributes:
        started: Market time of the claim.
        beat_s: When ``running`` was last said, on the monotonic clock.
        sent: Records of ours that have not come back: their number to when they were sent.
        confirmed_s: When the newest one that came back was sent.
        attempt: What runs; None until the claim is confirmed.
        result: How it ended, once it has.
        why: Why it was stopped; empty when it was not.
    """

    trigger: JobTriggered
    started: Micros
    beat_s: float = 0.0
    sent: dict[bytes, float] = field(default_factory=dict)
    confirmed_s: float = float("-inf")
    attempt: Attempt | None = None
    result: Result | None = None
    why: str = ""


class Worker:
    """One life of the loop; what ends it is made anew by ``run``.

    Args:
        context: Of the service.
        life: Tells the records of this process from those of another of the same name.
    """

    def __init__(self, context: Context, life: str) -> None:
        connection, serde = context.connection, context.serde
        jobs = context.settings.jobs
        self._context, self._life, self._jobs = context, life, jobs
        self.name = jobs.worker or f"{socket.gethostname()}-{os.getpid()}"
        self._log = structlog.get_logger(NAME).bind(worker=self.name)
        self._board = Board(self.name, jobs.slots, jobs.silent_s)
        self._publisher = Publisher(connection, serde, client=NAME)
        self._tail = Tail(connection, (TRIGGERS, SCHEDULE, RUNS), client=NAME)
        self._view = View(connection, serde)
        self._mine: dict[Key, Mine] = {}
        self._leaving: list[Attempt] = []
        self._numbers = count(time.monotonic_ns())

    def run(self) -> None:
        """Work until the service is to stop.

        Raises:
            Transient: The broker did not do its part; begin again.
            Fatal: Another process has the name of this worker.
        """
        self._read(self._tail.catch_up())
        self._log.info("caught_up", slots=self._jobs.slots)
        while not self._context.stopping.is_set():
            busy = self._mine or self._leaving or self._board.yields
            self._read(self._tail.poll(POLL_BUSY_S if busy else POLL_IDLE_S))
            for key, mine in list(self._mine.items()):
                self._attend(key, mine)
            self._leaving = [each for each in self._leaving if each.poll() is None]
            self._claim()
            self._publisher.poll()

    def close(self) -> None:
        """End or wait for what runs, say what became of it, and let go of everything."""
        try:
            self._leave()
        finally:
            self._view.close()
            self._tail.close()
            self._publisher.close()

    def _read(self, records: Sequence[Incoming]) -> None:
        for each in records:
            if each.value is None:
                continue
            try:
                event = self._context.serde.decode(BY_NAME[each.topic], each.value)
            except Poison as error:
                place = f"{each.topic}/{each.partition}/{each.offset}"
                self._log.error("unread", place=place, reason=str(error))
                continue
            if each.topic == RUNS.name:
                self._hear(event, each)
            elif each.topic == SCHEDULE.name:
                self._board.decide(event)
            elif kind_of(event.target) is not None:
                self._board.offer(event, time.monotonic())

    def _hear(self, report: RunReported, record: Incoming) -> None:
        key, now_s = (report.fire_id, report.attempt), time.monotonic()
        claim = self._board.hear(key, said(report, record.offset, record.headers), now_s)
        mine = self._mine.get(key)
        if mine is None:
            return
        if claim.end is not None or claim.worker != self.name:
            self._lose(key, mine, claim.worker)
        elif claim.at == record.offset:
            self._confirm(mine, record.headers.get(BEAT, b""), now_s)

    def _confirm(self, mine: Mine, beat: bytes, now_s: float) -> None:
        """Begin, or go on: a record of ours came back and the claim is still ours."""
        if not beat.startswith(self._life.encode()):
            raise Fatal(
                f"expected one worker of the name {self.name!r}, was another that claims "
                f"{mine.trigger.job}; give each its own AEGIS_JOBS__WORKER"
            )
        sent_s = mine.sent.pop(beat, None)
        if sent_s is None:
            return
        mine.confirmed_s = sent_s
        if now_s - sent_s > self._jobs.silent_s / BEATS:
            return  # too old to build on: the next one is due
        if mine.attempt is None:
            mine.attempt = begin(self._context, self._view, mine.trigger)
        else:
            mine.attempt.renew()

    def _lose(self, key: Key, mine: Mine, holder: str | None) -> None:
        """Stop what another runs or has ended; say nothing more about it."""
        begun = mine.attempt is not None
        del self._mine[key]
        self._log.info("claim_lost", job=mine.trigger.job, fire_id=key[0], to=holder, begun=begun)
        if mine.attempt is not None:
            mine.attempt.stop()
            self._leaving.append(mine.attempt)

    def _attend(self, key: Key, mine: Mine) -> None:
        now_s = time.monotonic()
        if mine.attempt is not None and mine.result is None:
            if not mine.why:
                mine.why = self._unwanted(key, mine.trigger)
                if mine.why:
                    mine.attempt.stop()
            mine.result = mine.attempt.poll()
        if mine.result is not None and self._is_fresh(mine, now_s):
            self._end(key, mine)
        elif now_s - mine.beat_s >= self._jobs.silent_s / BEATS:
            words = "" if mine.attempt is None else mine.attempt.words()
            self._beat(mine, words or RUNNING)

    def _unwanted(self, key: Key, trigger: JobTriggered) -> str:
        """Return why an attempt is to be stopped, empty while it is wanted."""
        closed = self._board.closed(key)
        if closed is not None:
            return closed
        if trigger.ends_by is not None and self._context.clock.now() >= trigger.ends_by:
            return "timed out"
        return ""

    def _is_fresh(self, mine: Mine, now_s: float) -> bool:
        return now_s - mine.confirmed_s < self._jobs.silent_s * FRESH_SHARE

    def _claim(self) -> None:
        now_s, market = time.monotonic(), self._context.clock.now()
        while True:
            busy = len(self._mine) + len(self._leaving)
            wanted = self._board.wanted(now_s, market, self._mine, busy)
            if wanted is None:
                return
            mine = self._mine[key_of(wanted.trigger)] = Mine(trigger=wanted.trigger, started=market)
            self._beat(mine, _begun(wanted), wanted.after)

    def _beat(self, mine: Mine, words: str, after: int | None = None) -> None:
        """Say ``running``: a claim, the takeover of one, or that we still hold it."""
        beat = f"{self._life}:{next(self._numbers)}".encode()
        headers = [(BEAT, beat)]
        if after is not None:
            headers.append((AFTER, str(after).encode()))
        mine.beat_s = mine.sent[beat] = time.monotonic()
        self._report(mine, Result(RUNNING, words), ended=None, headers=headers)

    def _end(self, key: Key, mine: Mine) -> None:
        assert mine.result is not None
        assert mine.attempt is not None
        result = Result("failed", mine.why) if mine.why else mine.result
        if mine.attempt.kept():
            tail = f"; kept in {mine.attempt.kept()}"
            result = result._replace(detail=result.detail[: DETAIL_CHARS_MAX - len(tail)] + tail)
        self._report(mine, result, ended=self._context.clock.now())
        self._board.withdraw(key)
        del self._mine[key]

    def _leave(self) -> None:
        """Stop everything; on a clean stop, say what ended and give back what did not."""
        clean = self._context.stopping.is_set()
        for mine in self._mine.values():
            if mine.attempt is not None and not clean:
                mine.attempt.stop()
        for key, mine in list(self._mine.items()):
            result = None if mine.attempt is None else mine.attempt.leave()
            mine.result = mine.result or result
            if clean and mine.result is not None and self._is_fresh(mine, time.monotonic()):
                self._end(key, mine)
            elif clean:
                gone = Result(RUNNING, "given back: the worker stops")
                self._report(mine, gone, ended=self._context.clock.now())
        for each in self._leaving:
            each.leave()
        if clean:
            self._flush()

    def _flush(self) -> None:
        try:
            self._publisher.flush()
        except Transient as error:
            self._log.warning("left_unsaid", reason=str(error))

    def _report(
        self,
        mine: Mine,
        result: Result,
        *,
        ended: Micros | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        trigger = mine.trigger
        report = RunReported(
            ts_event=self._context.clock.now() if ended is None else ended,
            ts_ingest=wall_now(),
            fire_id=trigger.fire_id,
            job=trigger.job,
            slot=trigger.slot,
            state=result.state,
            attempt=trigger.attempt,
            worker=self.name,
            detail=result.detail,
            started=mine.started,
            ended=ended,
        )
        self._publisher.send(RUNS, trigger.job, report, headers=headers)


def _begun(wanted: Wanted) -> str:
    if wanted.holder is None:
        return "begun"
    return f"taken over from {wanted.holder}, which was silent"

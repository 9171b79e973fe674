"""One model name served: champion, child, breaker.

Every snapshot gets an answer.  A new champion is loaded and proved in a child of its own beside the
old one and takes over between two snapshots; one that cannot be proved changes nothing but the
breaker-free log line, and the old one goes on.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

from consumers.inference import breaker as circuit
from consumers.inference import registry, scoring
from consumers.inference.breaker import Breaker
from consumers.inference.metrics import Metrics
from consumers.inference.registry import Model
from consumers.inference.supervisor import Limits, Scored, Supervisor
from schemas.errors import AegisError, Poison
from schemas.features import FeatureSnapshot
from schemas.learning import ModelDeployed
from schemas.model_card import Floats
from schemas.scores import AiScored
from schemas.units import Micros


class Serving:
    """The answers of one model name.

    Args:
        model: Served until ``learning.models`` says otherwise; None when nothing is bundled.
        now: Market time.
        metrics: Handles.
        log: A structlog logger.
        limits: Of the child.
        circuit_limits: Of the breaker.
    """

    def __init__(
        self,
        model: Model | None,
        *,
        now: Callable[[], Micros],
        metrics: Metrics,
        log: Any,
        limits: Limits | None = None,
        circuit_limits: circuit.Limits | None = None,
    ) -> None:
        self.breaker = Breaker()
        self._child = None if model is None else Supervisor(model, limits)
        self._refused = ""
        self._now, self._metrics, self._log = now, metrics, log
        self._limits = limits
        self._circuit_limits = circuit.Limits() if circuit_limits is None else circuit_limits

    @property
    def model(self) -> Model | None:
        """What serves."""
        return None if self._child is None else self._child.model

    @property
    def child(self) -> Supervisor | None:
        """The child's supervisor."""
        return self._child

    def warm(self) -> None:
        """Start the child before the first snapshot; a failure is the first snapshot's."""
        if self._child is None:
            return
        try:
            self._child.start()
        except AegisError as error:
            self._log.warning("model_not_started", model=self._child.model.name, reason=str(error))
            return
        self._started(self._child)

    def follow(self, deployments: Iterable[ModelDeployed], model: str, at: Micros) -> None:
        """Serve the champion effective by ``at``."""
        found = registry.champion(deployments, model, at)
        if found is None or found.sha256 == self._refused:
            return
        if self._child is not None and found.sha256 == self._child.model.card.sha256:
            return
        try:
            challenger = Supervisor(registry.deployed(found), self._limits)
            challenger.start()
        except (AegisError, ValueError) as error:
            self._refused = found.sha256
            self._log.error(
                "champion_refused", model=model, version=found.version, reason=str(error)
            )
            return
        if self._child is not None:
            self._child.close()
        self._child, self.breaker, self._refused = challenger, Breaker(), ""
        self._started(challenger)

    def answer(self, snapshot: FeatureSnapshot) -> AiScored:
        """Return the one record of a snapshot, whatever happens."""
        begun = time.monotonic()
        answer = self._answer(snapshot)
        took = time.monotonic() - begun
        name = snapshot.model
        if self._child is not None:
            self._metrics.run.labels(name).observe(took)
            self._metrics.breaker.labels(name).set(circuit.POSITION_NUMBERS[self.breaker.position])
        word = answer.reason.partition(":")[0]
        self._metrics.snapshots.labels(name, answer.level, word).inc()
        if answer.level == "off":
            self._log.warning("ai_off", snapshot=snapshot.snapshot_id, reason=answer.reason)
        return answer

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.close()

    def _answer(self, snapshot: FeatureSnapshot) -> AiScored:
        child = self._child
        if child is None:
            return scoring.off(snapshot, None, "model", f"no version of {snapshot.model} is here")
        if (late := self._late(snapshot)) is not None:
            return scoring.off(snapshot, child.model, "deadline", late)
        self.breaker, allowed = circuit.ask(self.breaker, snapshot.ts_event, self._circuit_limits)
        if not allowed:
            return scoring.off(snapshot, child.model, "breaker", self.breaker.reason)
        return self._try(snapshot, child)

    def _try(self, snapshot: FeatureSnapshot, child: Supervisor) -> AiScored:
        model = child.model
        try:
            inputs = scoring.prepare(snapshot, model)
            scored = self._run(child, inputs.values)
            answer = scoring.on(
                snapshot, model, inputs, scored.scores,
                provider=scored.provider, elapsed=scored.elapsed,
            )  # fmt: skip
        except AegisError as error:
            why: scoring.Why = "guard" if isinstance(error, Poison) else "run"
            self.breaker = circuit.fail(
                self.breaker, snapshot.ts_event, f"{why}: {error}", self._circuit_limits
            )
            return scoring.off(snapshot, model, why, str(error), provider=child.provider)
        self.breaker = circuit.succeed(self.breaker)
        if (late := self._late(snapshot)) is not None:
            return scoring.off(
                snapshot, model, "deadline", late,
                provider=scored.provider, elapsed=scored.elapsed,
            )  # fmt: skip
        return answer

    def _run(self, child: Supervisor, values: Floats) -> Scored:
        starts = child.starts
        try:
            return child.score(values)
        finally:
            if child.starts != starts:
                self._started(child)

    def _late(self, snapshot: FeatureSnapshot) -> str | None:
        now = self._now()
        if now <= snapshot.deadline:
            return None
        return f"expected market time by {snapshot.deadline}, was {now}"

    def _started(self, child: Supervisor) -> None:
        name = child.model.card.model
        self._metrics.starts.labels(name).inc()
        self._metrics.provider.labels(name, child.provider).set(1)
        self._log.info(
            "model_serving", model=child.model.name, provider=child.provider, child=child.pid
        )

"""A model that spins, a child that hangs, crashes or loses its parent: the caller goes on."""

import base64
import hashlib
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import structlog
from prometheus_client import CollectorRegistry

from consumers.inference import breaker, metrics, registry
from consumers.inference.registry import Model
from consumers.inference.serving import Serving
from consumers.inference.supervisor import Limits, Supervisor
from schemas.errors import Misconfigured, Poison, Transient
from schemas.features import FeatureSnapshot
from schemas.learning import ModelDeployed
from schemas.model_card import Floats
from schemas.model_features import FEATURES, MODEL, STEPS
from schemas.testing import MORNING, at
from schemas.units import MINUTE, Micros, Symbol

SPINNING = zlib.decompress(
    base64.b64decode(
        "eNplkL9OwzAQxuPEadxDbdMTqF1YzBY22CokpCwIiS6M3ZLmVCxaJ8SJ1Gw8B1MnnoBHYOCxcNLyR+pgyef73ff5"
        "PgHoJ7RSZvbhwTUIQy816SUBT7ZkkG8o0RIeKauXNLf3aATimajI1MZMnR1z4fJvCL0qL2T/QCfbY/gcWgSCp1pn"
        "JWXITaG0DO5KSioq4ZOBA90bdM7om2VekuQPeV5E7wx4mmfN1RuDCfBW2QKVWq+luM9IV6pqIAS2BS/XhKyR3rxe"
        "YzcTDUImueO83sZtc3ECTGEPuAjQWQwPYm3dt/Wp1cARDATDPgTo62RDJh3B3uwHSy3WHGE75qNoN9BKr6KhcMNg"
        "5jI37vKMxvtffMXxTwSLi3/5TeDMio1/xcAVN/b00inskziyizk4IX4DpSVp+Q=="
    )
)
"""An ONNX graph: the mean of a row, then ``Loop`` for ever when any input is above 100."""

QUICK = Limits(run_s=1.0, stop_s=0.5)
SPIN = 1_000.0


def names(count: int, top: float = 1.0) -> Floats:
    values = np.random.default_rng(0).normal(0, 1, (count, STEPS, len(FEATURES)))
    values[0, 0, 0] = top
    return values.astype(np.float32)


def spinning() -> Model:
    card = registry.bundled().card
    golden, _ = card.golden()
    mean = golden.mean(axis=(1, 2)).astype("<f4").tobytes()
    sha256 = hashlib.sha256(SPINNING).hexdigest()
    return Model(replace(card, sha256=sha256, golden_output=mean), SPINNING, "file:/spinning")


def snapshot(values: Floats, seconds: float = 0) -> FeatureSnapshot:
    return FeatureSnapshot(
        ts_event=at(seconds),
        ts_ingest=MORNING,
        snapshot_id=f"snapshot-{seconds}",
        fire_id="fire",
        model=MODEL,
        symbols=tuple(Symbol(f"{each:06d}") for each in range(len(values))),
        features=FEATURES,
        steps=STEPS,
        tensor=values.tobytes(),
        mask=bytes([1] * len(values)),
        deadline=Micros(at(seconds) + MINUTE),
        coverage=1.0,
        lineage={},
    )


def serving(
    model: Model, now: Micros = MORNING, collected: CollectorRegistry | None = None
) -> Serving:
    return Serving(
        model,
        now=lambda: now,
        metrics=metrics.make(CollectorRegistry() if collected is None else collected),
        log=structlog.get_logger(),
        limits=QUICK,
        circuit_limits=breaker.Limits(failures_max=2),
    )


@pytest.fixture
def spinner() -> Iterator[Supervisor]:
    supervisor = Supervisor(spinning(), QUICK)
    yield supervisor
    supervisor.close()


@pytest.fixture
def bundled() -> Iterator[Supervisor]:
    supervisor = Supervisor(registry.bundled(), QUICK)
    yield supervisor
    supervisor.close()


def test_a_run_that_spins_is_stopped_by_the_deadline_and_its_child_lives(
    spinner: Supervisor,
) -> None:
    spinner.start()
    child = spinner.pid

    begun = time.monotonic()
    with pytest.raises(Transient, match="told to stop at the deadline"):
        spinner.score(names(200, SPIN))
    took = time.monotonic() - begun

    assert took < QUICK.run_s + 0.2
    assert spinner.pid == child
    assert spinner.score(names(200)).scores.shape == (200,)


def test_a_child_that_hangs_is_killed_by_the_deadline_and_replaced(bundled: Supervisor) -> None:
    first = bundled.score(names(200)).scores
    child = psutil.Process(bundled.pid)
    child.suspend()

    begun = time.monotonic()
    with pytest.raises(Transient, match="the child was killed"):
        bundled.score(names(200))
    took = time.monotonic() - begun

    assert took < QUICK.run_s + 0.5
    assert not child.is_running()
    assert (bundled.score(names(200)).scores == first).all()
    assert bundled.starts == 2


def test_a_child_that_crashes_in_a_run_is_one_failure_and_the_next_run_has_a_new_one(
    bundled: Supervisor,
) -> None:
    bundled.start()
    child = psutil.Process(bundled.pid)
    child.suspend()
    crash = threading.Timer(0.1, child.kill)
    crash.start()

    with pytest.raises(Transient, match="the end of the child, exit code -9"):
        bundled.score(names(3))

    crash.join()
    assert bundled.score(names(3)).scores.shape == (3,)
    assert bundled.starts == 2


def test_no_names_never_reach_a_child(bundled: Supervisor) -> None:
    with pytest.raises(Poison, match="at least one row"):
        bundled.score(names(1)[:0])

    assert bundled.starts == 0


def test_a_model_that_is_not_what_its_card_says_is_not_served() -> None:
    model = spinning()
    liar = Supervisor(model._replace(card=registry.bundled().card), QUICK)

    with pytest.raises(Misconfigured, match="expected the golden output"):
        liar.start()

    assert liar.pid is None


@pytest.mark.parametrize("hangs", [False, True])
def test_a_child_dies_with_its_parent_even_when_it_hangs(hangs: bool) -> None:
    if hangs and sys.platform != "linux":
        pytest.skip("only Linux kills a child that cannot see the end of its input")
    script = (
        "import time\n"
        "from consumers.inference import registry\n"
        "from consumers.inference.supervisor import Supervisor\n"
        "supervisor = Supervisor(registry.bundled())\n"
        "supervisor.start()\n"
        "print(supervisor.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        if hangs:
            child.suspend()

        parent.kill()

        gone, alive = psutil.wait_procs([child], timeout=5)
        assert (len(gone), alive) == (1, [])


def test_every_snapshot_of_a_broken_model_is_off_with_its_reason_until_a_trial_succeeds() -> None:
    collected = CollectorRegistry()
    served = serving(spinning(), collected=collected)
    asked = [snapshot(names(60, SPIN), each) for each in (0, 60, 120)]
    trial = snapshot(names(60), 60 + breaker.Limits().rest / 1e6)

    answers = [served.answer(each) for each in (*asked, trial)]
    served.close()

    assert [each.level for each in answers] == ["off", "off", "off", "on"]
    assert [each.reason.partition(":")[0] for each in answers] == ["run", "run", "breaker", ""]
    assert [each.snapshot_id for each in answers] == [each.snapshot_id for each in (*asked, trial)]
    assert served.breaker.position == "closed"
    shown = {
        word: collected.get_sample_value(
            "aegis_inference_snapshots_total", {"model": MODEL, "level": level, "reason": word}
        )
        for level, word in (("on", ""), ("off", "run"), ("off", "breaker"))
    }
    assert shown == {"": 1.0, "run": 2.0, "breaker": 1.0}
    assert collected.get_sample_value("aegis_inference_breaker", {"model": MODEL}) == 0.0
    assert collected.get_sample_value("aegis_inference_run_seconds_count", {"model": MODEL}) == 4.0
    cpu = {"model": MODEL, "provider": answers[-1].provider}
    assert collected.get_sample_value("aegis_inference_provider", cpu) == 1.0


def test_an_answer_after_the_deadline_of_the_market_is_off() -> None:
    late = serving(registry.bundled(), now=Micros(MORNING + 2 * MINUTE))

    answer = late.answer(snapshot(names(60)))
    late.close()

    assert (answer.level, answer.scores) == ("off", ())
    assert answer.reason.startswith("deadline: expected market time by")


def test_a_snapshot_without_a_usable_row_is_off_and_names_the_guard() -> None:
    served = serving(registry.bundled())

    answer = served.answer(replace(snapshot(names(3)), mask=bytes(3)))

    assert answer.reason == "guard: expected at least one usable row of 3, was none"
    assert served.child is not None
    assert served.child.pid is None


def deployment(model: Model, version: str, seconds: float) -> ModelDeployed:
    return replace(
        registry.bundled_deployment(at(seconds)),
        version=version,
        sha256=model.card.sha256,
        uri=model.uri,
    )


def test_a_new_champion_takes_over_between_two_snapshots(tmp_path: Path) -> None:
    model = spinning()
    card = replace(model.card, version=2)
    folder = registry.store(tmp_path, card, model.content)
    words = [deployment(model._replace(uri=f"file:{folder}"), "2", 60)]
    served = serving(registry.bundled())

    hashes = []
    for seconds in (0, 60):
        asked = snapshot(names(60), seconds)
        served.follow(words, MODEL, asked.ts_event)
        hashes.append(served.answer(asked).model_hash)
    served.close()

    assert hashes == [registry.bundled().card.sha256, model.card.sha256]


def test_a_champion_that_cannot_be_loaded_leaves_the_old_one_serving() -> None:
    missing = replace(
        registry.bundled_deployment(MORNING), version="9", sha256="9" * 64, uri="file:/no/lstm/9"
    )
    served = serving(registry.bundled())

    served.follow([missing], MODEL, MORNING)
    answer = served.answer(snapshot(names(60)))
    served.close()

    assert (answer.level, answer.model_hash) == ("on", registry.bundled().card.sha256)


def test_two_hundred_names_are_answered_within_a_second(bundled: Supervisor) -> None:
    bundled.start()
    took = []
    for _ in range(50):
        begun = time.monotonic()
        bundled.score(names(200))
        took.append(time.monotonic() - begun)

    assert float(np.quantile(took, 0.9)) < 1.0

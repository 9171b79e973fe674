"""A version is what its card says, never changes, and the newest word names the champion."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from consumers.inference import registry
from schemas.errors import Misconfigured
from schemas.learning import ModelDeployed
from schemas.model_card import MODEL_FILE, ModelCard, features_hash, parse_card
from schemas.testing import at

CONTENT = b"weights"
CARD = ModelCard(
    model="lstm",
    version=2,
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    features=("return",),
    steps=2,
    features_hash=features_hash(("return",), 2),
    opset=18,
    trained_on="nothing",
    skill="not shown",
    remark="a test's",
    seed=1,
    metrics={"validation_rank_ic": 0.1},
    golden_names=1,
    golden_input=np.zeros(2, "<f4").tobytes(),
    golden_output=np.array([0.5], "<f4").tobytes(),
)


def word(version: str, alias: str, seconds: float) -> ModelDeployed:
    deployment = registry.bundled_deployment(at(seconds))
    return replace(deployment, version=version, alias=alias, sha256=version * 64)


def test_a_card_reads_back_as_it_was_written() -> None:
    assert parse_card(CARD.to_json()) == CARD
    assert parse_card(CARD.without_golden().to_json()).golden_names == 0


def test_a_stored_version_loads_and_cannot_be_stored_again(tmp_path: Path) -> None:
    registry.store(tmp_path, CARD, CONTENT)

    assert registry.load(tmp_path, "lstm", 2).card == CARD
    with pytest.raises(Misconfigured, match="versions are immutable"):
        registry.store(tmp_path, CARD, CONTENT)


def test_one_changed_byte_of_the_file_is_refused(tmp_path: Path) -> None:
    folder = registry.store(tmp_path, CARD, CONTENT)
    (folder / MODEL_FILE).write_bytes(b"weightz")

    with pytest.raises(Misconfigured, match="expected SHA-256"):
        registry.load(tmp_path, "lstm", 2)


def test_a_renamed_folder_is_refused(tmp_path: Path) -> None:
    registry.store(tmp_path, CARD, CONTENT).rename(tmp_path / "lstm" / "3")

    with pytest.raises(Misconfigured, match="the folder was renamed"):
        registry.load(tmp_path, "lstm", 3)


@pytest.mark.parametrize("text", ["{}", "no json", CARD.to_json().replace('"return"', '"volume"')])
def test_a_card_that_contradicts_itself_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="expected"):
        parse_card(text)


@pytest.mark.parametrize(("answer", "good"), [(0.5, True), (0.50009, True), (0.5002, False)])
def test_parity_holds_within_one_ten_thousandth(answer: float, good: bool) -> None:
    answered = np.array([answer], np.float32)

    if good:
        assert registry.parity(CARD, answered) < 1e-4
    else:
        with pytest.raises(Misconfigured, match="must not serve"):
            registry.parity(CARD, answered)


def test_parity_refuses_a_nan() -> None:
    with pytest.raises(Misconfigured, match="must not serve"):
        registry.parity(CARD, np.array([np.nan], np.float32))


def test_the_newest_champion_effective_by_t_serves() -> None:
    words = [word("1", "champion", 0), word("2", "champion", 60), word("3", "challenger", 70)]

    def version(seconds: float) -> str | None:
        found = registry.champion(words, "lstm", at(seconds))
        return None if found is None else found.version

    assert [version(each) for each in (-1, 0, 59.9, 60, 999)] == [None, "1", "1", "2", "2"]
    assert registry.champion(words, "gnn", at(999)) is None


def test_a_retired_champion_no_longer_reigns() -> None:
    words = [word("1", "champion", 0), word("1", "retired", 60)]

    assert registry.champion(words, "lstm", at(60)) is None


def test_the_bundled_deployment_names_the_bundled_file() -> None:
    deployment = registry.bundled_deployment(at(0))
    model = registry.deployed(deployment)

    assert model.content == registry.bundled().content
    assert deployment.alias == "champion"
    assert deployment.skill == "not shown"
    assert "skill on real stocks: not shown" in parse_card(deployment.card).remark


def test_a_deployment_of_another_file_is_refused() -> None:
    deployment = replace(registry.bundled_deployment(at(0)), sha256="0" * 64)

    with pytest.raises(Misconfigured, match="as deployed"):
        registry.deployed(deployment)

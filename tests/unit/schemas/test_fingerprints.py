"""The lock: what was released stays as it was, and no schema changes unseen."""

import json
import shutil
from pathlib import Path

import pytest

from schemas import fingerprints
from schemas.errors import Misconfigured
from schemas.fingerprints import Place, canonical, problems, read_lock, write

NAME = "market.trades"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the schemas of today, released as version 1; nobody writes there."""
    home = tmp_path_factory.mktemp("schemas")
    shutil.copytree(fingerprints.HOME / "avro", home / "avro")
    write(Place(home), unreleased=True)
    return home


@pytest.fixture
def place(released: Path, tmp_path: Path) -> Place:
    """Return a test's own copy of it."""
    return Place(Path(shutil.copytree(released, tmp_path / "schemas")))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def grow(place: Place) -> None:
    """Add an optional field to the trade."""
    schema = json.loads(place.schema(NAME).read_text("utf-8"))
    schema["fields"].append(
        {"name": "lot", "type": ["null", "long"], "default": None, "unit": "shares", "doc": "Lot."}
    )
    place.schema(NAME).write_text(json.dumps(schema, indent=2), "utf-8")


def test_no_schema_differs_from_what_was_released() -> None:
    assert problems() == [], "run 'python -m schemas.fingerprints --write' and review the diff"


def test_the_fingerprint_is_the_specifications() -> None:
    digest = fingerprints.fingerprints('{"type": "int"}')["crc64_avro"]

    assert canonical('{"type": "int"}') == '"int"'
    assert bytes.fromhex(digest)[::-1] == (0x7275D51A3F395C8F).to_bytes(8, "big")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"unit": "won"', '"unit": "shares"', "price: expected unit 'won', was unit 'shares'"),
        ('"Trade price."', '"A price."', "expected the schema of v1, was changed"),
        ('"logicalType": "timestamp-micros"', '"logicalType": "date"', "expected long timestamp"),
        ('"type": "boolean"', '"type": "string"', 'halted: expected the type "boolean"'),
    ],
)
def test_a_change_that_nobody_released_is_found(
    place: Place, old: str, new: str, says: str
) -> None:
    edit(place.schema(NAME), old, new)

    found = problems(place)

    assert any(each.startswith(NAME) and says in each for each in found), found


def test_white_space_is_no_change(place: Place) -> None:
    schema = json.loads(place.schema(NAME).read_text("utf-8"))
    place.schema(NAME).write_text(json.dumps(schema), "utf-8")

    assert problems(place) == []


def test_a_released_schema_that_was_touched_is_found(place: Place) -> None:
    edit(place.released(NAME, 1), '"unit": "won"', '"unit": "shares"')

    assert f"{NAME}: expected the released v1 as it was, sha256_whole differs; restore it" in (
        problems(place)
    )


def test_golden_bytes_that_were_touched_are_found(place: Place) -> None:
    place.golden(NAME, 1).write_bytes(b"other")

    [found] = problems(place)

    assert found == f"{NAME}: expected the released v1 as it was, sha256_golden differs; restore it"


def test_a_missing_golden_record_is_found(place: Place) -> None:
    place.golden(NAME, 1).unlink()

    [found] = problems(place)

    assert "was incomplete" in found


def test_a_schema_without_topic_and_a_lost_schema_are_found(place: Place) -> None:
    place.schema(NAME).rename(place.schema("market.prints"))

    found = problems(place)

    assert "market.prints: expected a topic, was none" in found
    assert f"{NAME}: expected avro/{NAME}.avsc, was none" in found
    assert f"{NAME}: expected a released schema to stay, was removed" in found


def test_a_new_version_keeps_the_old_one(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    first = place.released(NAME, 1).read_bytes(), place.golden(NAME, 1).read_bytes()
    grow(place)
    monkeypatch.setattr(fingerprints, "golden_bytes", lambda _: b"grown")

    assert write(place) == [f"{NAME}.v2"]
    assert problems(place) == []
    assert [each["version"] for each in read_lock(place)[NAME]] == [1, 2]
    assert (place.released(NAME, 1).read_bytes(), place.golden(NAME, 1).read_bytes()) == first
    assert write(place) == []


def test_a_second_version_ends_the_time_of_unreleased_schemas(place: Place) -> None:
    grow(place)
    write(place)

    with pytest.raises(Misconfigured, match=r"expected only first versions"):
        write(place, unreleased=True)


def test_a_breaking_version_is_not_written(place: Place) -> None:
    before = place.lock.read_bytes()
    edit(place.schema(NAME), '"unit": "won"', '"unit": "shares"')

    with pytest.raises(Misconfigured, match=r"price: expected unit 'won'"):
        write(place)
    assert place.lock.read_bytes() == before
    assert not place.released(NAME, 2).exists()


def test_a_version_is_held_to_every_release_before_it(place: Place) -> None:
    grow(place)
    write(place)
    schema = json.loads(place.schema(NAME).read_text("utf-8"))
    lot = schema["fields"].pop()
    place.schema(NAME).write_text(json.dumps(schema), "utf-8")
    write(place)
    schema["fields"].append({**lot, "unit": "won"})
    place.schema(NAME).write_text(json.dumps(schema), "utf-8")

    with pytest.raises(Misconfigured, match=r"since v2: lot: expected unit 'shares'"):
        write(place)

"""The lock of our schemas: what was released stays as it was, and stays readable.

``fingerprints.lock`` holds, for each released version of each schema, its CRC-64-AVRO and
SHA-256 in parsing canonical form (what a reader must agree on), the SHA-256 of the whole
schema (units, logical types and documentation included) and of its golden bytes.  Beside it,
in ``avro/released`` and ``avro/golden``, lie the schema itself and one event written with it.

``problems`` finds every difference between that and the schemas of today, so a change that
nobody released fails ``make check``.  ``python -m schemas.fingerprints --write`` releases.
"""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.codec import codec_of
from schemas.errors import AegisError, Misconfigured
from schemas.lint import changes
from schemas.lint import problems as lint
from schemas.testing import build
from schemas.topics import CATALOGUE, Topic, state_topic

HOME: Final = Path(__file__).parent
WRITE: Final = "python -m schemas.fingerprints --write"
DIGESTS: Final = ("crc64_avro", "sha256_canonical", "sha256_whole", "sha256_golden")

Lock = dict[str, list[dict[str, Any]]]


class Place(NamedTuple):
    """Where schemas, the lock, and what was released are."""

    home: Path = HOME

    @property
    def lock(self) -> Path:
        """The lock file."""
        return self.home / "fingerprints.lock"

    def schema(self, name: str) -> Path:
        """The schema of today."""
        return self.home / "avro" / f"{name}.avsc"

    def released(self, name: str, version: int) -> Path:
        """A released schema."""
        return self.home / "avro" / "released" / f"{name}.v{version}.avsc"

    def golden(self, name: str, version: int) -> Path:
        """The body of one event, written with a released schema."""
        return self.home / "avro" / "golden" / f"{name}.v{version}.bin"


HERE: Final = Place()


def subjects() -> dict[str, Topic]:
    """Return every schema's name and a topic that carries it."""
    topics = (*CATALOGUE, state_topic("any"))
    return {topic.schema_name: topic for topic in topics}


def canonical(text: str) -> str:
    """Return a schema in Avro's parsing canonical form: what readers must agree on."""
    return str(to_parsing_canonical_form(json.loads(text)))


def fingerprints(text: str) -> dict[str, str]:
    """Return a schema's digests; white space and the order of its keys do not count."""
    form = canonical(text)
    whole = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    return {
        "crc64_avro": str(fingerprint(form, "CRC-64-AVRO")),
        "sha256_canonical": hashlib.sha256(form.encode()).hexdigest(),
        "sha256_whole": hashlib.sha256(whole.encode()).hexdigest(),
    }


def golden_bytes(topic: Topic) -> bytes:
    """Return the body of the topic's built event, as the codec of today writes it."""
    return codec_of(topic).encode(build(topic))


def read_lock(place: Place = HERE) -> Lock:
    """Return the released versions by schema name; none when nothing was released."""
    if not place.lock.exists():
        return {}
    found: Lock = json.loads(place.lock.read_text("utf-8"))
    return found


def problems(place: Place = HERE) -> list[str]:
    """Return all that is wrong with the schemas of today and what was released."""
    lock = read_lock(place)
    names = {path.name.removesuffix(".avsc") for path in place.schema("").parent.glob("*.avsc")}
    found = [f"{name}: expected a topic, was none" for name in sorted(names - {*subjects()})]
    for name in sorted(subjects()):
        if name not in names:
            found.append(f"{name}: expected avro/{name}.avsc, was none")
            continue
        text = place.schema(name).read_text("utf-8")
        wrong = lint(text) or [
            *_released_problems(place, name, lock.get(name, [])),
            *_today_problems(place, name, text, lock.get(name, [])),
        ]
        found += [f"{name}: {each}" for each in wrong]
    gone = sorted(set(lock) - names)
    return [*found, *(f"{name}: expected a released schema to stay, was removed" for name in gone)]


def write(place: Place = HERE, *, unreleased: bool = False) -> list[str]:
    """Release every schema that changed; return what was written, as ``name.vN``.

    Args:
        place: Where.
        unreleased: Nothing has left this machine yet: write version 1 again.

    Raises:
        Misconfigured: A schema breaks a rule or a released version, or ``unreleased`` was
            asked for although a second version exists.
    """
    lock = {} if unreleased else read_lock(place)
    if unreleased:
        _refuse_if_released(read_lock(place))
    fresh = []
    for name, topic in sorted(subjects().items()):
        text = place.schema(name).read_text("utf-8")
        entries = lock.setdefault(name, [])
        if entries and _same(entries[-1], fingerprints(text)):
            continue
        _refuse(place, name, text, entries)
        fresh.append((name, topic, text, len(entries) + 1))
    for name, topic, text, version in fresh:
        lock[name].append(_release(place, name, topic, text, version))
    place.lock.write_text(json.dumps(lock, indent=1, sort_keys=True) + "\n", "utf-8")
    return [f"{name}.v{version}" for name, _, _, version in fresh]


def _release(place: Place, name: str, topic: Topic, text: str, version: int) -> dict[str, Any]:
    body = golden_bytes(topic)
    for path in (place.released(name, version), place.golden(name, version)):
        path.parent.mkdir(parents=True, exist_ok=True)
    place.released(name, version).write_text(text, "utf-8")
    place.golden(name, version).write_bytes(body)
    digests = {**fingerprints(text), "sha256_golden": hashlib.sha256(body).hexdigest()}
    return {"version": version, **digests}


def _refuse_if_released(lock: Lock) -> None:
    later = sorted(name for name, entries in lock.items() if len(entries) > 1)
    if later:
        raise Misconfigured(
            f"--unreleased: expected only first versions, was a second one of {later[0]}; "
            f"run '{WRITE}'"
        )


def _refuse(place: Place, name: str, text: str, entries: Sequence[Mapping[str, Any]]) -> None:
    wrong = lint(text)
    for each in entries:
        old = place.released(name, each["version"]).read_text("utf-8")
        wrong += [f"since v{each['version']}: {found}" for found in changes(old, text)]
    if wrong:
        raise Misconfigured(f"{name}: {'; '.join(wrong)}")


def _same(entry: Mapping[str, Any], prints: Mapping[str, str]) -> bool:
    return all(entry.get(key) == value for key, value in prints.items())


def _released_problems(place: Place, name: str, entries: Sequence[Mapping[str, Any]]) -> list[str]:
    found = []
    for number, entry in enumerate(entries, 1):
        schema, golden = place.released(name, number), place.golden(name, number)
        if entry.get("version") != number or not schema.exists() or not golden.exists():
            found.append(f"expected v{number} with its schema and golden bytes, was incomplete")
            continue
        prints = fingerprints(schema.read_text("utf-8"))
        prints["sha256_golden"] = hashlib.sha256(golden.read_bytes()).hexdigest()
        found += [
            f"expected the released v{number} as it was, {key} differs; restore it"
            for key in DIGESTS
            if entry.get(key) != prints[key]
        ]
    return found


def _today_problems(
    place: Place, name: str, text: str, entries: Sequence[Mapping[str, Any]]
) -> list[str]:
    if not entries:
        return [f"expected a released version, was none; run '{WRITE}'"]
    found = []
    for number in range(1, len(entries) + 1):
        path = place.released(name, number)
        old = path.read_text("utf-8") if path.exists() else text
        found += [f"since v{number}: {each}" for each in changes(old, text)]
    if not _same(entries[-1], fingerprints(text)):
        found.append(f"expected the schema of v{len(entries)}, was changed; run '{WRITE}'")
    return found


def main(arguments: Sequence[str]) -> int:
    """Print every problem (exit 1), or with ``--write`` release what changed."""
    say = sys.stdout.write
    if "--write" not in arguments:
        found = problems()
        say("".join(f"{each}\n" for each in found) or "the schemas are as released\n")
        return 1 if found else 0
    try:
        written = write(unreleased="--unreleased" in arguments)
    except AegisError as error:
        say(f"{error}\n")
        return 1
    say("".join(f"{each}\n" for each in written) or "nothing changed\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

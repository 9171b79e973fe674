"""The lock file: every line is understood or refused, and ours is whole."""

import pytest

from infra.stack import lockfile
from schemas.errors import Misconfigured

SHA = "ab" * 32


def test_a_jar_is_the_default_packaging() -> None:
    [artifact] = lockfile.parse(f"# a comment\n\norg.slf4j:slf4j-api:1.7.36 {SHA} 41125\n")

    assert artifact.filename == "slf4j-api-1.7.36.jar"
    assert (artifact.group, artifact.sha256, artifact.size) == ("org.slf4j", SHA, 41125)


def test_a_tarball_carries_its_classifier() -> None:
    [artifact] = lockfile.parse(f"io.apicurio:app:3.3.3:tar.gz:all {SHA} 1")

    assert artifact.filename == "app-3.3.3-all.tar.gz"


@pytest.mark.parametrize(
    "line",
    [
        f"org.slf4j:slf4j-api {SHA} 1",
        f"g:n:1 {SHA[:-1]} 1",
        f"g:n:1 {SHA}",
        f"g:n:1 {SHA} many",
        f"g:n:1:jar:all:more {SHA} 1",
    ],
)
def test_a_broken_line_is_refused_by_its_number(line: str) -> None:
    with pytest.raises(Misconfigured, match=r"line 2: expected .* restore the file"):
        lockfile.parse(f"# first\n{line}")


def test_our_own_lock_names_one_broker_and_one_registry() -> None:
    jars = lockfile.kafka_jars()

    assert len(jars) == 46
    assert [each.version for each in jars if each.name == "kafka_2.13"] == [lockfile.KAFKA]
    assert lockfile.registry_tarball().version == lockfile.APICURIO
    assert len({each.filename for each in jars}) == len(jars)

"""Artifacts come over real HTTP from a loopback repository that lies in three ways."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra.stack import artifacts
from infra.stack.lockfile import Artifact
from infra.stack.progress import Quiet
from schemas.errors import Misconfigured

BODY = b"a jar, more or less" * 100
JAR = Artifact(
    group="kr.aegis",
    name="jar",
    version="1",
    packaging="jar",
    classifier="",
    sha256=hashlib.sha256(BODY).hexdigest(),
    size=len(BODY),
)


class Count(Quiet):
    """Remembers how often it was told of bytes."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def fetching(self, done: int, total: int) -> None:
        self.told.append((done, total))


@contextmanager
def repository(body: bytes, *, promised: int | None = None) -> Iterator[str]:
    """Serve one body for every path, promising ``promised`` bytes of it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith(".sha1"):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body) if promised is None else promised))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_fetched_artifact_is_not_fetched_again(tmp_path: Path) -> None:
    first, second = Count(), Count()
    with repository(BODY) as url:
        folder = artifacts.jars([JAR], tmp_path, repository=url, progress=first)
    artifacts.jars([JAR], tmp_path, repository="http://127.0.0.1:9", progress=second)

    assert (folder / JAR.filename).read_bytes() == BODY
    assert first.told[-1] == (JAR.size, JAR.size)
    assert second.told == []


def test_a_cached_artifact_that_rotted_is_fetched_again(tmp_path: Path) -> None:
    with repository(BODY) as url:
        folder = artifacts.jars([JAR], tmp_path, repository=url, progress=Quiet())
        (folder / JAR.filename).write_bytes(BODY[::-1])
        artifacts.jars([JAR], tmp_path, repository=url, progress=Quiet())

    assert (folder / JAR.filename).read_bytes() == BODY


def test_a_wrong_checksum_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        repository(BODY[::-1]) as url,
        pytest.raises(
            Misconfigured, match=r"jar-1\.jar: expected SHA-256 .*AEGIS_STACK__MAVEN_URL"
        ),
    ):
        artifacts.jars([JAR], tmp_path, repository=url, progress=Quiet())

    assert [each.name for each in tmp_path.rglob("*.jar")] == []


def test_a_torn_download_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        repository(BODY[:500], promised=len(BODY)) as url,
        pytest.raises(Misconfigured, match=r"jar-1\.jar: .*broke off 3 times.*check the network"),
    ):
        artifacts.jars([JAR], tmp_path, repository=url, progress=Quiet())

    assert [each.name for each in tmp_path.rglob("*.jar")] == []


def test_a_repository_that_nobody_serves_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"broke off 3 times .*AEGIS_STACK__MAVEN_URL"):
        artifacts.jars([JAR], tmp_path, repository="http://127.0.0.1:9", progress=Quiet())


def test_a_tarball_is_unpacked_once(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tarball:
        member = tarfile.TarInfo("quarkus-run.jar")
        member.size = len(BODY)
        tarball.addfile(member, io.BytesIO(BODY))
    body = packed.getvalue()
    sha256 = hashlib.sha256(body).hexdigest()
    archive = replace(JAR, packaging="tar.gz", classifier="all", sha256=sha256, size=len(body))
    with repository(body) as url:
        folder = artifacts.unpacked(archive, tmp_path, repository=url, progress=Quiet())
    again = artifacts.unpacked(archive, tmp_path, repository="http://127.0.0.1:9", progress=Quiet())

    assert (folder / "quarkus-run.jar").read_bytes() == BODY
    assert again == folder
    assert list(tmp_path.rglob("*.tar.gz")) == []

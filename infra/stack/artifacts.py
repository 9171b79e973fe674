"""Artifacts come by exact coordinates, are checked against the lock file, then cached.

A file enters the cache by an atomic rename and only when its SHA-256 is right; every start
checks it again.  Two stacks that start at once take turns (a file lock).  jgo downloads; it
never resolves, because its resolver picks other versions than Maven's.
"""

import fcntl
import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from infra.stack.lockfile import Artifact
from infra.stack.progress import Progress
from schemas.errors import Misconfigured

JARS = "jars"
DOWNLOADS_MAX = 6
ATTEMPTS_MAX = 3
DOWNLOAD_WAIT_S_MAX = 30
_COMPLETE = ".complete"


def jars(
    artifacts: Sequence[Artifact], cache: Path, *, repository: str | None, progress: Progress
) -> Path:
    """Return a folder in the cache that holds exactly these files, each one checked.

    Args:
        artifacts: What must be there; they share the folder of their first one's stack part.
        cache: The user's cache; made when absent.
        repository: Base URL of a Maven repository to ask instead of jgo's default.
        progress: Told of bytes while they come.

    Raises:
        Misconfigured: The cache cannot be written, a download is torn or its checksum wrong.
    """
    folder = cache / JARS
    with _alone(cache):
        folder.mkdir(exist_ok=True)
        missing = [each for each in artifacts if not is_right(folder / each.filename, each)]
        if missing:
            fetch(missing, folder, repository=repository, progress=progress)
    return folder


def unpacked(
    artifact: Artifact, cache: Path, *, repository: str | None, progress: Progress
) -> Path:
    """Return the folder in the cache into which this checked tarball was unpacked.

    Raises:
        Misconfigured: As ``jars``.
    """
    folder = cache / f"{artifact.name}-{artifact.version}-{artifact.sha256[:12]}"
    with _alone(cache):
        if (folder / _COMPLETE).exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            here = Path(scratch)
            fetch([artifact], here, repository=repository, progress=progress)
            inside = here / "unpacked"
            with tarfile.open(here / artifact.filename) as tarball:
                tarball.extractall(inside, filter="data")
            (inside / _COMPLETE).touch()
            inside.rename(folder)
    return folder


def fetch(
    artifacts: Sequence[Artifact], folder: Path, *, repository: str | None, progress: Progress
) -> None:
    """Download artifacts into a folder; each appears there whole and checked, or not at all."""
    total = sum(each.size for each in artifacts)
    done, lock = 0, Lock()

    def came(count: int) -> None:
        nonlocal done
        with lock:
            done += count
            progress.fetching(min(done, total - 1), total)

    progress.fetching(0, total)
    with (
        tempfile.TemporaryDirectory(dir=folder.parent) as scratch,
        ThreadPoolExecutor(DOWNLOADS_MAX) as pool,
    ):
        largest_first = sorted(artifacts, key=lambda each: -each.size)
        jobs = [
            pool.submit(_fetch_one, each, folder, Path(scratch), repository, came)
            for each in largest_first
        ]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    progress.fetching(total, total)


def _fetch_one(
    artifact: Artifact,
    folder: Path,
    scratch: Path,
    repository: str | None,
    came: Callable[[int], None],
) -> None:
    file = _download(artifact, scratch, repository, came)
    found = digest(file)
    if found != artifact.sha256:
        raise Misconfigured(
            f"{artifact.filename}: expected SHA-256 {artifact.sha256} as "
            f"infra/stack/artifacts.lock says, was {found}; something on the way changed it: try "
            "another network, or name a repository that you trust in AEGIS_STACK__MAVEN_URL"
        )
    file.replace(folder / artifact.filename)


def _download(
    artifact: Artifact, scratch: Path, repository: str | None, came: Callable[[int], None]
) -> Path:
    from jgo import maven  # noqa: PLC0415 -- 0.8 s, only when a file is missing
    from requests import RequestException  # noqa: PLC0415 -- same

    @contextmanager
    def counted(_name: str, _total: int) -> Iterator[Callable[[int], None]]:
        yield came

    context = maven.MavenContext(
        resolver=maven.PythonResolver(progress_callback=counted),
        repo_cache=scratch,
        local_repos=[],
        remote_repos=None if repository is None else {"aegis": repository.rstrip("/")},
        timeout=DOWNLOAD_WAIT_S_MAX,
    )
    wanted = (
        context.project(artifact.group, artifact.name)
        .at_version(artifact.version)
        .artifact(packaging=artifact.packaging, classifier=artifact.classifier)
    )
    reason = ""
    for _ in range(ATTEMPTS_MAX):
        try:
            file = Path(wanted.resolve())
            size = file.stat().st_size
            if size == artifact.size:
                return file
            reason = f"{size} bytes came"
        except (RequestException, RuntimeError, OSError) as error:
            reason = _first_line(error)
        shutil.rmtree(scratch / Path(str(wanted.component.path_prefix)), ignore_errors=True)
    raise Misconfigured(
        f"{artifact.filename}: expected {artifact.size} bytes, the download broke off "
        f"{ATTEMPTS_MAX} times ({reason}); check the network and its proxy, or name a Maven "
        "repository that you reach in AEGIS_STACK__MAVEN_URL, then run `aegis up` again"
    )


def digest(file: Path) -> str:
    """Return a file's SHA-256 as lower-case hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_right(file: Path, artifact: Artifact) -> bool:
    """Return whether a file is there and is what the lock file says."""
    return (
        file.is_file() and file.stat().st_size == artifact.size and digest(file) == artifact.sha256
    )


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except PermissionError as error:
        raise Misconfigured(
            f"expected to write the artifact cache {cache}, was refused ({error.strerror}); "
            "own that folder or name another by XDG_CACHE_HOME"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]

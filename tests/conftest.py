"""One stack for the whole test session, shared by every xdist worker.

It lives in a scratch folder, beside any stack of the developer's own, and ends with the process
that runs the session, however that ends.  ``AEGIS_TEST_STACK`` (the JSON object that
``aegis up --json`` would print, passwords included) names one that runs already.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from infra.settings import Settings
from infra.stack import stack as local
from infra.stack.endpoints import Endpoints

hypothesis_settings.register_profile("aegis", deadline=None)  # machines are noisy: no timed tests
hypothesis_settings.load_profile("aegis")

SCRATCH = "AEGIS_TEST_VAR_DIR"
GIVEN = "AEGIS_TEST_STACK"


def pytest_configure(config: pytest.Config) -> None:
    """Forget the developer's own settings; name one scratch folder for all workers."""
    for name in [each for each in os.environ if each.startswith("AEGIS_")]:
        if not name.startswith("AEGIS_TEST_"):
            del os.environ[name]
    if not _is_worker(config):
        os.environ[SCRATCH] = tempfile.mkdtemp(prefix="aegis-test-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the session's stack, if a test started it, and remove its data."""
    if not _is_worker(config) and SCRATCH in os.environ:
        scratch = Path(os.environ.pop(SCRATCH))
        local.down(Settings(var_dir=scratch))
        shutil.rmtree(scratch)


@pytest.fixture(scope="session")
def stack_settings() -> Settings:
    """Return settings whose local stack is the session's."""
    return Settings(var_dir=Path(os.environ[SCRATCH]))


@pytest.fixture(scope="session")
def stack(stack_settings: Settings, request: pytest.FixtureRequest) -> Endpoints:
    """Return the session's stack, started by the first test that asks."""
    given = os.environ.get(GIVEN)
    if given is not None:
        return Endpoints(**json.loads(given))
    session = os.getppid() if _is_worker(request.config) else os.getpid()
    return local.up(stack_settings, owner_pid=session)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")

"""One app and one Power BI service for each test process; or those that E2E_BASE_URL and E2E_POWER_BI_URL name."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Devhost
from tests.e2e.world import FAST, World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The app as its callers have it. An app elsewhere needs the settings `tests.e2e.world.FAST`."""
    base = os.environ.get("E2E_BASE_URL")
    if base:
        yield World(base, os.environ["E2E_POWER_BI_URL"], os.environ.get("E2E_FUNCTION_KEY"))
        return
    with ExitStack() as stack:
        service = stack.enter_context(serve(PowerBiService()))
        state = tmp_path_factory.mktemp("state")
        arguments = ("--key", KEY, "--exact-timers")
        env = {**FAST, "POWER_BI_API_URL": service.base_url}
        app = stack.enter_context(Devhost(ROOT, state, *arguments, env=env))
        yield World(app.base, service.base_url)


@pytest.fixture
def local() -> None:
    """Skips where the app is not ours to stop and start."""
    if os.environ.get("E2E_BASE_URL"):
        pytest.skip("the app under test runs elsewhere: it cannot be killed or given other settings")

"""One Power BI service per test process, and one app per kind of access, which is started when it is first needed."""

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from tests.callers.adf_estate import FACTORY, App, Factory, sign_in
from tests.callers.servers import post_office, serving, vault
from tests.e2e.world import World

SETTINGS: dict[str, dict[str, str]] = {
    "identity": {"AUTH_MODE": "entra", "ALLOWED_CALLERS": FACTORY, "WEBSITE_AUTH_ENABLED": "True"},
    "key": {},
    "key, Durable's own addresses": {"EXPOSE_MANAGEMENT_URIS": "true"},
}
"""App settings by kind of access."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips tests that need data-factory-testing-framework 0.2.17 on a Python for which it cannot be installed."""
    if sys.version_info >= (3, 13) and item.path.name.startswith("test_adf_"):
        pytest.skip("data-factory-testing-framework 0.2.17 needs Python before 3.13")


@pytest.fixture(scope="session")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Factory]]:
    """Creates the factory for one of SETTINGS, with an app that has these settings."""
    if os.environ.get("E2E_BASE_URL"):
        pytest.skip("the app under test runs elsewhere: the test cannot kill it or change its settings")
    made: dict[str, Factory] = {}
    with ExitStack() as stack:
        power_bi = stack.enter_context(serve(PowerBiService())).base_url
        post = stack.enter_context(post_office())
        pool = stack.enter_context(ThreadPoolExecutor(32))

        def make(form: str) -> Factory:
            app = App(tmp_path_factory.mktemp(form), power_bi, **SETTINGS[form])
            stack.callback(app.stop)
            base = stack.enter_context(serving(sign_in(app))) if form == "identity" else app.base
            secrets = stack.enter_context(serving(vault(app.key)))
            return Factory(app, base, secrets, post, World(app.base, power_bi, app.key), pool)

        def given(form: str) -> Factory:
            if form not in made:
                made[form] = make(form)
            return made[form]

        yield given


@pytest.fixture
def keyed(factory: Callable[[str], Factory]) -> Factory:
    """The app with function keys."""
    return factory("key")

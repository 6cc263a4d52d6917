"""One Power BI service for each test process, and an app for each way to prove who one is, when it is first needed."""

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
"""The apps that there are, by what their callers need."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips where the evaluator of expressions, data-factory-testing-framework 0.2.17, cannot be installed."""
    if sys.version_info >= (3, 13) and item.path.name.startswith("test_adf_"):
        pytest.skip("data-factory-testing-framework 0.2.17 does not run on Python 3.13")


@pytest.fixture(scope="session")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Factory]]:
    """Gives a factory by one of SETTINGS, with an app that has these settings."""
    if os.environ.get("E2E_BASE_URL"):
        pytest.skip("the app under test runs elsewhere: it cannot be killed or given other settings")
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

"""One Power BI service for each test process, and an app for each way to prove who one is, when it is first needed."""

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from devhost.power_bi.server import serve
from devhost.power_bi.service import PowerBiService
from tests.callers.estate import FACTORY, App, Factory, sign_in
from tests.callers.servers import post_office, serving, vault
from tests.e2e.world import World

collect_ignore_glob = [] if sys.version_info < (3, 13) else ["test_adf_*"]
"""data-factory-testing-framework 0.2.17 knows no later Python."""


@pytest.fixture(scope="session")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Factory]]:
    """Gives the factory that calls with its `identity`, or with a `key`, each with an app that wants just that."""
    if os.environ.get("E2E_BASE_URL"):
        pytest.skip("the app under test runs elsewhere: it cannot be killed or given other settings")
    made: dict[str, Factory] = {}
    with ExitStack() as stack:
        power_bi = stack.enter_context(serve(PowerBiService())).base_url
        post = stack.enter_context(post_office())
        pool = stack.enter_context(ThreadPoolExecutor(32))

        def make(form: str) -> Factory:
            settings = {"AUTH_MODE": "entra", "ALLOWED_CALLERS": FACTORY, "WEBSITE_AUTH_ENABLED": "True"}
            app = App(tmp_path_factory.mktemp(form), power_bi, **(settings if form == "identity" else {}))
            stack.callback(app.stop)
            base = app.base if form == "key" else stack.enter_context(serving(sign_in(app)))
            secrets = stack.enter_context(serving(vault(app.key)))
            return Factory(app, base, secrets, post, World(app.base, power_bi, app.key), pool)

        def given(form: str) -> Factory:
            if form not in made:
                made[form] = make(form)
            return made[form]

        yield given

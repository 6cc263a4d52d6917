"""An engine with late messages, as if HTTP and durable functions ran on different hosts."""

import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import requests

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Devhost
from tests.e2e.world import CALL_SECONDS, FAST, World

pytestmark = pytest.mark.usefixtures("local")

LATENCY = 10
"""The maximum delay in seconds: the `maxQueuePollingInterval` of an idle app."""
END_SECONDS = 240.0


@cache
def switches() -> str:
    """The command-line options of the devhost."""
    words = [sys.executable, "-m", "devhost", "--help"]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=CALL_SECONDS).stdout


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An app whose starts, signals and events arrive up to ten seconds late, in any order."""
    if "--latency" not in switches():
        pytest.skip("this devhost has no switch --latency")
    state: Path = tmp_path_factory.mktemp("state")
    with serve(PowerBiService()) as service:
        env = {**FAST, "POWER_BI_API_URL": service.base_url}
        with Devhost(ROOT, state, "--key", KEY, "--exact-timers", "--latency", str(LATENCY), env=env) as app:
            yield World(app.base, service.base_url)


@pytest.mark.parametrize("key", [{}, {"idempotencyKey": "k"}])
def test_a_start_waits_for_no_message(late: World, key: dict[str, str]) -> None:
    """Five starts, with and without a key, are each accepted at once and end with success."""
    models = [late.model() for _ in range(5)]
    began = time.monotonic()
    started = [late.ask(model, **key) for model in models]
    # sequentially: if each start waited for a signal, it would take five seconds on average
    assert time.monotonic() - began < 12
    for each in started:
        status = requests.get(each["statusUri"], timeout=CALL_SECONDS)
        assert status.status_code in (200, 202), status.text
    assert [late.follow(each["statusUri"], END_SECONDS).code for each in started] == [200] * len(models)
    assert [len(late.own(model)) for model in models] == [1] * len(models)


def test_a_repeat_before_the_first_message_arrived_is_the_same_request(late: World) -> None:
    """A repeat gets the same URIs, and there is one refresh, although the engine has not begun the request yet."""
    model = late.model()
    first, again = (late.ask(model, idempotencyKey="k") for _ in range(2))
    assert [first[name] for name in ("id", "statusUri")] == [again[name] for name in ("id", "statusUri")]
    assert late.follow(first["statusUri"], END_SECONDS).code == 200
    assert len(late.own(model)) == 1


def test_a_late_cancellation_takes_effect(late: World) -> None:
    """A cancellation takes effect, although its messages may arrive late and in any order."""
    model = late.model()
    late.external(model)
    started = late.ask(model)
    late.until(started["statusUri"], lambda status: status.get("waitsFor"), END_SECONDS)
    assert requests.delete(started["cancelUri"], timeout=CALL_SECONDS).status_code == 202
    result = late.follow(started["statusUri"], END_SECONDS)
    assert (result.code, result.body["status"]) == (424, "Cancelled")
    assert late.own(model) == []

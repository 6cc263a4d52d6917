"""Neither a model whose Power BI hangs nor a receiver that stays silent delays other requests.

The stalls last far longer than the test may take, or until it ends. So the test cannot pass on a slow machine only
because a stall ended.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Devhost, until
from tests.e2e.receiver import receiving
from tests.e2e.test_check import check
from tests.e2e.world import FAST, WORKSPACE, World
from tests.unit.outbound.hostile import Server, serving, silent

pytestmark = pytest.mark.usefixtures("local")

STALLED_MODELS = 8
SILENT_RECEIVERS = 100
STALL_SECONDS = 300
"""How long Power BI hangs for a model. The app gives up a call after 30 seconds without an answer, and calls again."""
FELT = 4.0
"""The factor by which a call may take longer with the stalls than without them: all the servers share two cores."""
MIN_SECONDS = 2.0
"""Shorter times always pass: a call of a few milliseconds can occasionally take ten times as long."""

Json = dict[str, Any]
Record = Callable[[str, object], None]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An app for this test alone. Receivers at both names of this machine are allowed."""
    with ExitStack() as stack:
        service = stack.enter_context(serve(PowerBiService()))
        env = {**FAST, "POWER_BI_API_URL": service.base_url, "CALLBACK_ALLOWED_HOSTS": "127.0.0.1,localhost"}
        host = stack.enter_context(Devhost(ROOT, tmp_path, "--key", KEY, "--exact-timers", env=env))
        yield World(host.base, service.base_url)


def seconds_of(work: Callable[[], object]) -> float:
    """The duration in seconds."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def measure(world: World) -> dict[str, float]:
    """The durations of the calls of a healthy model's callers."""
    model = world.model(seconds=1)

    def refresh() -> None:
        result = world.refresh(model)
        assert result.body["status"] == "Completed", result.body

    def check_model() -> None:
        answer = check(world, model)
        assert answer.status_code == 200
        assert answer.json()["ok"] is True, answer.text

    return {
        "a refresh": seconds_of(refresh),
        "a check": seconds_of(check_model),
        "the list": seconds_of(lambda: world.listing().raise_for_status()),
    }


def assert_not_slower(before: dict[str, float], beside: dict[str, float], record_property: Record) -> None:
    """Fails if a call took much longer with the stalls than without."""
    for what, seconds in beside.items():
        record_property("measured", f"stalls: {what} took {seconds:.1f} s, and {before[what]:.1f} s without them")
        assert seconds < max(FELT * before[what], MIN_SECONDS), (what, before, beside)


def test_models_whose_power_bi_hangs_do_not_delay_others(world: World, record_property: Record) -> None:
    """Eight models hang; each has three callers that cannot share a refresh."""
    before = measure(world)
    stalled = [world.model() for _ in range(STALLED_MODELS)]
    for model in stalled:
        world.fault(model, "hang", "history", probability=1, seconds=STALL_SECONDS)
        for _ in range(3):
            world.ask(model, share=False)
    until(lambda: all(world.truth(model)["calls"]["history"] for model in stalled), 60)
    assert_not_slower(before, measure(world), record_property)


def test_silent_receivers_do_not_delay_others(world: World, record_property: Record) -> None:
    """With a hundred silent receivers on one host, a receiver on another host is called immediately."""
    before = measure(world)
    model = world.model(seconds=1)
    with serving(silent) as server, receiving() as receiver:
        _ask_for_callbacks(world, model, server)
        # a host never gets more simultaneous calls than this
        until(lambda: len(server.peers) >= 16, 60)
        assert_not_slower(before, measure(world), record_property)
        uri = receiver.uri.replace("127.0.0.1", "localhost")
        began = time.monotonic()
        assert world.post({"workspaceId": WORKSPACE, "datasetId": world.model(seconds=1), "callBackUri": uri}).ok
        receiver.wait_for_calls()
        took = time.monotonic() - began
        record_property("measured", f"stalls: with {SILENT_RECEIVERS} silent receivers, a callback took {took:.1f} s")
        assert took < max(FELT * before["a refresh"], MIN_SECONDS)


def _ask_for_callbacks(world: World, model: str, server: Server) -> None:
    port = urlsplit(server.url).port

    def one(number: int) -> None:
        uri = f"http://127.0.0.1:{port}/callback/{number}?sig=x"
        assert world.post({"workspaceId": WORKSPACE, "datasetId": model, "callBackUri": uri}).ok

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(SILENT_RECEIVERS)))

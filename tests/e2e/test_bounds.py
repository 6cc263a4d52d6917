"""The limits of the app: a full queue, long lists, large requests, and a service with invalid answers.

Times are compared with an undisturbed run of the same app, so that the speed of the machine does not matter.
"""

import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Devhost, until
from tests.e2e import hostile_power_bi as hostile
from tests.e2e.hostile_power_bi import HostilePowerBi, Script, serving_hostile
from tests.e2e.test_stalls import compared, measured
from tests.e2e.world import FAST, LONG, WORKSPACE, World
from tests.unit.outbound.hostile import serving, silent

pytestmark = pytest.mark.usefixtures("local")
FULL_SIZE = pytest.mark.skipif(
    not os.environ.get("BOUNDS_AT_FULL_SIZE"),
    reason="takes minutes; BOUNDS_AT_FULL_SIZE=1 runs it (docs/development.md)",
)

MEGABYTES_OF_A_LOAD, MEGABYTES_OF_HOSTILITY = 400, 300
"""Limits of the resident memory of the process, which contains the app and the devhost with the state of its engine."""
POLLS = {"POLL_MIN_SECONDS": "2", "POLL_MAX_SECONDS": "5", "OUTAGE_BUDGET_SECONDS": "60"}
"""These tests poll less often than others: reading thirty histories of megabytes would keep the machine busy."""
POLL_SECONDS = 1.0
"""The seconds between two polls of all callers. More frequent polls would keep the machine busy."""
DRIPPING_MODELS, LONG_HISTORIES = 8, 30
PATCHED = """
import importlib.util, sys
sys.path.insert(0, {root!r})
from refresh.queue import room
room.MAX_RUNS = {runs}
spec = importlib.util.spec_from_file_location("app_under_test", {root!r} + "/function_app.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
app = module.app
"""

Json = dict[str, Any]
Record = Callable[[str, object], None]


@contextmanager
def hosted(
    state: Path, power_bi: str, app: Path = ROOT, settings: Mapping[str, str] | None = None
) -> Iterator[tuple[World, Devhost]]:
    """An app for this test alone."""
    env = {**FAST, "POWER_BI_API_URL": power_bi, "CALLBACK_ALLOWED_HOSTS": "127.0.0.1,localhost", **(settings or {})}
    with Devhost(app, state, "--key", KEY, "--exact-timers", env=env) as host:
        yield World(host.base, power_bi), host


def peak_megabytes(host: Devhost) -> float:
    """The peak memory of the process. Skips the test if it cannot be read."""
    if sys.platform != "linux":
        pytest.skip("the memory of another process is read from /proc")
    lines = Path(f"/proc/{host.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


# ---- a full queue ----


def test_a_start_with_a_full_queue_gets_429(tmp_path: Path) -> None:
    """A start with a full queue gets 429 with Retry-After, and no request begins. A repeat needs no room. When a
    request leaves, there is room again."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "host.json").write_bytes((ROOT / "host.json").read_bytes())
    (app / "function_app.py").write_text(PATCHED.format(root=str(ROOT), runs=3), encoding="utf-8")
    with serve(PowerBiService()) as service, hosted(tmp_path / "state", service.base_url, app) as (world, _):
        model, other = world.model(seconds=LONG), world.model()
        keyed = world.ask(model, share=False, idempotencyKey="first")
        last = [world.ask(model, share=False) for _ in range(2)][-1]
        world.queue_when(model, lambda queue: queue["waiting"] == 3)
        refused = world.start(model, share=False)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "QueueFull")
        assert int(refused.headers["Retry-After"]) >= 1
        assert len(world.listing(datasetId=model).json()["refreshes"]) == 3
        assert world.ask(model, share=False, idempotencyKey="first")["id"] == keyed["id"]
        assert world.start(other).status_code == 202
        assert requests.delete(last["cancelUri"], timeout=30).status_code == 202
        world.queue_when(model, lambda queue: queue["waiting"] == 2)
        until(lambda: world.start(model, share=False).status_code == 202, 30)


# ---- lists ----


def whole_list(world: World, **filters: str) -> list[list[Json]]:
    """The pages of a list."""
    pages: list[list[Json]] = []
    continuation: str | None = ""
    while continuation is not None:
        page = world.listing(continuation=continuation, **filters).json()
        pages.append(page["refreshes"])
        continuation = page["continuation"]
    return pages


def test_a_list_of_many_pages_is_newest_first(tmp_path: Path) -> None:
    """Of 230 requests for three models, with and without keys, each is on exactly one page, and the newest 50 are on
    the first."""
    with serve(PowerBiService()) as service, hosted(tmp_path, service.base_url) as (world, _):
        models = [world.model(seconds=0.2) for _ in range(3)]
        ids = []
        for number in range(230):
            key = {"idempotencyKey": f"key {number}"} if number % 2 else {}
            ids.append(world.ask(models[number % 3], **key)["id"])
        pages = whole_list(world)
        assert [len(page) for page in pages] == [50, 50, 50, 50, 30]
        listed = [row["id"] for page in pages for row in page]
        times = [row["requestedAt"] for page in pages for row in page]
        assert times == sorted(times, reverse=True)
        assert sorted(listed) == sorted(ids)
        # compared by time, because two requests of the same millisecond have no order
        time_of = dict(zip(listed, times, strict=True))
        assert times[:50] == sorted((time_of[request] for request in ids[-50:]), reverse=True)
        (first, second) = whole_list(world, datasetId=models[0])
        assert [row["id"] for row in first + second] == ids[::3][::-1]
        (recent,) = whole_list(world, datasetId=models[0], since=first[9]["requestedAt"])
        assert [row["id"] for row in recent] == ids[::3][:-11:-1]
        continuation = world.listing().json()["continuation"]
        other = "B" if continuation[20] == "A" else "A"
        for forged in (continuation[:-1], continuation[:20] + other + continuation[21:], "AAAA", "x" * 3000):
            assert world.listing(continuation=forged).status_code == 400
        for stale in ({"datasetId": models[0]}, {"status": "Completed"}, {"since": times[-1]}):
            refused = world.listing(continuation=continuation, **stale)
            assert (refused.status_code, refused.json()["error"]["target"]) == (400, "continuation")


# ---- large requests ----


def large_scope(name: str, characters: int) -> Json:
    """A scope of a thousand tables, with names of this length."""
    return {"objects": [{"table": f"{name} {number:04} ".ljust(characters, "x")} for number in range(1000)]}


@FULL_SIZE
@pytest.mark.timeout(900)
def test_large_requests_end_in_time(tmp_path: Path, record_property: Record) -> None:
    """A hundred callers of one model send keys and bodies of 60 KB, and thirty callers of another model each have their
    own tables. All requests end in time."""
    with serve(PowerBiService()) as service, hosted(tmp_path, service.base_url) as (world, host):
        one, other = world.model(seconds=0.5), world.model(seconds=0.5)
        idle = peak_megabytes(host)
        bodies: list[tuple[str, Json]] = [
            (one, {"idempotencyKey": f"key {number}", "refresh": large_scope("Table", 45)}) for number in range(100)
        ]
        bodies += [(other, {"refresh": large_scope(f"Model {number}", 0)}) for number in range(30)]
        assert 59_000 < len(json.dumps(bodies[0][1])) < 64_000
        began = time.monotonic()
        with ThreadPoolExecutor(16) as pool:
            started = list(pool.map(lambda each: world.ask(each[0], timeoutMinutes=10, **each[1]), bodies))
        ends = [world.follow(each["statusUri"], 800).body for each in started]
        record_property("measured", f"bounds: 130 large requests had ended after {time.monotonic() - began:.0f} s")
        assert Counter(end["status"] for end in ends) == {"Completed": 130}
        peak = peak_megabytes(host)
        record_property("measured", f"bounds: {peak:.0f} MB at most, {idle:.0f} MB before")
        assert peak < MEGABYTES_OF_A_LOAD


# ---- stalls ----


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[tuple[World, Devhost, HostilePowerBi]]:
    """An app, and a Power BI service that can give invalid answers for some models."""
    with serving_hostile() as power_bi, hosted(tmp_path, power_bi.base_url, settings=POLLS) as (world, host):
        yield world, host, power_bi


def busy(world: World, count: int) -> list[str]:
    """Models with a long refresh, so that the app reads their history again and again."""
    models = [world.model(seconds=LONG) for _ in range(count)]
    for model in models:
        world.ask(model)
    until(lambda: all(world.own(model) for model in models), 90)
    return models


def make_hostile(power_bi: HostilePowerBi, models: list[str], script: Script) -> None:
    """From now on, a script answers each call for these models."""
    power_bi.scripts.update(dict.fromkeys(models, lambda: script))
    until(lambda: all(power_bi.calls.get(model) for model in models), 90)


def lengthen(power_bi: HostilePowerBi, models: list[str], rows: bytes) -> None:
    """From now on, the history of these models has more rows."""
    power_bi.more_rows.update(dict.fromkeys(models, rows))
    until(lambda: all(power_bi.calls.get(model) for model in models), 90)


DRIPS = {
    "a body": hostile.OK + b"Content-Length: 100000\r\n\r\n",
    "headers": hostile.OK + b"X-Long: ",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 100000\r\n\r\n",
    "chunks": hostile.OK + b"Transfer-Encoding: chunked\r\n\r\n",
}


@FULL_SIZE
def test_models_with_slow_answers_do_not_delay_others(
    estate: tuple[World, Devhost, HostilePowerBi], record_property: Record
) -> None:
    """Eight models with slow answers, two for each way of sending slowly, delay others no more than eight models with
    good answers."""
    world, _, power_bi = estate
    models = busy(world, DRIPPING_MODELS)
    before = measured(world)
    for number, head in enumerate(DRIPS.values()):
        make_hostile(power_bi, models[number :: len(DRIPS)], hostile.dripping(head))
    compared(before, measured(world), record_property)


@FULL_SIZE
@pytest.mark.parametrize("start_times", [True, False])
def test_long_histories_do_not_delay_others(
    estate: tuple[World, Devhost, HostilePowerBi], record_property: Record, *, start_times: bool
) -> None:
    """Thirty models with 20,000 rows each in their history delay others no more than thirty models with a few rows."""
    world, host, power_bi = estate
    models = busy(world, LONG_HISTORIES)
    before = measured(world)
    lengthen(power_bi, models, hostile.old_rows(start_times=start_times))
    compared(before, measured(world), record_property)
    assert peak_megabytes(host) < MEGABYTES_OF_A_LOAD


def test_all_stalls_together_do_not_delay_others(
    estate: tuple[World, Devhost, HostilePowerBi], record_property: Record
) -> None:
    """A hundred silent receivers, eight models with slow answers and fifteen with long histories do not delay
    others."""
    world, _, power_bi = estate
    dripping, long = busy(world, DRIPPING_MODELS), busy(world, LONG_HISTORIES // 2)
    before = measured(world)
    with serving(silent) as server:
        model = world.model(seconds=0.5)
        port = urlsplit(server.url).port

        def call_back(number: int) -> None:
            uri = f"http://127.0.0.1:{port}/callback/{number}?sig=x"
            assert world.post({"workspaceId": WORKSPACE, "datasetId": model, "callBackUri": uri}).ok

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(call_back, range(100)))
        make_hostile(power_bi, dripping, hostile.dripping(DRIPS["a body"]))
        lengthen(power_bi, long, hostile.old_rows())
        until(lambda: len(server.peers) >= 16, 90)
        compared(before, measured(world), record_property)


# ---- hostile answers ----


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=FULL_SIZE)])
def test_hostile_answers_break_nothing(
    estate: tuple[World, Devhost, HostilePowerBi], record_property: Record, seed: int
) -> None:
    """The app answers no call with 5xx, each request ends with a true outcome, and memory stays small.

    Two of three answers of Power BI and three of four answers of a receiver are invalid.
    """
    world, host, power_bi = estate
    chance = random.Random(seed)  # noqa: S311
    models = [world.model(seconds=0.5) for _ in range(10)]

    def scripts(number: int, share: float) -> Callable[[], Script | None]:
        """The answers for a model. They do not depend on the order of calls for different models."""
        own = random.Random(f"{seed} {number}")  # noqa: S311
        return lambda: hostile.hostile_answer(own) if own.random() < share else None

    power_bi.scripts.update({model: scripts(number, 0.66) for number, model in enumerate(models)})
    receiver = world.model()
    power_bi.scripts[receiver] = scripts(len(models), 0.75)
    uri = f"{power_bi.base_url}/datasets/{receiver}/callback"
    answers: Counter[int] = Counter()
    started = []
    for number in range(24):
        refresh = {"refresh": {"type": "Full"}} if number % 2 else {}
        body = {"workspaceId": WORKSPACE, "datasetId": models[number % 10], "timeoutMinutes": 1, **refresh}
        answer = world.post({**body, "retries": number % 3, "callBackUri": uri})
        answers[answer.status_code] += 1
        started.append(answer.json())
    left, end = {each["statusUri"] for each in started}, time.monotonic() + 240
    ends: dict[str, Json] = {}
    while left and time.monotonic() < end:
        for status_uri in [*left]:
            answer = requests.get(status_uri, timeout=30)
            answers[answer.status_code] += 1
            if answer.status_code != 202:
                left.discard(status_uri)
                ends[status_uri] = answer.json()
        check = {"workspaceId": WORKSPACE, "datasetId": chance.choice(models)}
        answers[requests.post(f"{world.app}/api/check", json=check, timeout=60).status_code] += 1
        answers[world.listing().status_code] += 1
        answers[world.queue(chance.choice(models)).status_code] += 1
        time.sleep(POLL_SECONDS)
    record_property("measured", f"bounds: hostile calls {sum(power_bi.calls.values())}, answers {dict(answers)}")
    record_property("measured", f"bounds: ends {dict(Counter(each['status'] for each in ends.values()))}")
    assert sum(power_bi.calls.values()) > 50
    assert left == set()
    assert set(answers) <= {200, 202, 424}
    for each in ends.values():
        states = {entry["requestId"]: entry["state"] for entry in world.truth(each["datasetId"])["refreshes"]}
        if each["status"] == "Completed":
            assert states[each["refreshId"]] == "Completed"
    peak = peak_megabytes(host)
    record_property("measured", f"bounds: {peak:.0f} MB at most with hostile answers")
    assert peak < MEGABYTES_OF_HOSTILITY

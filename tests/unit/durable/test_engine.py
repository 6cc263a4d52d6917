"""The client of the engine: its calls, its results, and what it does without an answer."""

import ast
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

import durable
from durable import waits
from durable.engine import PAGE_ROWS, Engine, EngineUnavailable, Exists, Started
from durable.instance import Instance
from refresh.messages import Message
from refresh.queue.operations import AskToLeave
from refresh.queue.state import Queue
from tests.unit.durable.engine_server import KEY, EngineServer, binding, row, with_server

BLOB_MISSING = (500, {"Message": "Something went wrong", "ExceptionMessage": "The specified blob does not exist."})
NO_ENGINE = "http://127.0.0.1:1/engine/"
NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)


class Order(Message, frozen=True, kw_only=True):
    """An input."""

    text: str


@pytest.fixture
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes pauses between reads take no time, and moves the clock of the engine client instead."""
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(waits, "sleep", sleep)
    monkeypatch.setattr(waits, "time", SimpleNamespace(monotonic=lambda: now))


def test_an_accepted_start() -> None:
    """The start of an orchestration has the message as its input."""

    async def use(engine: Engine, server: EngineServer) -> None:
        assert await engine.start("refresh_request", "a", Order(text="x")) == Started()
        ((call, _, body),) = server.requests
        assert call == "POST /orchestrators/refresh_request/a"
        given = json.loads(body)
        assert (json.loads(given) if isinstance(given, str) else given) == {"text": "x"}

    with_server({"POST": [(202, {"id": "a"})]}, use)


@pytest.mark.parametrize(
    "refusal", [(409, "An Orchestration instance with the status Running already exists."), BLOB_MISSING]
)
def test_a_start_of_an_active_orchestration(refusal: tuple[int, object]) -> None:
    """Whatever the engine answers, the result says that an orchestration with this id is active."""

    async def use(engine: Engine, _: EngineServer) -> None:
        assert await engine.start("refresh_request", "a", Order(text="x")) == Exists()

    with_server({"POST": [refusal], "GET": [(202, row())]}, use)


@pytest.mark.parametrize("found", [(404, ""), (200, row(status="Completed"))])
def test_a_start_that_failed(found: tuple[int, object]) -> None:
    """If no orchestration with this id is active, the start has failed."""

    async def use(engine: Engine, _: EngineServer) -> None:
        with pytest.raises(EngineUnavailable):
            await engine.start("refresh_request", "a", Order(text="x"))

    with_server({"POST": [BLOB_MISSING], "GET": [found]}, use)


def test_a_status_with_its_input() -> None:
    """Inputs that the SDK has stored are JSON in a text."""

    async def use(engine: Engine, server: EngineServer) -> None:
        assert await engine.status("a") == Instance(
            id="a",
            name="refresh_request",
            status="Running",
            input={"text": "x"},
            custom_status={"status": "Queued"},
            created="2026-03-31T12:00:00.000Z",
            updated="2026-03-31T12:34:56.000Z",
        )
        assert {key.lower(): value.lower() for key, value in server.requests[0][1].items()}["showinput"] == "true"
        assert await engine.status("b") is None

    status_row = row(input=json.dumps({"text": "x"}), customStatus={"status": "Queued"})
    with_server({"GET /instances/a": [(202, status_row)]}, use)


@pytest.mark.parametrize("read", ["status", "list", "queue"])
def test_a_refused_read_is_retried(read: str) -> None:
    """A read is retried because the blob of a large state is missing for a moment while the state is rewritten."""

    async def use(engine: Engine, server: EngineServer) -> None:
        if read == "status":
            assert (await engine.status("a")) is not None
        elif read == "list":
            assert [found.id for found in (await engine.list_page("a")).instances] == ["a"]
        else:
            assert await engine.read_queue("d") == Queue()
        assert server.calls("GET") == 3

    good: dict[str, tuple[int, object]] = {"status": (200, row()), "list": (200, [row()]), "queue": (404, "")}
    with_server({"GET": [BLOB_MISSING, BLOB_MISSING, good[read]]}, use)


@pytest.mark.usefixtures("without_pauses")
@pytest.mark.parametrize("read", ["status", "list", "queue"])
def test_a_read_that_keeps_failing_raises_our_error(read: str) -> None:
    """Such a read raises EngineUnavailable, not the error of the SDK, which is a plain Exception."""

    async def use(engine: Engine, server: EngineServer) -> None:
        reads: dict[str, Callable[[str], Awaitable[object]]] = {
            "status": engine.status,
            "list": engine.list_page,
            "queue": engine.read_queue,
        }
        with pytest.raises(EngineUnavailable):
            await reads[read]("a")
        assert server.calls("GET") > 2

    with_server({"GET": [BLOB_MISSING]}, use)


@pytest.mark.usefixtures("without_pauses")
def test_an_engine_that_does_not_listen() -> None:
    """Without an engine, each call raises, except raise_event, which returns False."""

    async def use(_: Engine, __: EngineServer) -> None:
        engine = Engine(binding(NO_ENGINE))
        for call in (
            lambda: engine.start("refresh_request", "a", Order(text="x")),
            lambda: engine.status("a"),
            lambda: engine.list_page("a"),
            lambda: engine.read_queue("d"),
            lambda: engine.purge("a"),
            lambda: engine.tell_queue("d", AskToLeave(at="", request="a")),
            lambda: engine.read_heartbeat("tidy_queues"),
        ):
            with pytest.raises(EngineUnavailable):
                await call()
        assert not await engine.raise_event("a", "Ended")
        assert await engine.probe(1.0) == (False, False)
        await engine.beat("tidy_queues", "")

    with_server({}, use)


def test_a_queue_that_this_code_cannot_read() -> None:
    """Reading a queue that newer code wrote raises an error: a missing answer is better than a wrong one."""

    async def use(engine: Engine, _: EngineServer) -> None:
        with pytest.raises(EngineUnavailable):
            await engine.read_queue("d")

    with_server({"GET /entities/dataset_queue/d": [(200, {"schema": 99, "runs": "none"})]}, use)


def test_the_first_alive_of_some() -> None:
    """Instances are read one after the other, up to the first active one."""

    async def use(engine: Engine, server: EngineServer) -> None:
        assert await engine.first_alive(["missing", "ended", "alive", "later"]) == "alive"
        assert server.calls("GET") == 3
        assert await engine.first_alive(["missing", "ended"]) is None

    with_server({"GET /instances/ended": [(200, row(status="Failed"))], "GET /instances/alive": [(202, row())]}, use)


def test_a_list_has_pages() -> None:
    """All pages are read, with the same filters."""

    async def use(engine: Engine, server: EngineServer) -> None:
        found = [instance.id async for instance in engine.list_all("a", since=NOON, statuses=("Running", "Failed"))]
        assert found == ["a1", "a2", "a3"]
        for _, query, _ in server.requests:
            assert query == {
                "top": str(PAGE_ROWS),
                "showInput": "true",
                "instanceIdPrefix": "a",
                "createdTimeFrom": "2026-03-31T12:00:00.000Z",
                "runtimeStatus": "Running,Failed",
            }
        assert len(server.requests) == 2

    pages: list[tuple[int, object, dict[str, str]]] = [
        (200, [row("a1"), row("a2")], {"x-ms-continuation-token": "more"}),
        (200, [row("a3")], {}),
    ]
    with_server({"GET /instances/": [*pages]}, use)


def test_an_event_is_accepted_or_not() -> None:
    """An orchestration that has ended or does not exist accepts no event."""

    async def use(engine: Engine, _: EngineServer) -> None:
        assert await engine.raise_event("alive", "Ended")
        assert not await engine.raise_event("ended", "Ended")
        assert not await engine.raise_event("unknown", "Ended")

    with_server({"POST /instances/alive/raiseEvent/Ended": [(202, "")], "POST /instances/ended": [(410, "")]}, use)


@pytest.mark.parametrize(
    ("answer", "purged"), [((200, {"instancesDeleted": 1}), True), ((404, {}), False), ((412, {}), False)]
)
def test_only_ended_instances_are_purged(answer: tuple[int, dict[str, int]], purged: bool) -> None:
    """The engine refuses an active orchestration with 412, and does not know a purged one."""

    async def use(engine: Engine, server: EngineServer) -> None:
        assert await engine.purge("a") is purged
        assert [call for call, _, _ in server.requests] == ["DELETE /instances/a"]

    with_server({"DELETE /instances/a": [answer]}, use)


def test_an_operation_is_signalled() -> None:
    """The signal has the name and the message of the operation."""

    async def use(engine: Engine, server: EngineServer) -> None:
        await engine.tell_queue("d", AskToLeave(at="now", request="a"))
        ((call, query, body),) = server.requests
        assert (call, query["op"]) == ("POST /entities/dataset_queue/d", "ask_to_leave")
        assert "now" in body

    with_server({"POST /entities": [(202, "")]}, use)


def test_the_secret_is_the_hosts_own() -> None:
    """The secret never leaves the app. It may be absent."""
    assert Engine(binding(NO_ENGINE)).secret == KEY.encode()
    assert Engine(binding(NO_ENGINE, "")).secret == b""


def test_no_private_attribute_of_the_sdk_is_used() -> None:
    """Private attributes of the SDK change without notice, so the code uses only private attributes of `self`."""
    for file in Path(str(durable.__file__)).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                assert isinstance(node.value, ast.Name), f"{file.name}: {ast.unparse(node)}"
                assert node.value.id == "self", f"{file.name}: {ast.unparse(node)}"

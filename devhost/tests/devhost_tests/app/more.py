"""A blueprint of the tests' app: the whole durable client over HTTP, and answers of every kind."""

import asyncio
import datetime
import json
import logging
import os
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import azure.durable_functions as df
import azure.functions as func

# mypy: disable-error-code="untyped-decorator"
blueprint = df.Blueprint()


def read(value: Any) -> Any:
    """The arguments that JSON cannot express (an entity's id, a time, a list of statuses), from their JSON form."""
    if not isinstance(value, dict):
        return value
    if "entity" in value:
        return df.EntityId(*value["entity"])
    if "time" in value:
        return datetime.datetime.fromisoformat(value["time"])
    if "statuses" in value:
        return [df.OrchestrationRuntimeStatus(s) for s in value["statuses"]]
    return value


def written(value: Any) -> Any:
    """The result of a client method as JSON."""
    if isinstance(value, list):
        return [written(v) for v in value]
    if hasattr(value, "runtime_status"):
        return {**value.to_json(), "historyEvents": getattr(value, "historyEvents", None)} if value else None
    if hasattr(value, "entity_state"):
        return [value.entity_exists, value.entity_state]
    if hasattr(value, "instances_deleted"):
        return value.instances_deleted
    if isinstance(value, func.HttpResponse):
        return {"status": value.status_code, "headers": dict(value.headers), "body": value.get_body().decode()}
    return value


@blueprint.route(route="client/{method}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@blueprint.durable_client_input(client_name="client")
async def call_client(req: func.HttpRequest, client: Any, context: func.Context) -> func.HttpResponse:
    """Calls a method of the client with the arguments in the body. The argument `request` means the request itself."""
    call = req.get_json()
    arguments = [req if a == "request" else read(a) for a in call.get("args", [])]
    method = getattr(client, req.route_params["method"])
    try:
        result = method(*arguments, **{k: read(v) for k, v in call.get("named", {}).items()})
        answer = {"returned": written(await result if asyncio.iscoroutine(result) else result)}
    except Exception as problem:
        answer = {"raised": str(problem)}
    return func.HttpResponse(json.dumps(answer, default=str), mimetype="application/json")


ANSWERS: dict[str, Any] = {
    "empty": lambda: func.HttpResponse(status_code=204),
    "bytes": lambda: func.HttpResponse(bytes(range(256)), mimetype="application/octet-stream"),
    "latin": lambda: func.HttpResponse("é", charset="latin-1"),
    "own_length": lambda: func.HttpResponse("abc", headers={"Content-Length": "3", "Transfer-Encoding": "chunked"}),
    "own_type": lambda: func.HttpResponse("{}", headers={"Content-Type": "application/problem+json"}),
    "object": lambda: '{"body": {"a": 1}, "status": 418, "headers": {"X-A": "b"}}',
    "dict": lambda: {"a": 1},
    "bad_header": lambda: func.HttpResponse("x", headers={"X-A": "a\r\nX-B: b"}),
}


@blueprint.route(route="answers/{kind}", auth_level=func.AuthLevel.ANONYMOUS)
def answers(req: func.HttpRequest) -> Any:
    return ANSWERS[req.route_params["kind"]]()


@blueprint.route(route="exits/sync", auth_level=func.AuthLevel.ANONYMOUS)
def exits(req: func.HttpRequest) -> func.HttpResponse:
    raise SystemExit(3)


@blueprint.route(route="exits/async", auth_level=func.AuthLevel.ANONYMOUS)
async def exits_later(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.sleep(0)
    raise SystemExit(3)


@blueprint.activity_trigger(input_name="x")
def exits_in_activity(x: Any) -> None:
    raise SystemExit(3)


@blueprint.activity_trigger(input_name="x")
async def exits_in_async_activity(x: Any) -> None:
    await asyncio.sleep(0)
    raise SystemExit(3)


@blueprint.activity_trigger(input_name="x")
async def echo_later(x: Any) -> Any:
    await asyncio.sleep(0)
    return x


@blueprint.orchestration_trigger(context_name="context")
def calls(context: Any) -> Generator[Any, Any, Any]:
    """Calls the activity that its input names."""
    call = context.get_input()
    if call["name"] == "exit":
        raise SystemExit(3)
    result = yield context.call_activity(call["name"], call.get("value"))
    return result


@blueprint.orchestration_trigger(context_name="context")
def waits(context: Any) -> Generator[Any, Any, Any]:
    context.set_custom_status("waiting")
    result = yield context.wait_for_external_event("go")
    return [context.version, context.get_input(), result]


@blueprint.entity_trigger(context_name="context")
def large(context: Any) -> None:
    """Sets its state to as many characters as the input of `fill`."""
    if context.operation_name == "fill":
        context.set_state("x" * context.get_input())


# ---- logging -----------------------------------------------------------------------------------------------------

log = logging.getLogger("app")


def log_as(invocation: func.Context | None, text: str) -> None:
    """Logs a line. If there is an invocation, the line is logged with the id of this invocation."""
    if invocation is not None:
        local: Any = invocation.thread_local_storage
        local.invocation_id = invocation.invocation_id
    log.warning("%s", text)


async def log_later(gate: asyncio.Event) -> None:
    await gate.wait()
    log.warning("after the end")


_gates: list[tuple[asyncio.Event, asyncio.Task[None]]] = []


@blueprint.route(route="logs/{kind}", auth_level=func.AuthLevel.ANONYMOUS)
async def logs(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Logs one line from a certain kind of task or thread. `kind` selects it, and is the text of the line."""
    kind = req.route_params["kind"]
    if kind == "task":
        log.warning(kind)
    elif kind == "child-task":
        await asyncio.create_task(_log_in_task(kind))
    elif kind == "to-thread":
        await asyncio.to_thread(log_as, None, kind)
    elif kind == "to-thread-with-id":
        await asyncio.to_thread(log_as, context, kind)
    elif kind == "own-thread":
        thread = threading.Thread(target=log_as, args=(None, kind), name="of-the-app")
        thread.start()
        thread.join()
    elif kind == "after-the-end":
        gate = asyncio.Event()
        _gates.append((gate, asyncio.create_task(log_later(gate))))
    elif kind == "open-the-gate":
        gate, task = _gates.pop()
        gate.set()
        await task
    return func.HttpResponse(kind)


async def _log_in_task(text: str) -> None:
    log.warning("%s", text)


@blueprint.route(route="sync-logs", auth_level=func.AuthLevel.ANONYMOUS)
def sync_logs(req: func.HttpRequest) -> str:
    log.warning("sync")
    return "sync"


@blueprint.activity_trigger(input_name="x")
def logs_in_pool(x: str) -> str:
    """An activity that logs on its own thread and on a thread of a pool of its own."""
    log.warning("activity %s", x)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(log_as, None, f"pool {x}").result()
    return x


# ---- threads -----------------------------------------------------------------------------------------------------


@blueprint.activity_trigger(input_name="x")
def thread_name(x: Any) -> str:
    return threading.current_thread().name


@blueprint.activity_trigger(input_name="x")
async def async_threads(x: Any) -> list[str]:
    """The names of the thread of an async function and of the thread that asyncio.to_thread uses."""
    return [threading.current_thread().name, await asyncio.to_thread(lambda: threading.current_thread().name)]


COUNTER = {"n": 0}
"""State in the process of the app."""


@blueprint.route(route="count", auth_level=func.AuthLevel.ANONYMOUS)
def count(req: func.HttpRequest) -> str:
    return f"{os.getpid()} {COUNTER['n']}"


@blueprint.activity_trigger(input_name="x")
def count_up(x: Any) -> str:
    COUNTER["n"] += 1
    return f"{os.getpid()} {COUNTER['n']}"


@blueprint.activity_trigger(input_name="x")
async def never_comes_back(x: Any) -> None:
    log.warning("it hangs")
    await asyncio.to_thread(threading.Event().wait)

"""The app of the devhost's tests: one function for each feature. Imports only the SDK and a blueprint."""

import datetime
import json
import logging
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from more import blueprint  # type: ignore[import-not-found]

# mypy: disable-error-code="untyped-decorator"
app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)
app.register_functions(blueprint)


def seconds(n: float) -> datetime.timedelta:
    return datetime.timedelta(seconds=n)


def note(name: str, text: str) -> None:
    """Writes a line to a file, so that tests can count executions."""
    with (Path(os.environ["SCRATCH"]) / name).open("a") as f:
        f.write(text + "\n")


# ---- HTTP --------------------------------------------------------------------------------------------------------


@app.route(route="start/{name}/{id?}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: Any) -> func.HttpResponse:
    body = req.get_body()
    given = json.loads(body) if body else None
    instance = await client.start_new(req.route_params["name"], req.route_params.get("id"), given)
    return client.create_check_status_response(req, instance)  # type: ignore[no-any-return]


@app.route(route="echo/{a:int}/{b?}", methods=["GET", "POST"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    """Returns the parts of a request that a synchronous function gets."""
    seen = {
        "method": req.method,
        "url": req.url,
        "params": dict(req.params),
        "route": dict(req.route_params),
        "header": req.headers.get("x-test"),
        "body": req.get_body().decode(),
    }
    response = func.HttpResponse(json.dumps(seen), status_code=201, mimetype="application/json")
    response.headers.add("Set-Cookie", "one=1")
    response.headers.add("Set-Cookie", "two=2")
    return response


@app.route(route="text")
def text(req: func.HttpRequest) -> str:
    return "just text"


@app.route(route="broken", auth_level=func.AuthLevel.ANONYMOUS)
def broken(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("unhandled")


@app.route(route="nothing", auth_level=func.AuthLevel.ANONYMOUS)
def nothing(req: func.HttpRequest) -> None:
    return None


@app.route(route="open", auth_level=func.AuthLevel.ANONYMOUS)
async def open_to_all(req: func.HttpRequest, context: func.Context) -> str:
    return f"{context.function_name} {os.environ.get('GREETING')}"


@app.route(route="locked", auth_level=func.AuthLevel.ADMIN)
def locked(req: func.HttpRequest) -> str:
    return "locked"


@app.route(route="wait/{id}", auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input(client_name="client")
async def wait(req: func.HttpRequest, client: Any) -> func.HttpResponse:
    return await client.wait_for_completion_or_create_check_status_response(  # type: ignore[no-any-return]
        req, req.route_params["id"], 5000, 100
    )


@app.timer_trigger(schedule="%TICK_SCHEDULE%", arg_name="timer")
def tick(timer: func.TimerRequest) -> None:
    logging.getLogger("app").info("ticked, past due %s", timer.past_due)


# ---- durable -----------------------------------------------------------------------------------------------------


@app.activity_trigger(input_name="x")
def add_one(x: int) -> int:
    return x + 1


@app.activity_trigger(input_name="x")
def noted(x: dict[str, Any]) -> str:
    """Writes a line, then waits until a file exists that the test creates to let it end. The input has the name of this
    file."""
    note(x["file"], "begun")
    while not (Path(os.environ["SCRATCH"]) / x["until"]).exists():
        time.sleep(0.02)
    note(x["file"], "ended")
    return "done"


@app.orchestration_trigger(context_name="context")
def note_in_activity(context: Any) -> Generator[Any, Any, Any]:
    result = yield context.call_activity("noted", context.get_input())
    return result


@app.orchestration_trigger(context_name="context")
def steps(context: Any) -> Generator[Any, Any, Any]:
    """Activities, an entity and a timer: the steps that a crash can interrupt."""
    a = context.get_input()
    total = 0
    for _ in range(a["n"]):
        total = yield context.call_activity("add_one", total)
        yield context.call_entity(df.EntityId("total", a["key"]), "add", 1)
        context.signal_entity(df.EntityId("total", a["key"] + "-signals"), "add", 1)
    yield context.create_timer(context.current_utc_datetime + seconds(0.1))
    return total


@app.entity_trigger(context_name="context")
def total(context: Any) -> None:
    value = context.get_state(lambda: 0)
    if context.operation_name == "add":
        value += context.get_input()
        context.set_state(value)
    elif context.operation_name == "crash":
        context.set_state(object())
    context.set_result(value)


@app.orchestration_trigger(context_name="context")
def generations(context: Any) -> Generator[Any, Any, Any]:
    """A loop of many generations."""
    n = context.get_input()
    yield context.call_activity("add_one", n)
    if n == 0:
        return "end"
    context.continue_as_new(n - 1)
    return None


@app.orchestration_trigger(context_name="context")
def fetches(context: Any) -> Generator[Any, Any, Any]:
    answer = yield context.call_http("GET", context.get_input())
    return {"status": answer["statusCode"], "content": answer["content"]}


@app.orchestration_trigger(context_name="context")
def approval(context: Any) -> Generator[Any, Any, Any]:
    """The human-interaction pattern: it waits for an answer or for a time-out, whichever comes first."""
    answer = context.wait_for_external_event("answer")
    timer = context.create_timer(context.current_utc_datetime + seconds(context.get_input()))
    winner = yield context.task_any([answer, timer])
    if winner == answer:
        timer.cancel()
        return answer.result
    return "nobody answered"

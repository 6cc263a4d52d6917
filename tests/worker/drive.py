"""Drives the platform's worker library in this process: `python tests/worker/drive.py APP_FOLDER < invocations`.

It replaces the host and the thin process around the library (Azure/azure-functions-python-worker, `proxy_worker`). Like
that process, it passes protocol messages, gives each invocation a task with its id, and assigns to each log line the id
that it finds for the line. The host would drop a line without an id.

stdin: a JSON list of {"function", "inputs": {parameter: {"json" | "string" | "http": value}}}; a parameter for a
durable client gets a client of an engine that has no instances and accepts every call. stdout: one JSON object with
`init`, `functions`, `responses` (one for each invocation) and `lines`."""

import asyncio
import json
import logging
import sys
import threading
import uuid
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as library
from aiohttp import web

from tests.worker.protocol import messages

Json = dict[str, Any]
PROTOS = messages()
ID = "invocation_id"
OWN = ("azure.functions", "asyncio", "aiohttp")
"""Loggers whose lines do not belong to an app."""


class CarryingTask(asyncio.Task[Any]):
    """A task with the id of its invocation, which it passes to the tasks that it creates."""

    def __init__(self, coro: Coroutine[Any, Any, Any], *, loop: asyncio.AbstractEventLoop, **more: Any) -> None:
        super().__init__(coro, loop=loop, **more)
        self.invocation_id = getattr(asyncio.current_task(loop), ID, None)


class Lines(logging.Handler):
    """Records the lines of the app, each with the thread that logged it and the invocation to which it is assigned."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Json] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith(OWN):
            line = {"text": record.getMessage(), "logger": record.name, "thread": record.threadName}
            self.seen.append({**line, "invocation": _invocation()})


def _invocation() -> str | None:
    try:
        found: str | None = getattr(asyncio.current_task(), ID, None)
    except RuntimeError:
        found = None
    return found or library.invocation_id_cv.get()


def _data(value: Json) -> Any:
    kind, content = next(iter(value.items()))
    if kind != "http":
        return PROTOS.TypedData(**{kind: content if isinstance(content, str) else json.dumps(content)})
    body = PROTOS.TypedData(bytes=content.pop("body", "").encode())
    return PROTOS.TypedData(http=PROTOS.RpcHttp(body=body, **content))


def _plain(data: Any) -> Json:
    kind = data.WhichOneof("data")
    if kind != "http":
        return {"kind": kind, "value": getattr(data, kind) if kind else None}
    body = _plain(data.http.body)["value"]
    text = body.decode() if isinstance(body, bytes) else body
    return {"kind": kind, "status": data.http.status_code, "headers": dict(data.http.headers), "body": text}


def _request(kind: str, message: Any) -> SimpleNamespace:
    """A message of the host in the wrapper in which the library gets it."""
    sent = PROTOS.StreamingMessage(request_id="1", **{kind: message}).SerializeToString()
    return SimpleNamespace(
        request=PROTOS.StreamingMessage.FromString(sent), properties={"protos": PROTOS, "host": "127.0.0.1"}
    )


def _received(response: Any) -> Any:
    """A response of the library in the form in which the host gets it."""
    return type(response).FromString(response.SerializeToString())


def _function(metadata: Any) -> Json:
    bindings = [json.loads(raw) for raw in metadata.raw_bindings]
    kept = {name: metadata.properties[name] for name in metadata.properties}
    return {"name": metadata.name, "id": metadata.function_id, "bindings": bindings, "properties": kept}


async def _engine() -> tuple[web.AppRunner, str]:
    """The API of a durable engine without instances, and the binding that the host sends for it."""

    async def answer(request: web.Request) -> web.Response:
        if request.method == "POST":
            return web.json_response({"id": "started"}, status=202)
        if request.method == "DELETE":
            return web.json_response({"instancesDeleted": 0})
        # the path of a list has no id at its end
        listed = request.path.rstrip("/").endswith(("/instances", "/entities"))
        return web.json_response([]) if listed else web.Response(status=404)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}/durabletask/"
    binding = {
        "taskHubName": "Hub",
        "creationUrls": {"createNewInstancePostUri": f"{base}orchestrators/{{functionName}}[/{{instanceId}}]"},
        "managementUrls": {"id": "INSTANCEID", "statusQueryGetUri": f"{base}instances/INSTANCEID"},
        "rpcBaseUrl": base,
        "baseUrl": base,
        "requiredQueryStringParameters": "code=key",
    }
    return runner, json.dumps(binding)


async def _invoke(function_id: str, inputs: Json) -> Json:
    invocation_id = str(uuid.uuid4())
    task = asyncio.current_task()
    assert isinstance(task, CarryingTask)
    task.invocation_id = invocation_id
    data = [PROTOS.ParameterBinding(name=name, data=_data(value)) for name, value in inputs.items()]
    message = PROTOS.InvocationRequest(invocation_id=invocation_id, function_id=function_id, input_data=data)
    answer = _received(await library.invocation_request(_request("invocation_request", message)))
    assert answer.invocation_id == invocation_id
    return {
        "invocation": invocation_id,
        "ok": answer.result.status == PROTOS.StatusResult.Success,
        "value": _plain(answer.return_value),
        "exception": answer.result.exception.message,
        "stack": answer.result.exception.stack_trace,
    }


async def _drive(app: str, invocations: list[Json]) -> Json:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(lambda loop, coro, **more: CarryingTask(coro, loop=loop, **more))
    lines = Lines()
    logging.getLogger().addHandler(lines)
    logging.getLogger().setLevel(logging.INFO)
    library.start_threadpool_executor()
    engine, client = await _engine()
    try:
        start = PROTOS.WorkerInitRequest(host_version="4.1036.0", function_app_directory=app)
        init = _received(await library.worker_init_request(_request("worker_init_request", start)))
        result = {
            "init": {"ok": init.result.status == PROTOS.StatusResult.Success, "problem": str(init.result.exception)}
        }
        if not result["init"]["ok"]:
            return result
        ask = _request("functions_metadata_request", PROTOS.FunctionsMetadataRequest(function_app_directory=app))
        indexed = _received(await library.functions_metadata_request(ask)).function_metadata_results
        ids = {metadata.name: metadata.function_id for metadata in indexed}
        for metadata in indexed:
            load = PROTOS.FunctionLoadRequest(function_id=metadata.function_id, metadata=metadata)
            loaded = _received(await library.function_load_request(_request("function_load_request", load)))
            assert loaded.result.status == PROTOS.StatusResult.Success
        clients = {
            metadata.name: {
                name: {"string": client}
                for name, binding in metadata.bindings.items()
                if binding.type == "durableClient"
            }
            for metadata in indexed
        }
        responses = []
        for one in invocations:
            name = one["function"]
            work = _invoke(ids[name], {**clients[name], **one.get("inputs", {})})
            # a task of its own, as the host gives each message one
            responses.append(await asyncio.create_task(work))
        functions = [_function(metadata) for metadata in indexed]
        return {**result, "functions": functions, "responses": responses, "lines": lines.seen}
    finally:
        library.stop_threadpool_executor()
        await engine.cleanup()


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    threading.current_thread().name = "loop"
    print(json.dumps(asyncio.run(_drive(sys.argv[1], json.load(sys.stdin)))))

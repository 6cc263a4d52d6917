"""A small server with the app's page, and recorded answers on the JSON routes.

It shows what a real app shows only after days or with much work: hundreds of models, thousands of requests, failures of
the app itself, hostile names. It has both kinds of access: function keys and the platform's sign-in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import azure.functions as func
from aiohttp import web

from dev.loops import running
from tests.browser import recorded, recorded_batches
from tests.e2e.platform_sign_in import SESSION, session_of
from tests.simulation.platform import app_functions

KEY = "a-function-key"
PAGE = 50
Json = dict[str, Any]


@dataclass
class World:
    """The answers of the server. A test changes them while the server runs. `mode`: open, key or entra."""

    mode: str = "open"
    models: list[Json] = field(default_factory=recorded.fleet)
    batches: dict[str, Json] = field(default_factory=recorded_batches.batches)
    requests: int = 10_000
    refusal: tuple[int, Json | None] | None = None
    """If it is set, every JSON route gives this answer: HTTP status and body."""
    check: Json = field(default_factory=recorded.finding)
    calls: list[tuple[str, str, Json | None]] = field(default_factory=list)
    """Method, path with query, and body of each call of a JSON route."""
    headers: list[dict[str, str]] = field(default_factory=list)
    other_names: dict[str, str] = field(default_factory=dict)
    """By name, the name to show instead."""
    base: str = ""

    def sent(self, method: str = "POST") -> list[tuple[str, Json | None]]:
        """Path and body of the calls with this method."""
        return [(path, body) for used, path, body in self.calls if used == method]


@contextmanager
def serving(world: World) -> Iterator[World]:
    """Serves the world at `world.base`."""

    async def handle(request: web.Request) -> web.Response:
        return await respond(world, request)

    server = web.Application()
    server.router.add_route("*", "/{tail:.*}", handle)
    with running("stand-in") as call:
        runner = web.AppRunner(server, access_log=None, handle_signals=False, shutdown_timeout=0.1)

        async def listen() -> int:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return int(runner.addresses[0][1])

        world.base = f"http://127.0.0.1:{call(listen())}"
        try:
            yield world
        finally:
            call(runner.cleanup())


async def respond(world: World, request: web.Request) -> web.Response:
    """The answer to one request."""
    path = request.path
    if path.startswith("/.auth/"):
        return session_of(request, "session")
    if path == "/api/ui" or path.startswith("/api/ui/"):
        return await _page(request)
    if not path.startswith("/api/"):
        return web.Response(status=404)
    body = await request.json() if request.can_read_body else None
    world.calls.append((request.method, request.path_qs, body))
    world.headers.append(dict(request.headers))
    if world.mode == "key" and request.headers.get("x-functions-key") != KEY:
        return web.Response(status=401)
    if world.mode == "entra" and SESSION not in request.cookies:
        return _json(world, 401, {"error": {"code": "SignInRequired", "message": "Sign in.", "target": None}})
    if world.refusal:
        status, refused = world.refusal
        return _json(world, status, refused) if refused else web.Response(status=status, text="<h1>no JSON</h1>")
    return _json(world, *_answer(world, request.method, path.removeprefix("/api/").split("/"), request.query))


def _json(world: World, status: int, body: Json) -> web.Response:
    text = json.dumps(body)
    for name, other in world.other_names.items():
        text = text.replace(json.dumps(name)[1:-1], other)
    return web.json_response(text=text, status=status, headers={"Cache-Control": "no-store"})


async def _page(request: web.Request) -> web.Response:
    """The answer of the app's function for the page."""
    name = request.path.removeprefix("/api/ui").removeprefix("/")
    call = func.HttpRequest(
        request.method, str(request.url), headers=request.headers, route_params={"name": name}, body=b""
    )
    serve = app_functions()["http", "http_ui_file" if name else "http_ui"].handler
    answer: func.HttpResponse = await serve(req=call)
    headers = {**answer.headers, "Content-Type": f"{answer.mimetype}; charset={answer.charset}"}
    return web.Response(status=answer.status_code, body=answer.get_body(), headers=headers)


def _answer(world: World, method: str, path: list[str], query: Any) -> tuple[int, Json]:
    rows = [recorded.clean(row) for row in world.models]
    match [method, *path]:
        case ["GET", "models"]:
            return 200, _models(rows, query)
        case ["GET", "models", dataset]:
            found = next((recorded.details(row) for row in world.models if row["datasetId"] == dataset), None)
            return (200, recorded.clean(found)) if found else _unknown()
        case ["GET", "queues", dataset]:
            return 200, recorded.queue(
                next((row for row in rows if row["datasetId"] == dataset), {"datasetId": dataset})
            )
        case ["GET", "refreshes"]:
            return 200, _requests(world, query)
        case ["GET", "refreshes", request_id, "status"]:
            return recorded.status(unquote(request_id), world.models)
        case ["POST", "refreshes", request_id, "cancel"]:
            return 202, {"id": request_id, "status": "Refreshing", "cancelling": True}
        case ["GET", "batches", batch_id, "status"]:
            return _batch(world, unquote(batch_id))
        case ["POST", "batches", batch_id, "cancel"]:
            status, body = _batch(world, unquote(batch_id))
            return (202, {**body, "cancelling": True}) if status == 202 else (200, body)
        case ["POST", "refreshes"]:
            return 202, {"id": "live-0", "status": "Queued", "statusUri": "https://secret.example/?token=t"}
        case ["POST", "check"]:
            return 200, world.check
        case _:
            return 404, {}


def _batch(world: World, batch_id: str) -> tuple[int, Json]:
    found = world.batches.get(batch_id)
    if found is None:
        message = "The batch does not exist, or the token is wrong."
        return 404, {"error": {"code": "BatchNotFound", "message": message, "target": "id"}}
    return (202 if "endedAt" not in found else 200 if found["status"] == "Completed" else 424), found


def _unknown() -> tuple[int, Json]:
    return 404, {"error": {"code": "ModelUnknown", "message": "The app knows no such model.", "target": "datasetId"}}


def _models(rows: list[Json], query: Any) -> Json:
    states = query.get("state", "").split(",") if query.get("state") else []
    search = query.get("search", "").lower()
    found = [
        row
        for row in rows
        if any(search in row[key].lower() for key in ("modelName", "workspaceName", "datasetId"))
        and query.get("workspaceId", row["workspaceId"]) == row["workspaceId"]
    ]
    counts = {state: sum(row["health"] == state for row in found) for state in ("overdue", "failing", "ok", "unknown")}
    counts["active"] = sum(row["activity"] != "idle" for row in found)
    fitting = [
        row
        for row in found
        if not states or row["health"] in states or ("active" in states and row["activity"] != "idle")
    ]
    if query.get("sort") == "name":
        fitting.sort(key=lambda row: row["modelName"])
    begin, limit = int(query.get("continuation", 0)), int(query.get("limit", 100))
    more = {"continuation": str(begin + limit)} if len(fitting) > begin + limit else {}
    page = [_in_list(row) for row in fitting[begin : begin + limit]]
    return {"models": page, "total": len(fitting), "counts": counts, "asOf": recorded.ago(0), **more}


def _in_list(row: Json) -> Json:
    """A model as the list shows it: the index knows only whether the active run refreshes."""
    active = row.get("active")
    if active is None or active["status"] == "Refreshing":
        return row
    return {**row, "active": {**active, "status": "Waiting"}}


def _requests(world: World, query: Any) -> Json:
    begin = int(query.get("continuation", 0))
    rows = []
    for at in range(begin, min(begin + PAGE, world.requests)):
        row = world.models[at % len(world.models)]
        ids = {key: row[key] for key in ("workspaceId", "workspaceName", "datasetId", "modelName")}
        caller = {"pipeline": f"Pipeline {at}"}
        ends = {"requestedAt": recorded.ago(at * 60 + 900), "endedAt": recorded.ago(at * 60)}
        rows.append({"id": f"request-run-{at}", "status": "Completed", **ids, "caller": caller, **ends})
    return {"refreshes": rows, "continuation": str(begin + PAGE) if begin + PAGE < world.requests else None}

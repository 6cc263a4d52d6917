"""A stub of the engine's HTTP API for the tests of `durable/`: each test sets the answers and reads the calls."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web
from azure.durable_functions.models.utils import http_utils

from durable.engine import Engine

T = TypeVar("T")

Json = dict[str, Any]
Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]

KEY = "code=management-key"


@dataclass
class EngineServer:
    """`answers` by the beginning of `METHOD path` (after the base), used in turn; the last one is repeated."""

    answers: dict[str, list[Answer]]
    requests: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    """Method with path, query, and body of each call."""

    async def handle(self, request: web.Request) -> web.Response:
        """Answers a call."""
        call = f"{request.method} {request.path.removeprefix('/engine')}"
        self.requests.append((call, dict(request.query), await request.text()))
        for beginning, answers in self.answers.items():
            if call.startswith(beginning):
                status, body, *more = answers.pop(0) if len(answers) > 1 else answers[0]
                text = body if isinstance(body, str) else json.dumps(body)
                kind = "text/plain" if isinstance(body, str) else "application/json"
                return web.Response(status=status, text=text, content_type=kind, headers=more[0] if more else None)
        return web.Response(status=404)

    def calls(self, beginning: str) -> int:
        """The number of calls whose path begins with this text."""
        return sum(call.startswith(beginning) for call, _, _ in self.requests)


def with_server(answers: dict[str, list[Answer]], use: Callable[[Engine, EngineServer], Awaitable[T]]) -> T:
    """The result of `use`, which gets a client of an engine with these answers."""

    async def main() -> T:
        server = EngineServer(answers)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", server.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            port = runner.addresses[0][1]
            return await use(Engine(binding(f"http://127.0.0.1:{port}/engine/")), server)
        finally:
            # the SDK keeps one session forever; a session of an earlier test would belong to another loop
            await http_utils._close_session()
            await runner.cleanup()

    return asyncio.run(main())


def binding(base: str, key: str = KEY) -> str:
    """The text of a durable client binding that the host passes."""
    uris = {"statusQueryGetUri": f"{base}instances/INSTANCEID?{key}"}
    facts = {
        "taskHubName": "hub",
        "creationUrls": {"createNewInstancePostUri": f"{base}orchestrators/{{functionName}}[/{{instanceId}}]?{key}"},
        "managementUrls": {"id": "INSTANCEID", **uris},
        "baseUrl": base,
        "requiredQueryStringParameters": key,
        "rpcBaseUrl": base,
    }
    return json.dumps(facts)


def row(instance_id: str = "a", status: str = "Running", **more: Any) -> Json:
    """A status in the format of the engine."""
    times = {"createdTime": "2026-03-31T12:00:00Z", "lastUpdatedTime": "2026-03-31T12:34:56Z"}
    status_row = {"name": "refresh_request", "instanceId": instance_id, "runtimeStatus": status, **times}
    return {**status_row, "input": None, "customStatus": None, "output": None, **more}

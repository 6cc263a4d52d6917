"""A service with a manual clock, called in the same process: by its routes, or as the transport of the client."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from multidict import CIMultiDict

from dev.power_bi.messages import Request, Response
from dev.power_bi.service import PowerBiService
from outbound.exchange import Limits, NoAnswerError, Outgoing, Received

WORKSPACE = "11111111-aaaa-bbbb-cccc-000000000001"
DATASET = "22222222-aaaa-bbbb-cccc-000000000002"
OTHER = "33333333-aaaa-bbbb-cccc-000000000003"
MODEL = f"/v1.0/myorg/groups/{WORKSPACE}/datasets/{DATASET}"
REFRESHES = f"{MODEL}/refreshes"
START = datetime(2026, 3, 23, 13, 48, 31, 17_000, tzinfo=UTC)
BEARER = {"Authorization": "Bearer any"}
FULL = {"type": "full"}
PLAIN = {"seconds": 10, "notStartedSeconds": 2, "visibilitySeconds": 0, "cancelSeconds": 1}
"""Knobs that exclude chance."""

Json = dict[str, Any]


class World:
    """A service and its time. `knobs`: in addition to PLAIN, the knobs of all models."""

    def __init__(self, seed: int = 0, **knobs: object) -> None:
        self.service = PowerBiService(seed)
        self.service.set_defaults({**PLAIN, **knobs})
        self.now = START

    def tick(self, seconds: float) -> None:
        """Advances the time."""
        self.now += timedelta(seconds=seconds)

    def call(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Response:
        """Makes one request at the current time. `body` is sent as JSON, unless it is bytes."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        own = {"Content-Type": "application/json"} if headers is None else headers
        return self.service.handle(Request(method, path, BEARER | own, content), self.now)

    def start(self, body: object = FULL) -> str:
        """Starts a refresh that is accepted. Returns its id."""
        response = self.call("POST", REFRESHES, body)
        assert response.status == 202, response
        return response.headers["RequestId"]

    def rows(self, query: str = "") -> list[Json]:
        """The rows of the history."""
        response = self.call("GET", REFRESHES + query)
        assert response.status == 200, response
        rows: list[Json] = json.loads(response.body)["value"]
        return rows

    def details(self, refresh_id: str) -> tuple[int, Json]:
        """A refresh read by its id: HTTP status and body."""
        response = self.call("GET", f"{REFRESHES}/{refresh_id}")
        return response.status, json.loads(response.body)

    def cancel(self, refresh_id: str) -> Response:
        """The answer to a DELETE."""
        return self.call("DELETE", f"{REFRESHES}/{refresh_id}")

    def control(self, method: str, path: str, body: object = None) -> tuple[int, Json]:
        """Makes a control request, which needs no token."""
        content = b"" if body is None else json.dumps(body).encode()
        response = self.service.handle(Request(method, path, {}, content), self.now)
        return response.status, json.loads(response.body)

    def states(self) -> list[str]:
        """The true states of all refreshes, oldest first."""
        return [entry["state"] for entry in self.service.report(DATASET, self.now)["refreshes"]]


class InProcess:
    """A transport that calls the service of a world. Waiting for an answer advances the world's time."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(self, request: Outgoing, limits: Limits) -> Received:
        """The answer of the service. Raises NoAnswerError if it is dropped or too late."""
        world, parts = self._world, urlsplit(request.url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        sent = Request(request.method, path, dict(request.headers), request.body or b"")
        answer = world.service.handle(sent, world.now)
        world.tick(min(answer.delay_seconds, limits.silence_seconds))
        if answer.delay_seconds >= limits.silence_seconds:
            raise NoAnswerError("SocketTimeoutError")
        if answer.dropped:
            raise NoAnswerError("ServerDisconnectedError")
        return Received(answer.status, CIMultiDict(answer.headers), answer.body)

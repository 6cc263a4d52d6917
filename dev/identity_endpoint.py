"""The identity endpoint of App Service, for development: in Azure, it gives an app the tokens of its identity.

Source of the protocol: Microsoft's "How to use managed identities for App Service", REST endpoint. The texts of the
errors are real ones. Tests control the endpoint over HTTP, below `/control`:

    POST /control/fault    {"fault": NAME, "times": N}   the next N calls fail; without `times`, all calls
    DELETE /control/fault                                no more faults
    POST /control/tokens   {"lifeSeconds": S}            the lifetime of new tokens
    POST /control/revoke                                 revokes all tokens issued so far
    GET /control                                         `calls`, `tokens` (not revoked), `asked` (the last query)

Faults: serverError (500), throttled (429), noIdentity (400), forbidden (403), garbage (200, not JSON), wrongJson (200,
JSON of another kind), silent (accepts and never answers), drop (closes the connection).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from dev.loops import running, until_signalled

log = logging.getLogger("dev.identity_endpoint")
API_VERSION = "2019-08-01"
DEFAULT_PORT = 7073

Json = dict[str, Any]
Failure = tuple[int, "Json | str"]

FAULTS: dict[str, Failure] = {
    "serverError": (500, {"statusCode": 500, "message": "An unexpected error occurred while fetching the AAD Token."}),
    "throttled": (429, {"statusCode": 429, "message": "Too many requests."}),
    "noIdentity": (
        400,
        {
            "statusCode": 400,
            "message": "No User Assigned or Delegated Managed Identity found for specified "
            "ClientId/ResourceId/PrincipalId.",
        },
    ),
    "forbidden": (403, {"statusCode": 403, "message": "The secret of the identity endpoint is wrong."}),
    "garbage": (200, "<html>Service Unavailable</html>"),
    "wrongJson": (200, "[1, 2, 3]"),
    "silent": (0, ""),
    "drop": (0, ""),
}

NO_RESOURCE = (
    "AADSTS500011: The resource principal named {} was not found in the tenant named Contoso. This can happen if the "
    "application has not been installed by the administrator of the tenant or consented to by any user in the tenant."
)


@dataclass
class IdentityEndpoint:
    """Issues tokens and knows which of them are valid. Safe to use from several threads."""

    secret: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    clock: Callable[[], float] = time.time
    life_seconds: float = 24 * 3600.0
    resources: frozenset[str] = frozenset()
    """The resources of the tenant; other resources, such as those of other clouds, are refused. Empty: all are
    accepted."""
    calls: int = 0
    asked: dict[str, str] = field(default_factory=dict)
    _fault: str | None = None
    _times: int | None = None
    _good: dict[str, float] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def accepts(self, token: str) -> bool:
        """True for a token that was issued, has not expired and is not revoked."""
        with self._lock:
            return self._good.get(token, 0.0) > self.clock()

    def fail(self, fault: str | None, times: int | None = None) -> None:
        """Makes the next calls fail; None: no more faults. KeyError for an unknown fault."""
        if fault is not None and fault not in FAULTS:
            raise KeyError(fault)
        with self._lock:
            self._fault, self._times = fault, times

    def revoke(self) -> None:
        """Revokes all tokens issued so far."""
        with self._lock:
            self._good.clear()

    def ask(self, query: dict[str, str], secret: str) -> tuple[int, Json | str, str | None]:
        """Answers a request for a token: status, body, and the fault that was applied (None if there was none)."""
        with self._lock:
            self.calls += 1
            self.asked = query
            fault = self._fault if self._times is None or self._times > 0 else None
            if fault:
                self._times = None if self._times is None else self._times - 1
                return *FAULTS[fault], fault
            if not secrets.compare_digest(secret.encode(), self.secret.encode()):
                return *FAULTS["forbidden"], None
            if query.get("api-version") != API_VERSION or not query.get("resource"):
                return 400, {"statusCode": 400, "message": "Invalid api-version or resource."}, None
            if self.resources and query["resource"] not in self.resources:
                return 400, {"statusCode": 400, "message": NO_RESOURCE.format(query["resource"])}, None
            token, expires = f"identity-{secrets.token_urlsafe(24)}", self.clock() + self.life_seconds
            self._good[token] = expires
        body = {"access_token": token, "expires_on": str(int(expires)), "resource": query["resource"]}
        return 200, {**body, "token_type": "Bearer", "client_id": query.get("client_id", "system")}, None

    def report(self) -> Json:
        """The calls so far, as `GET /control` reports them."""
        with self._lock:
            return {"calls": self.calls, "tokens": len(self._good), "asked": self.asked}


@dataclass(frozen=True)
class Serving:
    """A running endpoint. `settings` are those of an app that uses it."""

    endpoint: IdentityEndpoint
    base_url: str

    @property
    def settings(self) -> dict[str, str]:
        """The settings that the platform sets for an app with an identity."""
        return {"IDENTITY_ENDPOINT": f"{self.base_url}/msi/token", "IDENTITY_HEADER": self.endpoint.secret}


@contextmanager
def serve(endpoint: IdentityEndpoint, port: int = 0) -> Iterator[Serving]:
    """Serves on 127.0.0.1 until the block ends. `port` 0 picks a free one; OSError if the port is taken."""
    with running("identity-endpoint") as call:
        runner = web.AppRunner(_app(endpoint), access_log=None, handle_signals=False, shutdown_timeout=0.1)
        try:
            yield Serving(endpoint, f"http://127.0.0.1:{call(_listen(runner, port))}")
        finally:
            call(runner.cleanup())


async def _listen(runner: web.AppRunner, port: int) -> int:
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return int(runner.addresses[0][1])


def _app(endpoint: IdentityEndpoint) -> web.Application:
    async def token(request: web.Request) -> web.Response:
        return await _token(endpoint, request)

    async def control(request: web.Request) -> web.Response:
        return await _control(endpoint, request)

    app = web.Application()
    app.router.add_get("/msi/token", token)
    app.router.add_route("*", "/control{tail:.*}", control)
    return app


async def _token(endpoint: IdentityEndpoint, request: web.Request) -> web.Response:
    status, body, fault = endpoint.ask(dict(request.query), request.headers.get("X-IDENTITY-HEADER", ""))
    log.info("token for %s: %s", request.query.get("client_id", "the system-assigned identity"), fault or status)
    if fault == "silent":
        await asyncio.Event().wait()
    if fault == "drop" and request.transport is not None:
        request.transport.abort()
    return web.json_response(body, status=status or 500) if isinstance(body, dict) else web.Response(text=body)


async def _control(endpoint: IdentityEndpoint, request: web.Request) -> web.Response:
    values: Json = await request.json() if request.can_read_body else {}
    match request.method, request.match_info["tail"]:
        case "POST", "/fault" if values.get("fault") in FAULTS:
            endpoint.fail(values["fault"], values.get("times"))
        case "DELETE", "/fault":
            endpoint.fail(None)
        case "POST", "/tokens" if isinstance(values.get("lifeSeconds"), int | float):
            endpoint.life_seconds = float(values["lifeSeconds"])
        case "POST", "/revoke":
            endpoint.revoke()
        case "GET", "":
            pass
        case _:
            return web.json_response(
                {"error": f"no such control, or a bad value; faults: {', '.join(FAULTS)}"}, status=400
            )
    return web.json_response(endpoint.report())


def main(arguments: list[str] | None = None) -> int:
    """`python -m dev.identity_endpoint`: serves until Ctrl-C or SIGTERM. Exit code 2: the port cannot be used."""
    parser = argparse.ArgumentParser(prog="dev.identity_endpoint", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"on 127.0.0.1 (default {DEFAULT_PORT})")
    port = parser.parse_args(arguments).port
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    wait = until_signalled()
    try:
        with serve(IdentityEndpoint(), port) as serving:
            for name, value in serving.settings.items():
                print(f"{name}={value}")
            print(f"identity endpoint ready: {serving.base_url}", flush=True)
            wait()
    except OSError as problem:
        print(f"identity endpoint: port {port} cannot be used, {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

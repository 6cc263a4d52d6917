"""The declarations of HTTP functions, and the answers to callers if the engine fails."""

import asyncio
import inspect
import json
import logging
from typing import Any

import azure.functions as func
import pytest

from durable.engine import Engine, EngineUnavailable
from tests.unit.durable.engine_server import binding
from triggers import routing
from triggers.answers import answer, error
from triggers.auth import LEVEL
from triggers.routing import RETRY_SECONDS, http_function

BINDING = binding("http://127.0.0.1:1/")


class Blueprint:
    """Records the declarations."""

    def __init__(self) -> None:
        self.bound: list[dict[str, Any]] = []
        self.routes: list[dict[str, Any]] = []

    def generic_input_binding(self, **facts: Any) -> Any:
        """The method of azure.functions with this name."""
        self.bound.append(facts)
        return lambda function: function

    def route(self, **facts: Any) -> Any:
        """The method of azure.functions with this name."""
        self.routes.append(facts)
        return lambda function: function


def request(**headers: str) -> func.HttpRequest:
    """A call."""
    return func.HttpRequest("GET", "http://127.0.0.1/api/x", headers=headers, body=b"")


def called(function: Any, **arguments: Any) -> func.HttpResponse:
    """Calls a declared function, and returns its answer."""

    async def main() -> func.HttpResponse:
        response: func.HttpResponse = await function(**arguments)
        return response

    return asyncio.run(main())


def test_a_function_gets_the_engine() -> None:
    """A binding and the route provide the engine. The worker sees the name of the parameter and a text."""
    blueprint = Blueprint()

    @http_function(blueprint, route="x", methods=["GET"])
    async def http_x(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
        return answer({"engine": type(engine).__name__}, 200)

    assert blueprint.bound == [{"arg_name": "engine", "type": "durableClient"}]
    assert blueprint.routes == [{"route": "x", "methods": ["GET"], "auth_level": LEVEL}]
    declared: Any = http_x
    assert declared.__name__ == "http_x"
    assert list(inspect.signature(declared).parameters) == ["req", "engine"]
    assert declared.__annotations__ == {"req": func.HttpRequest, "engine": str, "return": func.HttpResponse}
    response = called(http_x, req=request(), engine=BINDING)
    assert (response.status_code, json.loads(response.get_body())) == (200, {"engine": "Engine"})


def test_a_function_without_the_engine() -> None:
    """A function without the engine has no binding, and may be public."""
    blueprint = Blueprint()

    @http_function(blueprint, route="x", methods=["GET"], signed_in=False, engine=False)
    async def http_x(req: func.HttpRequest) -> func.HttpResponse:
        return answer({}, 200)

    assert blueprint.bound == []
    assert blueprint.routes[0]["auth_level"] == func.AuthLevel.ANONYMOUS
    assert called(http_x, req=request()).status_code == 200


def test_an_engine_that_does_not_answer_is_a_503(caplog: pytest.LogCaptureFixture) -> None:
    """The answer has the time to call again. The reason is in the log, not in the answer."""

    @http_function(Blueprint(), route="x", methods=["GET"])
    async def http_x(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
        raise EngineUnavailable("HTTP 500: blob")

    response = called(http_x, req=request(), engine=BINDING)
    body = json.loads(response.get_body())
    assert response.status_code == 503
    assert response.headers["Retry-After"] == str(RETRY_SECONDS)
    assert (list(body), body["error"]["code"]) == (["error"], "EngineUnavailable")
    assert "HTTP 500: blob" not in body["error"]["message"]
    (record,) = caplog.records
    event = json.loads(record.getMessage())
    assert (event["event"], event["function"], event["error"]) == ("engine.unavailable", "http_x", "HTTP 500: blob")
    assert record.levelno == logging.ERROR


def test_another_error_is_not_hidden() -> None:
    """A bug of the app becomes a 500 of the platform, with its stack in the log."""

    @http_function(Blueprint(), route="x", methods=["GET"], engine=False)
    async def http_x(req: func.HttpRequest) -> func.HttpResponse:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        called(http_x, req=request())


def test_a_caller_without_access_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller without access is refused, unless the function checks a token of its own."""
    monkeypatch.setattr(routing, "refusal", lambda req, **_: error(403, "CallerNotAllowed", "No."))

    async def http_x(req: func.HttpRequest) -> func.HttpResponse:
        return answer({}, 200)

    guarded = http_function(Blueprint(), route="x", methods=["GET"], engine=False)(http_x)
    own_token = http_function(Blueprint(), route="x", methods=["GET"], engine=False, signed_in=False)(http_x)
    assert called(guarded, req=request()).status_code == 403
    assert called(own_token, req=request()).status_code == 200


def test_a_call_of_a_page_of_another_site_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a call is refused, unless the function checks a token of its own, which no browser sends by itself."""
    monkeypatch.setattr(routing, "cross_site_refusal", lambda req: error(403, "CrossSiteCall", "No."))

    async def http_x(req: func.HttpRequest) -> func.HttpResponse:
        return answer({}, 200)

    guarded = http_function(Blueprint(), route="x", methods=["POST"], engine=False)(http_x)
    own_token = http_function(Blueprint(), route="x", methods=["DELETE"], engine=False, signed_in=False)(http_x)
    assert called(guarded, req=request()).status_code == 403
    assert called(own_token, req=request()).status_code == 200

"""HTTP-triggered functions: routing, the request object, and the response."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

import azure.functions as func
from azure.functions.http import HttpResponseConverter

from devhost.app.index import Function, IndexingError
from devhost.app.invoke import Invoker
from devhost.engine.answers import dumps
from devhost.web.constraints import BadTemplate
from devhost.web.keys import Keys
from devhost.web.messages import JSON, Answer, Request
from devhost.web.routes import Router, Values

log = logging.getLogger("devhost.web")


class HttpTriggers:
    """Serves the HTTP functions of an app under `prefix`."""

    def __init__(self, functions: Sequence[Function], prefix: str, invoker: Invoker, keys: Keys) -> None:
        self._invoker = invoker
        self._keys = keys
        self._router: Router[Function] = Router(prefix)
        # The host registers routes in case-insensitive order of function name; the first match is used.
        for function in sorted((f for f in functions if f.kind == "http"), key=lambda f: f.name.lower()):
            binding = function.trigger
            self._router.add(binding.get("route") or function.name, binding.get("methods") or (), function)
        for first, later, example in self._router.overlaps():
            log.warning(
                "routes overlap: /%s matches function %s and function %s; it goes to %s, because the platform tries "
                "routes in the order of function names, not the more exact route first",
                example, first.name, later.name, first.name,
            )  # fmt: skip

    async def answer(self, request: Request) -> Answer:
        found = self._router.find(request.method, request.raw_path)
        if found is None:
            return Answer(404)
        function, values = found
        level = str(function.trigger.get("authLevel") or "FUNCTION")
        if not self._keys.may_call(level, request.headers, request.query):
            return Answer(401)
        try:
            return read_answer(await self._invoker.call(function, http_request(request, values)))
        except Exception:
            log.exception("function %s failed; the answer is an empty 500, as on Azure", function.name)
            return Answer(500)


def triggers(functions: Sequence[Function], prefix: str, invoker: Invoker, keys: Keys) -> HttpTriggers:
    """The HTTP functions of an app. Raises IndexingError for a route that the platform refuses."""
    try:
        return HttpTriggers(functions, prefix, invoker, keys)
    except BadTemplate as problem:
        raise IndexingError(str(problem)) from problem


def http_request(request: Request, values: Values) -> func.HttpRequest:
    """The request object for a function. As in the host, query parameters without a value are left out."""
    return func.HttpRequest(
        method=request.method,
        url=request.url,
        headers=dict(request.headers),
        params={k: v for k, v in request.query.items() if v},
        route_params={k: v for k, v in values.items() if v is not None},
        body=request.body,
    )


def read_answer(value: Any) -> Answer:
    """The answer for the result of a function. Raises TypeError for anything but HttpResponse and str."""
    if isinstance(value, str):
        legacy = _response_object(value)
        if legacy is not None:
            return legacy
        return Answer(200, [("Content-Type", "text/plain; charset=utf-8")], value.encode())
    if not isinstance(value, func.HttpResponse):
        raise TypeError(f"an HTTP function must return HttpResponse or str, not {type(value).__name__}")
    encoded = HttpResponseConverter.encode(value, expected_type=None).value
    headers = [(name, datum.value) for name, datum in encoded["headers"].items()]
    for cookie in encoded["cookies"] or ():
        headers += [("Set-Cookie", morsel.OutputString()) for morsel in cookie.values()]
    return Answer(int(encoded["status_code"].value), headers, encoded["body"].value)


def _response_object(text: str) -> Answer | None:
    """The answer for a returned string that is a JSON object with a `body`: the host takes it for a response."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    value = {k.lower(): v for k, v in value.items()}
    if "body" not in value:
        return None
    body = value["body"]
    is_text = isinstance(body, str)
    status: Any = value.get("statuscode", value.get("status", 200))
    headers = {str(k).lower(): str(v) for k, v in (value.get("headers") or {}).items()}
    headers.setdefault("content-type", "text/plain; charset=utf-8" if is_text else JSON)
    return Answer(int(status), list(headers.items()), (body if is_text else dumps(body)).encode())

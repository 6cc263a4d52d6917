"""The management API of the Durable extension, under /runtime/webhooks/durabletask and as the RPC endpoint of the
durable client, with the same handlers."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import unquote_plus

from devhost.engine import Hub, Query, Refused
from devhost.engine.answers import dumps
from devhost.engine.hub import STATUSES
from devhost.engine.refusals import fault
from devhost.engine.times import parse
from devhost.runner import Runner
from devhost.web.bodies import BadBody, read_json
from devhost.web.messages import Answer, Request, json_answer
from devhost.web.payloads import Links

log = logging.getLogger("devhost.web")
T = TypeVar("T")

_PENDING = ("Running", "Pending", "Suspended", "ContinuedAsNew")


class Management:
    """Answers management requests. `tail` is the percent-encoded path after the base, without a leading slash."""

    def __init__(self, runner: Runner, links: Links) -> None:
        self._runner = runner
        self._links = links

    async def answer(self, request: Request, tail: str) -> Answer:
        # As in the extension, the whole path is decoded first (+ is a blank), then split at slashes.
        parts = unquote_plus(tail).strip("/").split("/")
        try:
            answer = await self._route(request, request.method, parts)
        except Refused as refusal:
            return Answer(refusal.status) if refusal.body is None else json_answer(refusal.status, refusal.body)
        except BadBody as problem:
            return json_answer(400, fault("Invalid JSON content", str(problem), "Newtonsoft.Json.JsonReaderException"))
        return answer or Answer(404)

    async def _route(self, request: Request, method: str, parts: list[str]) -> Answer | None:
        # The fixed segments of a path are case-insensitive; ids and names keep their case.
        parts = [parts[0].lower(), *parts[1:]]
        if parts[0] == "instances" and len(parts) > 2:
            parts[2] = parts[2].lower()
        match method, parts:
            case "POST", ["orchestrators", name]:
                return await self._start(request, name, None)
            case "POST", ["orchestrators", name, instance_id]:
                return await self._start(request, name, instance_id)
            case "GET", ["instances"]:
                return await self._list(request)
            case "DELETE", ["instances"]:
                return await self._purge_many(request)
            case "GET", ["instances", instance_id]:
                return await self._status(request, instance_id)
            case "DELETE", ["instances", instance_id]:
                count = await self._do(lambda hub, now: hub.purge(instance_id))
                return json_answer(200, {"instancesDeleted": count})
            case "POST", ["instances", instance_id, "raiseevent", event]:
                return await self._raise_event(request, instance_id, event)
            case "POST", ["instances", instance_id, "restart"]:
                new_id = _flag(request, "restartWithNewInstanceId", default=True)
                restarted = await self._do(lambda hub, now: hub.restart(instance_id, new_id=new_id, now=now))
                return await self._started(request, restarted)
            case "POST", ["instances", instance_id, ("terminate" | "suspend" | "resume" | "rewind") as verb]:
                reason = _parameter(request, "reason") if "reason" in map(str.lower, request.query) else None
                await self._do(lambda hub, now: getattr(hub, verb)(instance_id, reason, now))
                return Answer(202)
            case "GET", ["entities"]:
                return await self._entities(request, "")
            case "GET", ["entities", name]:
                return await self._entities(request, name)
            case _, ["entities", name, *rest]:
                return await self._entity(request, method, name, parts[2] if rest else "", len(rest))
        return None

    async def _entity(self, request: Request, method: str, name: str, key: str, more: int) -> Answer | None:
        """One entity. A read takes the key `$` as the empty key; a signal does not. If the path has no key, both use
        the empty key."""
        if more > 1:
            return None
        if method == "GET":
            target = "" if key == "$" else key
            return json_answer(200, await self._do(lambda hub, now: hub.entity_state(name, target)))
        if method == "POST":
            return await self._signal(request, name, key)
        if method == "DELETE":
            await self._do(lambda hub, now: hub.signal(name, key, "delete", None, now))
            return Answer(202)
        return None

    async def _do(self, operation: Callable[[Hub, datetime], T]) -> T:
        return await asyncio.wrap_future(self._runner.submit(operation))

    # ---- starting -----------------------------------------------------------------------------------------------

    async def _start(self, request: Request, name: str, instance_id: str | None) -> Answer:
        text = None
        if request.body:
            read_json(request.body)  # parsed only to refuse invalid JSON: the text is stored as it is
            text = request.body.decode("utf-8-sig", "replace")
        version = _parameter(request, "version") or None
        return await self._started(
            request, await self._do(lambda hub, now: hub.start(name, instance_id, text, now, version))
        )

    async def _started(self, request: Request, instance_id: str) -> Answer:
        """The response to a start or restart: at once or, if the caller asked for it, when the instance has ended."""
        timeout, interval = _number(request, "timeout"), _number(request, "pollingInterval")
        if timeout is not None and interval is not None:
            if interval > timeout:
                problem = f"Total timeout {timeout:g} should be bigger than retry timeout {interval:g}"
                return json_answer(400, {"Message": problem})
            ended = await self._wait(request, instance_id, timeout, interval)
            if ended is not None:
                return ended
        return self._check_status(request, instance_id)

    async def _wait(self, request: Request, instance_id: str, seconds: float, interval: float) -> Answer | None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            status = await self._do(lambda hub, now: hub.status(instance_id))
            if status is not None and status["runtimeStatus"] == "Completed":
                return json_answer(200, status["output"])
            if status is not None and status["runtimeStatus"] not in _PENDING:
                return json_answer(200, status)
            if loop.time() >= end:
                return None
            await asyncio.sleep(min(interval, max(0.0, end - loop.time())))

    def _check_status(self, request: Request, instance_id: str) -> Answer:
        links = self._links.check_status(request.base, instance_id)
        return json_answer(202, links, {"Location": links["statusQueryGetUri"], "Retry-After": "10"})

    # ---- one instance -------------------------------------------------------------------------------------------

    async def _status(self, request: Request, instance_id: str) -> Answer:
        show_input = _flag(request, "showInput", default=True)
        show_history = _flag(request, "showHistory", default=False)
        show_output = _flag(request, "showHistoryOutput", default=False)
        status = await self._do(
            lambda hub, now: hub.status(
                instance_id, show_input=show_input, show_history=show_history, show_output=show_output
            )
        )
        return Answer(404) if status is None else _status_answer(request, status)

    async def _raise_event(self, request: Request, instance_id: str, event: str) -> Answer:
        await self._do(
            lambda hub, now: hub.require_active(instance_id)
        )  # first, because a missing or ended instance has precedence over a bad body
        if request.content_type != "application/json":
            return json_answer(400, {"Message": "Only application/json request content is supported"})
        text = dumps(read_json(request.body))
        await self._do(lambda hub, now: hub.raise_event(instance_id, event, text, now))
        return Answer(202)

    # ---- many instances -----------------------------------------------------------------------------------------

    async def _list(self, request: Request) -> Answer:
        query = Query(
            prefix=request.query.get("instanceIdPrefix", ""),
            created_from=_time(request, "createdTimeFrom"),
            created_to=_time(request, "createdTimeTo"),
            statuses=_statuses(request),
            show_input=_flag(request, "showInput", default=True),
            top=_top(request),
            after=_after(request),
        )
        page, token = await self._do(lambda hub, now: hub.query(query))
        return json_answer(200, page, {"x-ms-continuation-token": _token(token)})

    async def _purge_many(self, request: Request) -> Answer:
        start = _time(request, "createdTimeFrom")
        if start is None:
            raise Refused(400, "Please provide value for 'createdTimeFrom' parameter.")
        until, statuses = _time(request, "createdTimeTo"), _statuses(request)
        count = await self._do(lambda hub, now: hub.purge_between(start, until or now, statuses))
        return json_answer(200, {"instancesDeleted": count})

    # ---- entities -----------------------------------------------------------------------------------------------

    async def _signal(self, request: Request, name: str, key: str) -> Answer:
        text = None
        if request.body:
            if request.content_type == "application/json":
                try:
                    text = dumps(read_json(request.body))
                except BadBody as problem:
                    return json_answer(400, {"Message": f"Could not parse JSON content: {problem}"})
            else:
                text = dumps(request.body.decode("utf-8", "replace"))
        operation = request.query.get("op", "")
        await self._do(lambda hub, now: hub.signal(name, key, operation, text, now))
        return Answer(202)

    async def _entities(self, request: Request, name: str) -> Answer:
        since, until = _time(request, "lastOperationTimeFrom"), _time(request, "lastOperationTimeTo")
        fetch, top, after = _flag(request, "fetchState", default=False), _top(request), _after(request)
        page, token = await self._do(
            lambda hub, now: hub.entity_list(name, fetch_state=fetch, since=since, until=until, top=top, after=after)
        )
        return json_answer(200, page, {"x-ms-continuation-token": _token(token)})


def _status_answer(request: Request, status: dict[str, Any]) -> Answer:
    if status["runtimeStatus"] in _PENDING:
        return json_answer(202, status, {"Location": request.url, "Retry-After": "5"})
    failed = status["runtimeStatus"] == "Failed"
    internal = failed and _flag(request, "returnInternalServerErrorOnFailure", default=False)
    return json_answer(500 if internal else 200, status)


def _flag(request: Request, name: str, *, default: bool) -> bool:
    text = _parameter(request, name).lower()
    return {"true": True, "false": False}.get(text, default)


def _parameter(request: Request, name: str) -> str:
    """A query parameter of the extension; its name is case-insensitive."""
    return next((v for k, v in request.query.items() if k.lower() == name.lower()), "")


def _number(request: Request, name: str) -> float | None:
    try:
        return float(_parameter(request, name))
    except ValueError:
        return None


def _time(request: Request, name: str) -> datetime | None:
    text = _parameter(request, name)
    try:
        return parse(text) if text else None
    except ValueError:
        return None


def _statuses(request: Request) -> frozenset[str]:
    words = _parameter(request, "runtimeStatus").split(",")
    return frozenset(STATUSES[s.strip().lower()] for s in words if s.strip().lower() in STATUSES)


def _top(request: Request) -> int:
    text = _parameter(request, "top")
    return int(text) if text.isdigit() and int(text) > 0 else 100


def _token(last: str) -> str:
    """The continuation token after an id, safe for a header."""
    return base64.urlsafe_b64encode(last.encode("utf-8", "surrogatepass")).decode()


def _after(request: Request) -> str:
    """The id of a continuation token. Raises Refused (400) for a token of another host."""
    try:
        return base64.urlsafe_b64decode(request.headers.get("x-ms-continuation-token", "")).decode()
    except ValueError:
        raise Refused(400, {"Message": "the x-ms-continuation-token is not from this host"}) from None

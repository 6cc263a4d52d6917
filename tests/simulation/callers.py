"""Callers in the simulated world: their requests and keys, the answers that they get, and their cancellations."""

from __future__ import annotations

import contextlib
import functools
import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import azure.functions as func

from devhost.engine import Refused
from tests.simulation.platform import call_http
from tests.simulation.scenario import Caller
from tests.simulation.story import SENT, answer_text

if TYPE_CHECKING:
    from tests.simulation.world import World

Json = dict[str, Any]

MAX_TRIES = 4
TRY_AGAIN_SECONDS = 30.0
READ_PERIODS = (60.0, 600.0, 7200.0)
"""The periods in seconds after a start in which callers read the status: some poll at once, some read it again hours
later."""
FRESH = timedelta(seconds=15)
"""The maximum age of a status. A read is shared for a second, and is repeated while the engine refuses it."""


@dataclass
class Accepted:
    """An accepted request, and each different status that its caller has seen, with the time.

    `at`: when it was accepted, according to the app.
    """

    caller: Caller
    id: str
    at: datetime
    status_token: str
    cancel_token: str | None
    cancelled_at: datetime | None = None
    terminated_at: datetime | None = None
    purged_at: datetime | None = None
    seen: list[tuple[datetime, int, Json]] = field(default_factory=list)

    @property
    def deadline(self) -> datetime:
        """When the request must have ended."""
        return self.at + timedelta(minutes=self.caller.spec.get("timeoutMinutes", 660))


@dataclass
class Start:
    """One POST. `id` is None if the answer names no request (409, 503). `code` is 0 if there was no answer.

    `begun` and `at`: when it was sent, and when the answer came.
    """

    begun: datetime
    at: datetime
    dataset_id: str
    key: str | None
    scope: Json
    starter: str
    code: int
    id: str | None
    repeated: bool
    may_cancel: bool
    refused_starts: int = 0
    """How many starts the engine refused while this call was in progress."""


@dataclass
class OtherCall:
    """A call that reads a status or cancels, with the HTTP status of its answer."""

    at: datetime
    function: str
    code: int


def scope_of(spec: Json) -> Json:
    """The scope of a request in the form that the app stores: with the default type of an enhanced refresh."""
    refresh = spec.get("refresh")
    return {"refresh": refresh and {"type": "full", **refresh}}


class Callers:
    """All callers of a day."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.requests: list[Accepted] = []
        self.starts: list[Start] = []
        self.other_calls: list[OtherCall] = []
        self.stale: list[str] = []
        """Statuses that were too old."""
        self.wrong_cancels: list[str] = []
        """Cancellations by key that hit an older request than the newest one of the key, as text."""

    def arrive(self, caller: Caller) -> None:
        """A caller sends a request, in some cases together with others that send the same request at the same
        instant."""
        world = self._world
        world.spawn(self._ask(caller, caller.spec))
        for again in caller.repeats:
            spec = {**caller.spec, **again.other}
            world.after(again.after, functools.partial(self._arrive_again, caller, spec, again.starter))

    def _arrive_again(self, caller: Caller, spec: Json, starter: str) -> None:
        self._world.spawn(self._ask(caller, spec, starter))

    async def _ask(
        self, caller: Caller, spec: Json, starter: str = "pipeline", tries: int = 1, first: datetime | None = None
    ) -> None:
        """Sends a POST. With a key it may be a repetition. The caller may get no usable answer.

        `first`: the time of the first try.
        """
        world, begun = self._world, self._world.now
        first = first or begun
        refused = len(world.client.refused_starts)
        uri = world.receivers.new_uri() if caller.called_back else None
        body = json.dumps({**spec, "callBackUri": uri}).encode()
        headers = {"x-functions-key": f"key of the {starter}"}
        request = func.HttpRequest("POST", "http://localhost/api/refreshes", headers=headers, params={}, body=body)
        answer = await world.call(call_http("http_start", request))
        code = answer.status_code if answer else 0
        content: Json = json.loads(answer.get_body()) if answer else {}
        key = spec.get("idempotencyKey")
        self.starts.append(
            Start(
                begun=begun,
                at=world.now,
                dataset_id=caller.dataset_id,
                key=key,
                scope=scope_of(spec),
                starter=starter,
                code=code,
                id=content.get("id"),
                repeated=content.get("repeated", False),
                may_cancel="cancelUri" in content,
                refused_starts=len(world.client.refused_starts) - refused,
            )
        )
        if uri and answer and not (key and code == 503):
            # the app drops the URI of a refused start, and calls the URI of an ended request; after a start that the
            # engine refused (503), the app may call the URI if the start is sent again with its key
            world.receivers.wait(uri, content.get("id"))
        if key is not None:
            world.counts["starts repeated"] += len([a for a in self.starts if a.key == key]) > 1
            world.counts["key conflicts"] += code == 409
        if code not in (200, 202) or content["status"] == "Completed":
            start = f"a start with the key {key!r}" if key else "a start without a key"
            world.note(world.now, f"{start} gets {answer_text(code)}")
            if code in (0, 503) and tries < MAX_TRIES and key is not None:
                world.after(TRY_AGAIN_SECONDS, lambda: world.spawn(self._ask(caller, spec, starter, tries + 1, first)))
            return
        if any(known.id == content["id"] and not known.purged_at for known in self.requests):
            # another start with the key was faster; this start got the same URIs, and they are valid
            await self._call("GET", content["id"], content["statusUri"].split("token=")[1], "http_status")
            return
        self._accept(replace(caller, spec=spec), content, begun, first)

    def _accept(self, caller: Caller, body: Json, begun: datetime, first: datetime) -> None:
        world = self._world
        token, cancel = (body.get(name, "?token=").split("token=")[1] for name in ("statusUri", "cancelUri"))
        accepted = Accepted(caller, body["id"], begun, token, cancel or None)
        self.requests.append(accepted)
        if caller.another_after is not None:
            about = caller.spec.get("caller", {})
            world.after(caller.another_after, lambda: world.spawn(world.receivers.another(accepted.id, about)))
        options = {key: value for key, value in caller.spec.items() if key not in ("workspaceId", "datasetId")}
        more = f" with {json.dumps(options)}" if options else ""
        world.note(first, f"{SENT} {body['id']}: a refresh of {caller.dataset_id}{more}")
        if caller.cancel_after is not None:
            world.after(caller.cancel_after, lambda: world.spawn(self._cancel(accepted)))
        within = world.random.choice(READ_PERIODS)
        for _ in range(world.random.choice([0, 1, 2, 3, 6])):
            world.after(world.random.uniform(0, within), lambda: world.spawn(self.look(accepted)))

    async def _cancel(self, accepted: Accepted) -> None:
        world = self._world
        if accepted.purged_at:
            return
        accepted.cancelled_at = world.now
        world.counts["cancels requested"] += 1
        world.note(world.now, f"the caller cancels {accepted.id}")
        way = 1.0 if accepted.caller.cancels_by_uri else world.random.random()
        key = accepted.caller.spec.get("idempotencyKey")
        if way < 0.2:
            # not through a route of the app, but through the engine's own API
            with contextlib.suppress(Refused):
                world.hub.raise_event(accepted.id, "Cancel", "null", world.now)
        elif key is not None and (way < 0.6 or accepted.cancel_token is None):
            await self._cancel_by_key(accepted.caller.dataset_id, key)
        elif accepted.cancel_token is not None:
            await self._call("DELETE", accepted.id, accepted.cancel_token, "http_cancel")

    async def _cancel_by_key(self, dataset_id: str, key: str) -> None:
        """Cancels the newest request of the key, which may not be the request that the caller intends to cancel."""
        world = self._world
        known = [start for start in self.starts if (start.dataset_id, start.key) == (dataset_id, key) and start.id]
        body = json.dumps({"datasetId": dataset_id, "idempotencyKey": key}).encode()
        request = func.HttpRequest("POST", "http://localhost/api/refreshes/cancel", headers={}, params={}, body=body)
        for accepted in self.requests:
            if any(accepted.id == start.id for start in known):
                # from now on, any of the key's requests may end as cancelled
                accepted.cancelled_at = accepted.cancelled_at or world.now
        answer = await world.call(call_http("http_cancel_by_key", request))
        if answer is None:
            return
        self.other_calls.append(OtherCall(world.now, "http_cancel_by_key", answer.status_code))
        hit = json.loads(answer.get_body()).get("id")
        stored = [start.id for start in known if start.id and not self.purged(start.id)]
        newest = max(stored, key=submission, default=None)
        if newest is not None and (hit is None or submission(hit) < submission(newest)):
            self.wrong_cancels.append(f"a cancellation of key {key!r} hit {hit}, but the newest was {newest}")

    def purged(self, request_id: str) -> bool:
        """Whether the purge deleted this request, and no later start created it again."""
        found = [request for request in self.requests if request.id == request_id]
        return bool(found) and all(request.purged_at for request in found)

    async def look(self, accepted: Accepted) -> tuple[int, Json]:
        """Reads the status. Returns the last known status if the request was purged, and 0 if there was no answer."""
        if accepted.purged_at:
            return accepted.seen[-1][1:]
        code, body = await self._call("GET", accepted.id, accepted.status_token, "http_status")
        if code in (200, 202, 424) and not accepted.purged_at:
            self._compare(accepted, body)
            accepted.seen.append((self._world.now, code, body))
            accepted.at = datetime.fromisoformat(body["requestedAt"])
        return code, body

    def _compare(self, accepted: Accepted, body: Json) -> None:
        """Notes a status that shows an outdated state of the active run."""
        engine = self._world.engine
        request = engine.instances.get(accepted.id)
        if request is None or not request.custom_status or body["runtimeStatus"] != "Running":
            return
        standing = json.loads(request.custom_status)
        run = engine.instances.get(f"{body.get('runId')}-g{standing.get('incarnation', 1)}")
        if standing.get("position") != 0 or run is None or not run.custom_status:
            return  # a request that is not in the active run has its status from the queue
        status = json.loads(run.custom_status)
        if "refreshId" not in status or self._world.now - datetime.fromisoformat(status["postedAt"]) < FRESH:
            return
        if body.get("refreshId") != status["refreshId"]:
            self.stale.append(f"{accepted.id} shows {body.get('refreshId')}, but its run follows {status['refreshId']}")

    async def _call(self, method: str, request_id: str, token: str, function: str) -> tuple[int, Json]:
        request = func.HttpRequest(
            method,
            f"http://localhost/api/refreshes/{request_id}",
            headers={},
            params={"token": token},
            route_params={"id": request_id},
            body=b"",
        )
        answer = await self._world.call(call_http(function, request))
        if answer is None:
            return 0, {}
        if not self.purged(request_id):
            self.other_calls.append(OtherCall(self._world.now, f"{function} of {request_id}", answer.status_code))
        return answer.status_code, json.loads(answer.get_body())


def submission(request_id: str) -> int:
    """The submission number in the id of a request with a key."""
    return int(request_id.split("-")[2])

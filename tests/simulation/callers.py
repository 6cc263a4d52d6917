"""Callers in the simulated world: what they ask for, under which keys, what they are answered, and how they cancel."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import azure.functions as func

from devhost.engine import Refused
from tests.simulation.platform import call_http
from tests.simulation.scenario import Caller

if TYPE_CHECKING:
    from tests.simulation.world import World

Json = dict[str, Any]

MOST_TRIES = 4
TRY_AGAIN_SECONDS = 30.0


@dataclass
class Accepted:
    """A request that was answered with 202, and each different status its caller has seen, with the time."""

    caller: Caller
    id: str
    at: datetime
    status_token: str
    cancel_token: str
    cancelled_at: datetime | None = None
    terminated_at: datetime | None = None
    seen: list[tuple[datetime, int, Json]] = field(default_factory=list)

    @property
    def deadline(self) -> datetime:
        """When the request has to be over."""
        return self.at + timedelta(minutes=self.caller.wish.get("timeoutMinutes", 660))


@dataclass
class Asked:
    """One POST under a key. `id` is None where the answer names no request (409, 503)."""

    at: datetime
    dataset_id: str
    key: str
    scope: Json
    code: int
    id: str | None
    repeated: bool


def scope_of(wish: Json) -> Json:
    """The part of a wish that a key stands for; Power BI's default is written down, as the app does it."""
    refresh = wish.get("refresh")
    return {"refresh": refresh and {"type": "full", **refresh}}


class Callers:
    """All callers of a day."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.requests: list[Accepted] = []
        self.asked: list[Asked] = []
        """Every POST under an idempotency key."""
        self._racing: list[Callable[[], None]] = []
        """Callers who ask at the same instant as the one whose POST is under way."""

    def race(self) -> None:
        """While one POST is under way another one may come in."""
        if self._racing and self._world.random.random() < 0.5:
            self._racing.pop()()

    def arrive(self, caller: Caller) -> None:
        """Somebody comes, perhaps with others who ask for the same at the same instant."""
        for seconds, other in caller.repeats:
            again = functools.partial(self._ask, caller, {**caller.wish, **other})
            if seconds:
                self._world.after(seconds, again)
            else:
                self._racing.append(again)
        self._ask(caller, caller.wish)
        while self._racing:
            self._racing.pop()()

    def _ask(self, caller: Caller, wish: Json, tries: int = 1) -> None:
        """A POST; under a key perhaps not the first one, and perhaps without an answer that helps."""
        begun = self._world.now
        uri = self._world.receivers.new_uri() if caller.called_back else None
        body = json.dumps({**wish, "callBackUri": uri}).encode()
        request = func.HttpRequest("POST", "http://localhost/api/refreshes", headers={}, params={}, body=body)
        answer = call_http("http_start", request)
        told = json.loads(answer.get_body())
        code, key = answer.status_code, wish.get("idempotencyKey")
        if uri:
            # a URI that came to nothing is dropped, one of a request that has ended is called
            self._world.receivers.wait(uri, told.get("id"))
        if key is not None:
            scope, again = scope_of(wish), told.get("repeated", False)
            self.asked.append(Asked(begun, caller.dataset_id, key, scope, code, told.get("id"), again))
            self._world.counts["asked again"] += len([a for a in self.asked if a.key == key]) > 1
            self._world.counts["key in use"] += code == 409
            if code == 503 and tries < MOST_TRIES:
                self._world.after(TRY_AGAIN_SECONDS, lambda: self._ask(caller, wish, tries + 1))
            if code in (409, 424, 503) or told.get("status") == "Completed":
                self._world.told(self._world.now, f"key {key!r} is answered {code}")
                return
        assert code == (200 if uri else 202), answer.get_body()
        if any(known.id == told["id"] for known in self.requests):
            return
        tokens = [told[name].split("token=")[1] for name in ("statusUri", "cancelUri")]
        accepted = Accepted(replace(caller, wish=wish), told["id"], self._world.now, *tokens)
        if key is not None:
            # the clock of whoever reserved the key first
            accepted.at = datetime.fromisoformat(
                self._status(accepted, "GET", tokens[0], "http_status")[1]["requestedAt"]
            )
        self.requests.append(accepted)
        if caller.another_after is not None:
            self._world.after(caller.another_after, lambda: self._world.receivers.another(accepted.id))
        self._world.told(self._world.now, f"{told['id']} asks for {caller.dataset_id[-2:]}: {wish}")
        if caller.cancel_after is not None:
            self._world.after(caller.cancel_after, lambda: self._cancel(accepted))
        for _ in range(self._world.random.randint(0, 3)):
            self._world.after(self._world.random.uniform(0, 2 * 3600), lambda: self.look(accepted))

    def _cancel(self, accepted: Accepted) -> None:
        accepted.cancelled_at = self._world.now
        self._world.counts["cancels asked"] += 1
        self._world.told(self._world.now, f"{accepted.id} is cancelled by its caller")
        if self._world.random.random() < 0.2:
            # not by our route: through the engine's own API
            with contextlib.suppress(Refused):
                self._world.hub.raise_event(accepted.id, "Cancel", "null", self._world.now)
        else:
            self._status(accepted, "DELETE", accepted.cancel_token, "http_cancel")

    def look(self, accepted: Accepted) -> tuple[int, Json]:
        """The caller asks for the status."""
        code, body = self._status(accepted, "GET", accepted.status_token, "http_status")
        accepted.seen.append((self._world.now, code, body))
        return code, body

    def _status(self, accepted: Accepted, method: str, token: str, function: str) -> tuple[int, Json]:
        request = func.HttpRequest(
            method,
            f"http://localhost/api/refreshes/{accepted.id}",
            headers={},
            params={"token": token},
            route_params={"id": accepted.id},
            body=b"",
        )
        answer = call_http(function, request)
        return answer.status_code, json.loads(answer.get_body())

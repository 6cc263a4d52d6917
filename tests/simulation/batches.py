"""Callers of batches in the simulated world: their requests, the answers that they get, and their cancellations."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import azure.functions as func

from tests.simulation.batch_days import BatchCaller
from tests.simulation.callers import MAX_TRIES, TRY_AGAIN_SECONDS
from tests.simulation.platform import call_http
from tests.simulation.story import SENT, answer_text

if TYPE_CHECKING:
    from tests.simulation.world import World

Json = dict[str, Any]

READ_WITHIN_SECONDS = 3 * 3600.0


@dataclass
class AcceptedBatch:
    """An accepted batch, and each status that its caller has seen, with the time."""

    caller: BatchCaller
    spec: Json
    id: str
    at: datetime
    status_token: str
    cancel_token: str | None
    cancelled_at: datetime | None = None
    seen: list[tuple[datetime, int, Json]] = field(default_factory=list)

    @property
    def deadline(self) -> datetime:
        """When the batch must have ended."""
        return self.at + timedelta(minutes=self.spec.get("timeoutMinutes", 660))

    @property
    def final(self) -> Json:
        """The status that the caller saw last."""
        return self.seen[-1][2]


class Batches:
    """All callers of batches of a day."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.accepted: list[AcceptedBatch] = []
        self.refused: list[str] = []
        """Descriptions of answers that no start or read of a status may get."""
        self.requests: dict[str, tuple[int, Json]] = {}
        """The last status of each request of a batch."""

    def arrive(self, caller: BatchCaller) -> None:
        """A caller sends a batch, in some cases several times with its key."""
        world = self._world
        world.spawn(self._ask(caller, caller.spec))
        for seconds in caller.repeats:
            world.after(seconds, lambda: world.spawn(self._ask(caller, caller.spec)))

    async def _ask(self, caller: BatchCaller, spec: Json, tries: int = 1, first: datetime | None = None) -> None:
        world, begun = self._world, self._world.now
        first = first or begun
        refused = len(world.client.refused_starts)
        uri = world.receivers.new_uri() if caller.called_back else None
        code, content = await self._call("http_batch_start", "POST", body={**spec, "callBackUri": uri})
        key = spec.get("idempotencyKey")
        if uri and code and not (key and code == 503):
            world.receivers.wait(uri, content.get("id"))
        if code == 503 and len(world.client.refused_starts) == refused:
            self.refused.append(f"a start of a batch is answered with 503, but the engine refused nothing: {content}")
        if code not in (0, 200, 202, 424, 503):
            self.refused.append(f"a start of a batch is answered with {code}: {content}")
        if code in (0, 503):
            world.note(world.now, f"a start of a batch gets {answer_text(code)}")
            if key is not None and tries < MAX_TRIES:
                world.after(TRY_AGAIN_SECONDS, lambda: world.spawn(self._ask(caller, spec, tries + 1, first)))
            return
        if "statusUri" not in content:
            world.note(world.now, f"a start of a batch gets {answer_text(code)}")
            return
        token, cancel = (content.get(name, "?token=").split("token=")[1] for name in ("statusUri", "cancelUri"))
        known = next((batch for batch in self.accepted if batch.id == content["id"]), None)
        if known is not None:
            if (known.status_token, known.cancel_token) != (token, cancel or known.cancel_token):
                self.refused.append(f"two starts of {known.id} return different tokens")
            world.note(world.now, f"a repeated start of {known.id} gets {answer_text(code)}")
            return
        self._accept(AcceptedBatch(caller, spec, content["id"], begun, token, cancel or None), first)

    def _accept(self, batch: AcceptedBatch, first: datetime) -> None:
        world, caller = self._world, batch.caller
        self.accepted.append(batch)
        world.note(first, f"{SENT} {batch.id}: {_models(batch.spec)}")
        if caller.cancel_after is not None:
            world.after(caller.cancel_after, lambda: world.spawn(self._cancel(batch)))
        for _ in range(world.random.choice([0, 1, 3])):
            world.after(world.random.uniform(0, READ_WITHIN_SECONDS), lambda: world.spawn(self.look(batch)))
        if caller.retry_after is not None:
            world.after(caller.retry_after, lambda: world.spawn(self._retry(batch)))

    async def _retry(self, batch: AcceptedBatch) -> None:
        """Sends the batch again with retryOf, if it has ended without success."""
        code, _ = await self.look(batch)
        if code == 424:
            self._world.counts["batches retried"] += 1
            spec = {key: value for key, value in batch.spec.items() if key != "idempotencyKey"}
            caller = BatchCaller(0.0, {}, called_back=batch.caller.called_back)
            await self._ask(caller, {**spec, "retryOf": batch.id})

    async def _cancel(self, batch: AcceptedBatch) -> None:
        world = self._world
        batch.cancelled_at = world.now
        world.note(world.now, f"the caller cancels {batch.id}")
        if batch.cancel_token:
            code, _ = await self._call("http_batch_cancel", "DELETE", batch.id, batch.cancel_token)
        else:
            code, _ = await self._call("http_batch_cancel_by_id", "POST", batch.id)
        if code not in (0, 200, 202, 503):
            self.refused.append(f"the cancellation of {batch.id} is answered {code}")

    async def look(self, batch: AcceptedBatch) -> tuple[int, Json]:
        """Reads the status for the caller. Returns HTTP status (0 if there was no answer) and body."""
        code, body = await self._call("http_batch_status", "GET", batch.id, batch.status_token)
        if code in (200, 202, 424):
            batch.seen.append((self._world.now, code, body))
        elif code:
            self.refused.append(f"the status of {batch.id} is answered {code}")
        return code, body

    async def look_at_requests(self, batch: AcceptedBatch) -> None:
        """Reads the statuses of the requests of a batch, and stores them by the ids of the requests."""
        for request_id in self._world.batch_requests(batch):
            self.requests[request_id] = await self._call("http_status_by_id", "GET", request_id)

    async def _call(
        self, function: str, method: str, batch_id: str = "", token: str = "", body: Json | None = None
    ) -> tuple[int, Json]:
        request = func.HttpRequest(
            method,
            f"http://localhost/api/batches/{batch_id}",
            headers={"x-functions-key": "key of the pipeline"},
            params={"token": token} if token else {},
            route_params={"id": batch_id},
            body=json.dumps(body).encode() if body is not None else b"",
        )
        answer = await self._world.call(call_http(function, request))
        return (answer.status_code, json.loads(answer.get_body())) if answer else (0, {})


def _models(spec: Json) -> str:
    """The models of a batch in words, each with those that it depends on, then the options of the batch."""
    models = [model if isinstance(model, dict) else {"datasetId": model} for model in spec.get("models", [])]
    ids = {model.get("name"): model["datasetId"] for model in models}
    listed = []
    for model in models:
        first = " and ".join(ids[name] for name in model.get("dependsOn", []))
        listed.append(model["datasetId"] + (f" (after {first})" if first else ""))
    options = {key: value for key, value in spec.items() if key not in ("workspaceId", "models", "all", "except")}
    without = f" except {', '.join(spec['except'])}" if spec.get("except") else ""
    what = ", ".join(listed) if listed else "the failed models of a batch" if "retryOf" in spec else "all models"
    return f"refreshes of {what}{without}" + (f" with {json.dumps(options)}" if options else "")

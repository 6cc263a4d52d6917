"""The start of a batch: what it reads from the engine, and when."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import azure.functions as func

from durable.codec import encode
from durable.instance import Instance
from refresh.batch.spec import parse_batch
from refresh.batch.state import BatchState
from refresh.batch.stored import pack
from refresh.ids import batch_key_prefix
from refresh.settings import Settings
from triggers import http_batch_start

RETRY = {"retryOf": "batch-0123456789abcdef", "idempotencyKey": "retry 1"}
"""The retry of a batch that was purged."""


@dataclass
class Engine:
    """An engine that knows these instances and starts none."""

    instances: list[Instance]
    secret: bytes = b"secret"

    async def list_all(self, prefix: str) -> AsyncIterator[Instance]:
        """The instances whose id begins with the prefix."""
        for instance in self.instances:
            if instance.id.startswith(prefix):
                yield instance

    async def status(self, instance_id: str) -> Instance | None:
        """The instance with this id."""
        return next((instance for instance in self.instances if instance.id == instance_id), None)


def post(engine: Engine) -> tuple[int, Any]:
    """The answer to a start of the retry: HTTP status and body."""
    start: Any = http_batch_start.http_batch_start
    req = func.HttpRequest("POST", "http://127.0.0.1:7071/api/batches", body=json.dumps(RETRY).encode())
    answer = asyncio.run(start._function._func.__wrapped__(req=req, engine=engine))
    return answer.status_code, json.loads(answer.get_body())


def test_a_repeated_start_of_a_retry_does_not_need_the_earlier_batch() -> None:
    """A repeat of an accepted retry succeeds, although the purge may have deleted the earlier batch since then."""
    spec = parse_batch(RETRY, Settings())
    state = BatchState(
        spec=spec,
        digests=spec.digests,
        read_token="r",
        cancel_token="c",
        requested_at="2026-03-31T12:00:00.000Z",
    )
    batch_id = f"{batch_key_prefix('retry 1')}1-{spec.fingerprint}"
    accepted = Instance(id=batch_id, name="refresh_batch", status="Running", input=encode(pack(state)))
    status, body = post(Engine([accepted]))
    assert (status, body["id"], body["repeated"]) == (202, batch_id, True)


def test_a_new_retry_needs_the_earlier_batch() -> None:
    """A new retry is refused if the earlier batch does not exist. The refusal names the wrong key."""
    status, body = post(Engine([]))
    assert (status, body["error"]["target"]) == (400, "retryOf")
    assert "does not exist" in body["error"]["message"]

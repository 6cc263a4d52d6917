"""GET /api/refreshes: which requests there were, and what became of them."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from zlib import crc32

import azure.durable_functions as df
import azure.functions as func

from durable.engine import Engine
from durable.requests import request_of
from refresh.ids import parse_guid, request_prefix
from refresh.reporting.status import STATUSES, Json, summary
from refresh.request.stored import StoredRequest
from refresh.request.values import BadRequestError
from refresh.times import parse_time, time_of
from triggers.answers import answer
from triggers.looks import run_status
from triggers.reports import names_of
from triggers.routing import http_function

PARAMETERS = ("datasetId", "since", "status", "continuation")
AT_LEAST = 100
"""Requests of an answer, if there are so many: the engine's pages hold runs and queues, too."""

bp = df.Blueprint()


@dataclass(frozen=True)
class Filters:
    """What the caller wants to see. `statuses` in lower case, empty for all."""

    dataset_id: str | None
    since: datetime | None
    statuses: frozenset[str]
    continuation: str


@http_function(bp, route="refreshes", methods=["GET"])
async def http_list(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """`refreshes`, newest first, and `continuation` if there are more: hand it in again to go on."""
    try:
        filters = _filters(req)
    except BadRequestError as problem:
        return answer(problem.to_json(), 400)
    found, continuation = await _requests(engine, filters)
    rows = [await _row(engine, request) for request in found]
    rows = [row for row in rows if not filters.statuses or row["status"].lower() in filters.statuses]
    rows.sort(key=lambda row: row["requestedAt"], reverse=True)
    return answer({"refreshes": rows, "continuation": encode_continuation(continuation) or None}, 200)


async def _requests(engine: Engine, filters: Filters) -> tuple[list[StoredRequest], str]:
    """Requests, and the engine's token to go on with (empty: that was all)."""
    prefix = request_prefix(filters.dataset_id) if filters.dataset_id else ""
    found: list[StoredRequest] = []
    continuation = filters.continuation
    while True:
        # the engine's creation time is never before a request was asked for, so what it leaves out is older
        page = await engine.list_page(prefix, since=filters.since, continuation=continuation)
        requests = filter(None, map(request_of, page.instances))
        since = filters.since
        found.extend(request for request in requests if since is None or time_of(request.state.requested_at) >= since)
        continuation = page.continuation
        if not continuation or len(found) >= AT_LEAST:
            return found, continuation


async def _row(engine: Engine, request: StoredRequest) -> Json:
    standing = request.standing
    if request.outcome or standing.run_id is None or standing.position != 0:
        return summary(request, names=names_of(request))
    run = await run_status(engine, standing.run_id, standing.incarnation)
    return summary(request, run, names_of(request))


def encode_continuation(token: str) -> str:
    """The engine's token as callers get it: safe in a URL, and with a checksum. Empty stays empty."""
    text = token.encode()
    return urlsafe_b64encode(crc32(text).to_bytes(4, "big") + text).decode() if token else ""


def decode_continuation(continuation: str) -> str:
    """The engine's token in what a caller hands in; the engine itself fails for what it never gave out.

    Raises BadRequestError for anything that `encode_continuation` did not make.
    """
    try:
        value = urlsafe_b64decode(continuation.encode())
        token = value[4:].decode()
    except ValueError:  # binascii.Error and UnicodeError are such
        token = ""
    if encode_continuation(token) != continuation:
        raise BadRequestError("continuation must be that of an earlier answer.", "continuation")
    return token


def _filters(req: func.HttpRequest) -> Filters:
    for name in req.params:
        if name not in (*PARAMETERS, "code"):
            raise BadRequestError(f"Unknown parameter; known are {', '.join(PARAMETERS)}.", name[:64])
    dataset_id, since = req.params.get("datasetId"), req.params.get("since")
    if dataset_id and not parse_guid(dataset_id):
        raise BadRequestError("datasetId must be a GUID.", "datasetId")
    if since and not parse_time(since):
        raise BadRequestError("since must be a time such as 2026-03-31T00:00:00Z.", "since")
    words = (word.strip().lower() for word in req.params.get("status", "").split(","))
    statuses = frozenset(word for word in words if word)
    if statuses - {status.lower() for status in STATUSES}:
        raise BadRequestError(f"status must be some of {', '.join(STATUSES)}, separated by commas.", "status")
    continuation = decode_continuation(req.params.get("continuation", ""))
    return Filters(parse_guid(dataset_id), parse_time(since), statuses, continuation)

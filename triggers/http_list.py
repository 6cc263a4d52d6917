"""GET /api/refreshes: who asked for what, and what became of it."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from uuid import UUID
from zlib import crc32

import azure.durable_functions as df
import azure.functions as func

from refresh.history.rows import iso, parse_guid, parse_time
from refresh.reporting.status import STATUSES, summary
from refresh.request.spec import BadRequestError
from triggers.answers import answer
from triggers.auth import LEVEL, refusal
from triggers.instances import list_requests

PARAMETERS = ("datasetId", "since", "status", "continuation")
AT_LEAST = 100

bp = df.Blueprint()


@bp.route(route="refreshes", methods=["GET"], auth_level=LEVEL)
@bp.durable_client_input(client_name="client")
async def http_list(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """`refreshes`, newest first, and `continuation` if there are more: hand it in again to go on."""
    if refused := refusal(req):
        return refused
    try:
        dataset_id, since, statuses = _filters(req)
        token = decode_continuation(req.params.get("continuation", ""))
    except BadRequestError as problem:
        return answer(problem.to_json(), 400)
    prefix = UUID(dataset_id).hex + "-" if dataset_id else ""
    found, token = await list_requests(client, prefix, iso(since), token, AT_LEAST)
    rows = [summary(instance, state) for instance, state in found]
    rows = [row for row in rows if not statuses or row["status"].lower() in statuses]
    rows.sort(key=lambda row: row["requestedAt"], reverse=True)
    return answer({"refreshes": rows, "continuation": encode_continuation(token) or None}, 200)


def encode_continuation(token: str) -> str:
    """The engine's token as we give it out: safe in a URL, and with a checksum. Empty stays empty."""
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
        raise BadRequestError("continuation must be what an earlier answer gave as such.", "continuation")
    return token


def _filters(req: func.HttpRequest) -> tuple[str | None, datetime | None, frozenset[str]]:
    for name in req.params:
        if name not in (*PARAMETERS, "code"):
            raise BadRequestError(f"Unknown parameter; known are {', '.join(PARAMETERS)}.", name[:64])
    dataset_id = req.params.get("datasetId")
    if dataset_id and not parse_guid(dataset_id):
        raise BadRequestError("datasetId must be a GUID.", "datasetId")
    since = req.params.get("since")
    if since and not parse_time(since):
        raise BadRequestError("since must be a time such as 2026-03-31T00:00:00Z.", "since")
    statuses = frozenset(word.strip().lower() for word in req.params.get("status", "").split(",") if word.strip())
    if statuses - {status.lower() for status in STATUSES}:
        raise BadRequestError(f"status must be some of {', '.join(STATUSES)}, separated by commas.", "status")
    return parse_guid(dataset_id), parse_time(since), statuses

"""GET /api/models and GET /api/models/{datasetId}: the freshness and activity of models, and their last failures.

Both read the index and the records (`refresh.models`), not a list of the engine's instances, so their cost does not
depend on the number of ended requests.
"""

import asyncio
import dataclasses
import re
from datetime import datetime, timedelta

import azure.durable_functions as df
import azure.functions as func

from durable.engine import Engine
from durable.requests import find_request
from power_bi.service import known_names
from refresh import clock
from refresh.ids import parse_guid
from refresh.messages import replace
from refresh.models.state import Entry
from refresh.queue.state import Queue
from refresh.reporting.model_history import active_of, request_ids, requests_json, runs_json
from refresh.reporting.model_summary import summary
from refresh.reporting.models import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    MAX_SEARCH,
    SORTS,
    STATES,
    KnownModel,
    ModelFilters,
    decode_key,
    known_models,
    list_json,
    model_json,
)
from refresh.request.stored import StoredRequest
from refresh.request.values import BadRequestError
from refresh.run.status import RunStatus
from refresh.settings import current_settings
from refresh.times import instant
from triggers.answers import answer, error
from triggers.looks import entries, entry_of, queue_of, record_of, run_status
from triggers.routing import http_function

PARAMETERS = ("search", "state", "workspaceId", "sort", "limit", "continuation")
READS_AT_ONCE = 10
"""The number of requests of a model that are read at the same time."""

bp = df.Blueprint()


@http_function(bp, route="models", methods=["GET"], reads=True)
async def http_models(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """`models`, with `total`, `counts`, `asOf`, and `continuation` if there are more."""
    try:
        filters = _filters(req)
    except BadRequestError as problem:
        return answer(problem.to_json(), 400)
    now, settings = clock.now(), current_settings()
    models = known_models(await entries(engine), settings.expected_every_hours, now, _retention_cutoff(now))
    return answer({**list_json(models, filters), "asOf": instant(now)}, 200)


@http_function(bp, route="models/{datasetId}", methods=["GET"], reads=True)
async def http_model(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """The model with `summary`, the reason for its state, and its last `runs` and `requests`."""
    dataset_id = parse_guid(req.route_params["datasetId"])
    if dataset_id is None:
        return error(400, "InvalidRequest", '"datasetId" must be a GUID.', "datasetId")
    now = clock.now()
    entry, record, queue = await asyncio.gather(
        entry_of(engine, dataset_id), record_of(engine, dataset_id), queue_of(engine, dataset_id)
    )
    model = _model(dataset_id, entry, queue, now)
    if model is None:
        message = "The model is unknown: no refresh of it was requested within the retention period."
        return error(404, "ModelUnknown", message, "datasetId")
    run = await run_status(engine, queue.runs[0].id, queue.runs[0].incarnation) if queue.runs else RunStatus()
    # the queue has the current state, even if the news has not reached the index yet, or was lost
    active = active_of(queue, run, instant(now))
    model = dataclasses.replace(model, entry=replace(model.entry, active=active))
    body = {
        **model_json(model),
        "summary": summary(model, active, queue, run),
        "runs": runs_json(record, _retention_cutoff(now)),
        "requests": requests_json(await _requests(engine, request_ids(record, queue)), queue),
        "asOf": instant(now),
    }
    return answer(body, 200)


def _model(dataset_id: str, entry: Entry | None, queue: Queue, now: datetime) -> KnownModel | None:
    """The model with the data of the index, of the queue and of this process; None if it is unknown."""
    if queue.runs:
        workspace = queue.scope_of(queue.runs[0]).workspace_id
        entry = entry or Entry(known_since=queue.runs[0].since, at=queue.at, workspace_id=workspace)
    if entry:
        names = entry.names.also(queue.names).also(known_names(entry.workspace_id, dataset_id))
        expected = entry.expected_every_hours
        if queue.expected_every_hours is not None:
            expected = queue.expected_every_hours or None
        entry = replace(entry, names=names, expected_every_hours=expected)
    settings = current_settings().expected_every_hours
    known = {dataset_id: entry} if entry else {}
    models = known_models(
        known, {key: hours for key, hours in settings.items() if key == dataset_id}, now, _retention_cutoff(now)
    )
    return models[0] if models else None


async def _requests(engine: Engine, ids: list[str]) -> list[StoredRequest]:
    """The requests with these ids, without those that the purge has deleted."""
    slots = asyncio.Semaphore(READS_AT_ONCE)

    async def read(request_id: str) -> StoredRequest | None:
        async with slots:
            return await find_request(engine, request_id)

    return [request for request in await asyncio.gather(*map(read, ids)) if request is not None]


def _retention_cutoff(now: datetime) -> datetime:
    return now - timedelta(days=current_settings().retention_days)


def _filters(req: func.HttpRequest) -> ModelFilters:
    for name in req.params:
        if name not in (*PARAMETERS, "code"):
            raise BadRequestError(f"Unknown parameter. Known parameters: {', '.join(PARAMETERS)}.", name[:64])
    search = req.params.get("search", "").strip().casefold()
    if len(search) > MAX_SEARCH:
        raise BadRequestError(f'"search" must have at most {MAX_SEARCH} characters.', "search")
    words = (word.strip().lower() for word in req.params.get("state", "").split(","))
    states = frozenset(word for word in words if word)
    if states - set(STATES):
        raise BadRequestError(f'"state" must be one or more of {", ".join(STATES)}, separated by commas.', "state")
    workspace = req.params.get("workspaceId", "")
    if workspace and parse_guid(workspace) is None:
        raise BadRequestError('"workspaceId" must be a GUID.', "workspaceId")
    sort = req.params.get("sort", "").lower() or SORTS[0]
    if sort not in SORTS:
        raise BadRequestError(f'"sort" must be one of {", ".join(SORTS)}.', "sort")
    filters = ModelFilters(search, states, parse_guid(workspace), sort, _limit(req.params.get("limit", "")))
    continuation = req.params.get("continuation", "")
    if not continuation:
        return filters
    after = decode_key(continuation, sort)
    if after is None:
        raise BadRequestError('"continuation" must come from an earlier answer with the same "sort".', "continuation")
    return dataclasses.replace(filters, after=after)


def _limit(text: str) -> int:
    if not text:
        return DEFAULT_LIMIT
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= MAX_LIMIT:
        raise BadRequestError(f'"limit" must be a whole number from 1 to {MAX_LIMIT}.', "limit")
    return int(text)

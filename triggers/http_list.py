"""GET /api/refreshes: the list of requests and their outcomes."""

from dataclasses import dataclass
from datetime import datetime

import azure.durable_functions as df
import azure.functions as func

from durable.engine import Engine
from durable.instance import ALIVE
from durable.requests import request_of
from refresh import clock
from refresh.ids import parse_guid, request_prefix
from refresh.reporting.status import ENDS, STATUSES, Json, summary
from refresh.request.stored import StoredRequest
from refresh.request.values import BadRequestError
from refresh.times import instant, parse_time, time_of
from triggers.answers import answer
from triggers.list_pages import Listed, Newest, Place, decode_continuation, encode_continuation, place_of, windows
from triggers.looks import run_status
from triggers.reports import names_of
from triggers.routing import http_function

PARAMETERS = ("datasetId", "since", "status", "continuation")
MAX_ROWS = 10_000
"""The maximum number of instances read for one page: requests, runs, callbacks and queues. Azure Storage takes about
ten seconds for them."""
PROGRESSING = frozenset(status.lower() for status in STATUSES) - {status.lower() for status in ENDS}

bp = df.Blueprint()


@dataclass(frozen=True)
class Filters:
    """The filters of the list. `statuses` are in lower case; empty means all."""

    dataset_id: str | None
    since: datetime | None
    statuses: frozenset[str]

    @property
    def text(self) -> str:
        """The filters as text, to sign a continuation: it is only valid with the filters of its list."""
        return f"{self.dataset_id} {instant(self.since) if self.since else None} {','.join(sorted(self.statuses))}"

    @property
    def engine_statuses(self) -> tuple[str, ...]:
        """The engine's statuses that can match; empty means all."""
        return ALIVE if self.statuses and self.statuses <= PROGRESSING else ()

    def may_fit(self, request: StoredRequest) -> bool:
        """False if it is known, without reading the run, that the request does not match."""
        if self.since is not None and time_of(request.state.requested_at) < self.since:
            return False
        if not self.statuses:
            return True
        if request.outcome is not None:
            return request.outcome.status.lower() in self.statuses
        return bool(self.statuses & PROGRESSING)

    def fits(self, row: Json) -> bool:
        """Whether a row of the answer matches."""
        return not self.statuses or row["status"].lower() in self.statuses


@http_function(bp, route="refreshes", methods=["GET"], reads=True)
async def http_list(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """`refreshes`, newest first, and `continuation` if there are more: pass it with the same filters to get them."""
    try:
        filters = _filters(req)
        token = req.params.get("continuation", "")
        before = decode_continuation(token, filters.text, engine.secret) if token else None
        found, last = await requests_before(engine, filters, before, clock.now())
    except BadRequestError as problem:
        return answer(problem.to_json(), 400)
    rows = [await _row(engine, listed.request) for listed in found]
    continuation = encode_continuation(last, filters.text, engine.secret) if last else None
    return answer({"refreshes": [row for row in rows if filters.fits(row)], "continuation": continuation}, 200)


async def requests_before(
    engine: Engine, filters: Filters, before: Place | None, now: datetime
) -> tuple[list[Listed], Place | None]:
    """The newest requests before a place, and the place to continue from; None if there are no more.

    Raises BadRequestError if the first window has too many instances.
    """
    prefix = request_prefix(filters.dataset_id) if filters.dataset_id else ""
    newest, read, complete_from = Newest(before), 0, ""
    for window in windows(before, filters.since, now):
        async for instance in engine.list_all(
            prefix, since=window.after, until=window.until, statuses=filters.engine_statuses
        ):
            read += 1
            if read > MAX_ROWS:
                break
            request = request_of(instance)
            if request is not None and filters.may_fit(request):
                newest.add(place_of(request, instance), request)
        if read > MAX_ROWS:
            break
        complete_from = window.complete_from
        if newest.more_than_a_page(complete_from):
            page = newest.page(complete_from)
            return page, page[-1].place
    else:
        return newest.page(complete_from), None
    if not complete_from:
        problem = f"More than {MAX_ROWS} instances would have to be read for this page."
        if filters.dataset_id:
            raise BadRequestError(f'{problem} Send a later time as "since".', "since")
        raise BadRequestError(f'{problem} Filter by "datasetId", or send a later time as "since".', "datasetId")
    return newest.page(complete_from), Place(complete_from)


async def _row(engine: Engine, request: StoredRequest) -> Json:
    standing = request.standing
    if request.outcome or standing.run_id is None or standing.position != 0:
        return summary(request, names=names_of(request))
    run = await run_status(engine, standing.run_id, standing.incarnation)
    return summary(request, run, names_of(request))


def _filters(req: func.HttpRequest) -> Filters:
    for name in req.params:
        if name not in (*PARAMETERS, "code"):
            raise BadRequestError(f"Unknown parameter. Known parameters: {', '.join(PARAMETERS)}.", name[:64])
    dataset_id, since = req.params.get("datasetId"), req.params.get("since")
    if dataset_id and not parse_guid(dataset_id):
        raise BadRequestError('"datasetId" must be a GUID.', "datasetId")
    if since and not parse_time(since):
        raise BadRequestError('"since" must be a time such as 2026-03-31T00:00:00Z.', "since")
    words = (word.strip().lower() for word in req.params.get("status", "").split(","))
    statuses = frozenset(word for word in words if word)
    if statuses - {status.lower() for status in STATUSES}:
        raise BadRequestError(f'"status" must be one or more of {", ".join(STATUSES)}, separated by commas.', "status")
    return Filters(parse_guid(dataset_id), parse_time(since), statuses)

"""The routes of the API: refreshing a model, reading its history and a refresh, cancelling, reading the model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from dev.power_bi import refusals, views
from dev.power_bi.checks import GUID
from dev.power_bi.dataset import MAX_ROWS, Dataset
from dev.power_bi.knobs import Knobs, Outcome
from dev.power_bi.messages import Json, Request, Response, json_response
from dev.power_bi.options import NotAccepted, options_of

PUBLIC = "https://api.powerbi.com"
CLUSTER = "https://wabi-north-europe-d-primary-redirect.analysis.windows.net"

_ID = GUID.pattern
_PATH = re.compile(rf"(?i)/v1\.0/myorg/groups/({_ID})/datasets/({_ID})(/refreshes)?(?:/({_ID}))?/?")
_MODELS = re.compile(rf"(?i)/v1\.0/myorg/groups/({_ID})/datasets/?")
_WORKSPACE = re.compile(rf"(?i)/v1\.0/myorg/groups/({_ID})/?")
_OF_MY_WORKSPACE = re.compile(r"(?i)/v1\.0/myorg/datasets(/.*)?")
_ROUTES = {
    ("GET", False, False): "dataset",
    ("GET", True, False): "history",
    ("POST", True, False): "start",
    ("GET", True, True): "details",
    ("DELETE", True, True): "cancel",
}


@dataclass(frozen=True)
class Call:
    """A request to one of the routes, with its ids in lower case."""

    route: str
    workspace_id: str
    dataset_id: str
    refresh_id: str
    request: Request


def routed(request: Request, path: str) -> Call | None:
    """The call for a request; None if it matches no route."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    workspace_id, dataset_id, refreshes, refresh_id = (part.lower() if part else "" for part in match.groups())
    route = _ROUTES.get((request.method, bool(refreshes), bool(refresh_id)))
    return Call(route, workspace_id, dataset_id, refresh_id, request) if route else None


def other_path(request: Request, path: str) -> Response:
    """The answer to a request for another path: the name of a workspace, a 403 for the routes of My workspace, which
    are closed to apps, or a 404."""
    workspace = _WORKSPACE.fullmatch(path)
    if workspace and request.method == "GET":
        identity = workspace[1].lower()
        body = {"id": identity, "isReadOnly": False, "isOnDedicatedCapacity": True, "name": f"Workspace {identity[:8]}"}
        return json_response(200, body, "application/json; odata.metadata=minimal")
    return refusals.not_accessible() if _OF_MY_WORKSPACE.fullmatch(path) else refusals.not_found()


def listed_workspace(request: Request, path: str) -> str | None:
    """The workspace whose models a request lists; None if the request does not list models."""
    match = _MODELS.fullmatch(path)
    return match[1].lower() if match and request.method == "GET" else None


def models(request: Request, workspace_id: str, found: Mapping[str, Knobs]) -> Response:
    """The models of a workspace: those with this `workspaceId` as a knob. All are on one page, as in the reference of
    the real service."""
    if not _signed_in(request):
        return refusals.no_token()
    context = f"{CLUSTER}/v1.0/myorg/groups/{workspace_id}/$metadata#datasets"
    rows = [_model(dataset_id, knobs) for dataset_id, knobs in found.items()]
    body = {"@odata.context": context, "value": rows}
    return json_response(200, body, "application/json; odata.metadata=minimal")


def _signed_in(request: Request) -> bool:
    return re.match(r"(?i)bearer\s+\S", request.header("Authorization")) is not None


def answer(call: Call, dataset: Dataset, knobs: Knobs, now: datetime, forget: bool = False) -> Response:
    """Carries out a call. `forget`: a started refresh is accepted and then dropped."""
    if not _signed_in(call.request):
        return refusals.no_token()
    if not knobs.exists:
        return refusals.not_found()
    match call.route:
        case "start":
            return _start(call, dataset, knobs, now, forget)
        case "history":
            return _history(call, dataset, knobs, now)
        case "details":
            return _details(call, dataset, knobs, now)
        case "cancel":
            return _cancel(call, dataset, knobs, now)
        case _:
            return _dataset(call, knobs)


def _start(call: Call, dataset: Dataset, knobs: Knobs, now: datetime, forget: bool) -> Response:
    try:
        options = options_of(call.request.body, call.request.header("Content-Type"), knobs)
    except NotAccepted as refused:
        return refused.response
    running = dataset.running(now)
    if running and knobs.conflict != "queue":
        return refusals.in_progress(knobs.conflict, knobs.conflict_message)
    if knobs.capacity == "shared" and dataset.used_of_daily_limit(now) >= knobs.daily_limit:
        return refusals.daily_limit(knobs.daily_limit_status)
    dataset.accepted += 1
    # one refresh is running; one more is queued behind it, and any further one is dropped
    if forget or len(running) > 1:
        request_id = dataset.new_id()
        dataset.dropped.append(request_id)
    else:
        request_id = dataset.start(options, now, knobs, running[-1] if running else None).request_id
    headers = {"Content-Type": "application/octet-stream", "RequestId": request_id}
    if options.enhanced:
        headers["x-ms-request-id"] = request_id
        path = f"/v1.0/myorg/groups/{call.workspace_id}/datasets/{call.dataset_id}/refreshes/{request_id}"
        headers["Location"] = PUBLIC + path
    return Response(202, headers)


def _history(call: Call, dataset: Dataset, knobs: Knobs, now: datetime) -> Response:
    top = parse_qs(urlsplit(call.request.path).query).get("$top", [str(MAX_ROWS)])[-1]
    if not re.fullmatch(r"[0-9]{1,9}", top) or int(top) < 1:
        return refusals.invalid("$top must be a number from 1")
    rows = [views.row(entry, now, knobs) for entry in dataset.listed(now)[: int(top)]]
    body = {"@odata.context": f"{_context(call)}#refreshes", "value": rows}
    return json_response(200, body, "application/json; odata.metadata=minimal")


def _details(call: Call, dataset: Dataset, knobs: Knobs, now: datetime) -> Response:
    refresh = dataset.found(call.refresh_id, now, knobs)
    if refresh is None:
        return refusals.not_found(knobs.unknown_refresh_status)
    return json_response(200 if refresh.has_ended(now) else 202, views.details(refresh, now, knobs))


def _cancel(call: Call, dataset: Dataset, knobs: Knobs, now: datetime) -> Response:
    refresh = dataset.found(call.refresh_id, now, knobs)
    if refresh is None or not refresh.enhanced:
        return refusals.not_found(knobs.unknown_refresh_status)
    if refresh.has_ended(now):
        return refusals.cannot_cancel()
    # the cancellation takes a while, and has no effect if the refresh ends sooner
    at = now + timedelta(seconds=dataset.draw(knobs.cancel_seconds))
    if refresh.cut is None or at < refresh.cut[0]:
        refresh.cut = at, Outcome("Cancelled")
    return Response(200)


def _dataset(call: Call, knobs: Knobs) -> Response:
    body: Json = {"@odata.context": f"{_context(call)}#datasets/$entity", **_model(call.dataset_id, knobs)}
    return json_response(200, body, "application/json; odata.metadata=minimal")


def _model(dataset_id: str, knobs: Knobs) -> Json:
    return {
        "id": dataset_id,
        "name": knobs.name or f"Model {dataset_id[:8]}",
        "addRowsAPIEnabled": False,
        "configuredBy": "developer@contoso.com",
        "isRefreshable": knobs.is_refreshable,
        "isEffectiveIdentityRequired": False,
        "isEffectiveIdentityRolesRequired": False,
        "isOnPremGatewayRequired": False,
        "targetStorageMode": "PremiumFiles" if knobs.capacity == "premium" else "Abf",
        "createdDate": "2024-11-19T08:00:00.000Z",
    }


def _context(call: Call) -> str:
    return f"{CLUSTER}/v1.0/myorg/groups/{call.workspace_id}/$metadata"

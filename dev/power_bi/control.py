"""The control routes, by which people and tests control the service. Errors are `{"error": "..."}` and name the key."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING

from dev.power_bi.checks import BadControl, checked
from dev.power_bi.messages import Json, Request, Response, json_response

if TYPE_CHECKING:
    from dev.power_bi.service import PowerBiService

ROUTES = (
    ("POST", "/control/datasets/{ds}"),
    ("GET", "/control/datasets/{ds}"),
    ("POST", "/control/datasets/{ds}/external"),
    ("POST", "/control/datasets/{ds}/cancel"),
    ("POST", "/control/datasets/{ds}/end"),
    ("POST", "/control/defaults"),
    ("POST", "/control/faults"),
    ("GET", "/control/faults"),
    ("DELETE", "/control/faults"),
    ("POST", "/control/reset"),
)


def answer(service: PowerBiService, request: Request, path: str, now: datetime) -> Response:
    """Carries out a control request."""
    parts = re.fullmatch(r"/control/datasets/([^/]+)(/\w+)?", path)
    dataset_id = parts[1] if parts else ""
    route = (request.method, f"/control/datasets/{{ds}}{parts[2] or ''}" if parts else path)
    if route not in ROUTES:
        return json_response(404, {"error": f"no such control route: {request.method} {path}"})
    try:
        status, value = _done(service, route, dataset_id, _body(request), now)
    except BadControl as problem:
        return json_response(400, {"error": str(problem)})
    return json_response(status, value)


def _done(
    service: PowerBiService, route: tuple[str, str], dataset_id: str, body: Json, now: datetime
) -> tuple[int, Json]:
    match route:
        case ("POST", "/control/datasets/{ds}"):
            service.set_knobs(dataset_id, body)
        case ("POST", "/control/datasets/{ds}/external"):
            service.add_external(dataset_id, body, now)
        case ("POST", "/control/datasets/{ds}/cancel"):
            checked(body, {}, "cancel")
            return _ended(service.cancel(dataset_id, now))
        case ("POST", "/control/datasets/{ds}/end"):
            how = checked(body, {"outcome": lambda value: value}, "end").get("outcome", "Completed")
            return _ended(service.end(dataset_id, now, how))
        case (_, "/control/faults"):
            if route[0] == "POST":
                service.add_fault(body)
            elif route[0] == "DELETE":
                service.clear_faults()
            return 200, {"faults": service.faults()}
        case ("POST", "/control/defaults"):
            service.set_defaults(body)
            return 200, {}
        case ("POST", "/control/reset"):
            checked(body, {}, "reset")
            service.reset()
            return 200, {}
    return 200, service.report(dataset_id, now)


def _ended(request_id: str | None) -> tuple[int, Json]:
    return (200, {"requestId": request_id}) if request_id else (409, {"error": "no refresh is running"})


def _body(request: Request) -> Json:
    if not request.body.strip():
        return {}
    try:
        value = json.loads(request.body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise BadControl("the body must be a JSON object")
    return value

"""The service's refusals. Forms and messages are observed ones if there is an observation, otherwise likely ones."""

from __future__ import annotations

from dev.power_bi.messages import Json, Response, json_response


def invalid(why: str, status: int = 400) -> Response:
    """An invalid refresh request."""
    return _coded(status, "InvalidRequest", f"Invalid dataset refresh request. {why}".strip())


def in_progress(status: int, message: str) -> Response:
    """Another refresh of the model is running. Power BI answers 400 today; in 2021 it answered 409."""
    return _coded(status, "InvalidRequest", message)


def daily_limit(status: int) -> Response:
    """More than eight refreshes in 24 hours on shared capacity. The code, which contains a space, was observed; the
    status was not."""
    text = "Invalid dataset refresh request. Number of refresh requests in last 24 hours exceeded limit"
    return _coded(status, "Request Throttled", text)


def mail_refused(option: str) -> Response:
    """The request asks for an email, but an app's identity has no mailbox."""
    return _coded(400, "InvalidRequest", f"Invalid NotifyOption value '{option}' for app only owner requests")


def not_found(status: int = 404) -> Response:
    """A model or workspace that does not exist or is not visible, or an unknown refresh."""
    return _entity(status, "PowerBIEntityNotFound")


def dataset_not_found() -> Response:
    """The 404 of the routes that do not concern refreshes: it has a different wording."""
    text = "Dataset is not found! please verify datasetId is correct and user have sufficient permissions."
    return _coded(404, "ItemNotFound", text)


def unauthorized() -> Response:
    """The empty 401 for an app without the permission."""
    return Response(401)


def not_allowed_by_tenant() -> Response:
    """The tenant setting is off: an older wording."""
    return json_response(401, {"Message": "ServicePrincipalIsNotAllowedByTenantAdminSwitch"})


def not_accessible_200() -> Response:
    """The tenant setting is off, but the status is 200: some existing clients handle this case."""
    return json_response(200, {"Message": "API is not accessible for application"})


def forbidden_page() -> Response:
    """A refusal by a proxy between the app and the service."""
    return Response(403, {"Content-Type": "text/html"}, b"<html><body><h1>403 Forbidden</h1></body></html>")


def not_authorized() -> Response:
    """The identity is not allowed to use the model."""
    return _entity(401, "PowerBINotAuthorizedException")


def not_accessible() -> Response:
    """The tenant setting is off, or the route has no `/groups/`. The body has only `Message`."""
    return json_response(403, {"Message": "API is not accessible for application"})


def no_token() -> Response:
    """No bearer token: an empty 403."""
    return Response(403)


def token_expired() -> Response:
    """The token has expired: 403, not 401."""
    return _coded(403, "TokenExpired", "Access token has expired, resubmit with a new access token")


def not_model_based() -> Response:
    """A push, streaming or live-connected dataset."""
    return _coded(415, "InvalidRequest", "Invalid dataset. This API can only be called on a Model-based dataset")


def direct_query() -> Response:
    """A model without data of its own; the message is made up."""
    return invalid("Refresh is not supported for a DirectQuery model")


def throttled_without_header(seconds: int) -> Response:
    """Too many calls, without Retry-After: only the text says how long to wait."""
    response = throttled(seconds)
    headers = {name: value for name, value in response.headers.items() if name != "Retry-After"}
    return Response(429, headers, response.body)


def throttled(seconds: int) -> Response:
    """Too many calls. The body has only `message`."""
    text = (
        "You have exceeded the amount of requests allowed in the current time frame and further requests will fail. "
        f"Retry in {seconds} seconds."
    )
    response = json_response(429, {"message": text})
    return Response(429, {**response.headers, "Retry-After": str(seconds)}, response.body)


def fabric_throttled(status: int = 400) -> Response:
    """An overloaded capacity, as a client of the service quoted the answer: not a 429, and without Retry-After."""
    text = (
        "Unable to complete the action because your organization's Fabric compute capacity has exceeded its limits. "
        "Try again later."
    )
    return _coded(status, "FabricThrottled", text)


def capacity_limit_exceeded() -> Response:
    """An overloaded capacity with a different code; the status is assumed."""
    text = "Your organization's Fabric compute capacity has exceeded its limits. Try again later."
    return _coded(403, "CapacityLimitExceeded", text)


def too_many_requests_for_capacity(seconds: int) -> Response:
    """HTTP 430, as capacities answer to jobs. The body has `errorCode` and `message` at the top."""
    response = json_response(
        430, {"errorCode": "TooManyRequestsForCapacity", "message": "You have hit a compute or API rate limit."}
    )
    return Response(430, {**response.headers, "Retry-After": str(seconds)}, response.body)


def not_licensed() -> Response:
    """The identity has no license."""
    return _entity(401, "PowerBINotLicensedException")


def personal_workspace() -> Response:
    """A route with `/groups/` and the id of a personal workspace."""
    return _coded(401, "GroupNotAccessible", "Calling group APIs not permitted for personal workspace")


def proxy_page() -> Response:
    """The page of a proxy that requires its own login (status 407)."""
    page = (
        b"<html><head><title>Access Denied</title></head><body><h1>Access Denied</h1>"
        b"<p>Your credentials could not be authenticated.</p></body></html>"
    )
    return Response(401, {"Content-Type": "text/html"}, page)


def unbound_data_source() -> Response:
    """A data source without a connection. The sentence is in the details of `pbi.error`."""
    text = "The semantic model is not bound to a gateway. Bind its data sources in the settings."
    detail = {"code": "DM_ErrorDetailNameCode_UnderlyingErrorMessage", "detail": {"type": 1, "value": text}}
    return _entity(400, "DMTS_MonikerWithUnboundDataSources", [detail])


def capacity_not_active(status: int = 404) -> Response:
    """The capacity is paused. The body has the form of Fabric's API, the only observed form."""
    text = "The operation could not be completed because the capacity is not active"
    return json_response(status, {"errorCode": "CapacityNotActive", "message": text})


def server_error() -> Response:
    """An error of the service. The body has only `Message`."""
    return json_response(500, {"Message": "An error has occurred."})


def unavailable() -> Response:
    """An empty 503."""
    return Response(503)


def gateway_timeout() -> Response:
    """The page of a gateway."""
    page = b"<html><head><title>504 Gateway Time-out</title></head><body><h1>504 Gateway Time-out</h1></body></html>"
    return Response(504, {"Content-Type": "text/html"}, page)


def bad_gateway() -> Response:
    """Another page of a gateway."""
    return Response(502, {"Content-Type": "text/html"}, b"<html><body><h1>502 Bad Gateway</h1></body></html>")


def redirected() -> Response:
    """A redirect to a cluster, as with client routing; the token must not be sent there."""
    return Response(307, {"Location": "https://wabi-north-europe-d-primary-redirect.analysis.windows.net/elsewhere"})


def sign_in_page() -> Response:
    """The sign-in page of a proxy, with status 200, instead of an answer of the service."""
    return Response(200, {"Content-Type": "text/html"}, b"<html><body>Please sign in</body></html>")


def cannot_cancel() -> Response:
    """The refresh to cancel has ended."""
    return _coded(409, "InvalidRequest", "The refresh operation is already finished and cannot be cancelled")


def _coded(status: int, code: str, message: str) -> Response:
    return json_response(status, {"error": {"code": code, "message": message}})


def _entity(status: int, code: str, details: list[Json] | None = None) -> Response:
    inner = {"code": code, "parameters": {}, "details": details or [], "exceptionCulprit": 1}
    return json_response(status, {"error": {"code": code, "pbi.error": inner}})

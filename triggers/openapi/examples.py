"""An example for each answer, built by the code that answers, and for each body that callers send."""

import json
from datetime import timedelta
from typing import Any

import msgspec

from power_bi.check import NOT_CHECKED
from refresh.capacity.answers import OtherRun, WaitsForPlace
from refresh.failure.catalogue import ModelNames, failure
from refresh.history.look import ExternalRefresh
from refresh.history.progress import Progress, TableProgress
from refresh.messages import replace
from refresh.polling.limits import Limits
from refresh.queue.answers import Left
from refresh.reporting.models import STATES
from refresh.reporting.status import Live, report, summary
from refresh.request.outcomes import outcome_after_leaving
from refresh.request.spec import RequestSpec
from refresh.request.state import RequestOutcome, RequestState, Retry, Standing
from refresh.request.stored import StoredRequest
from refresh.scope.scope import Scope
from refresh.times import instant, time_of
from triggers.openapi.batch_examples import BATCH_EXAMPLES
from triggers.openapi.model_examples import model_examples
from triggers.openapi.place_examples import capacity

WORKSPACE, DATASET = "0a1b2c3d-0000-4000-8000-000000000001", "0a1b2c3d-0000-4000-8000-000000000002"
REFRESH, EXTERNAL = "0a1b2c3d-0000-4000-8000-000000000003", "0a1b2c3d-0000-4000-8000-000000000004"
PRINCIPAL = "0a1b2c3d-0000-4000-8000-000000000005"
REQUEST = "0a1b2c3d000040008000000000000002-b1946ac92492d234"
RUN = f"{REQUEST}-r1"
OTHER_DATASET, OTHER_REQUEST = (
    "0a1b2c3d-0000-4000-8000-000000000006",
    "0a1b2c3d000040008000000000000006-5b1946ac92492d23",
)
NAMES = ModelNames(model="Sales", workspace="Finance")
REQUESTED = "2026-03-31T06:00:00.000Z"
CALLER = {"pipeline": "Load sales", "runId": "5e2a"}
BASE = f"https://your-app.azurewebsites.net/api/refreshes/{REQUEST}"
URI = f"{BASE}?token="

Json = dict[str, Any]


def _later(seconds: float) -> str:
    return instant(time_of(REQUESTED) + timedelta(seconds=seconds))


def _status(outcome: RequestOutcome | None = None, live: Live | None = None, standing: Standing | None = None) -> Json:
    body: Json = json.loads(json.dumps(report(_request(outcome, standing), time_of(REQUESTED), live, NAMES).body))
    return body


def _request(outcome: RequestOutcome | None = None, standing: Standing | None = None) -> StoredRequest:
    return StoredRequest(
        id=REQUEST,
        engine_status="Running",
        state=RequestState(
            spec=RequestSpec(dataset_id=DATASET, scope=Scope(workspace_id=WORKSPACE), caller=CALLER),
            token="",
            read_token="",
            cancel_token="",
            requested_at=REQUESTED,
            limits=Limits(),
        ),
        outcome=outcome,
        standing=standing or Standing(),
        updated=outcome.ended_at if outcome else _later(60),
    )


_COMPLETED = RequestOutcome(
    status="Completed",
    run_id=RUN,
    refresh_id=REFRESH,
    shared_with=2,
    served_by="own",
    started_at=_later(5),
    ended_at=_later(300),
)
_FAILED = replace(
    _COMPLETED,
    status="Failed",
    error=failure("CredentialsRejected", DATASET, table="Sales", refresh_id=REFRESH, names=NAMES),
    ended_at=_later(42),
)
_PROGRESS = Progress(
    objects=4,
    by_status={"Completed": 3, "InProgress": 1},
    tables=(TableProgress(table="Sales", status="InProgress", completed=2, objects=3),),
    more_tables=0,
)
_EXTERNAL = ExternalRefresh(refresh_id=EXTERNAL, refresh_type="Scheduled", started_at=REQUESTED)
_STARTING = Live(status="Starting", position=0, run_id=RUN, shared_with=2)
_IN_LINE = WaitsForPlace(
    group="P1",
    since=_later(5),
    position=0,
    behind=(OtherRun(run_id=f"{OTHER_REQUEST}-r1", dataset_id=OTHER_DATASET, model_name="Stock", holds_place=True),),
)
_REFRESHING = _status(
    live=replace(
        _STARTING,
        status="Refreshing",
        refresh_id=REFRESH,
        started_at=_later(5),
        expected_end=_later(300),
        progress=_PROGRESS,
    )
)
_TIMED_OUT = replace(
    outcome_after_leaving(
        RequestSpec(dataset_id=DATASET, scope=Scope(workspace_id=WORKSPACE)),
        Left(run=RUN, position=0, shared_with=2, reason="TimedOut", waits_for=_EXTERNAL, names=NAMES),
    ),
    ended_at=_later(39600),
)
_UNKNOWN = replace(
    _COMPLETED,
    status="OutcomeUnknown",
    error=failure("HistoryRolledOver", DATASET, refresh_id=REFRESH, names=NAMES),
    ended_at=_later(3600),
)
_TERMINATED = RequestOutcome(
    status="Terminated", error=failure("RequestTerminated", DATASET, names=NAMES), ended_at=_later(90)
)
_CANCELLED = replace(
    outcome_after_leaving(
        RequestSpec(dataset_id=DATASET, scope=Scope(workspace_id=WORKSPACE)),
        Left(run=RUN, position=1, shared_with=0, reason="Cancelled", names=NAMES),
    ),
    ended_at=_later(90),
)
_RUN: Json = {
    "runId": RUN,
    "incarnation": 1,
    "status": "WaitingForIdle",
    "enhanced": False,
    "refreshId": None,
    "adopted": False,
    "startedAt": None,
    "requests": [{"id": REQUEST, "since": REQUESTED, "caller": CALLER}],
    "moreRequests": 0,
}
_LAST: Json = {
    "refreshId": REFRESH,
    "refreshType": "ViaApi",
    "status": "Completed",
    "startedAt": _later(5),
    "endedAt": _later(300),
}
_IN_GROUP: Json = {"runId": RUN, "workspaceId": WORKSPACE, "datasetId": DATASET, "modelName": NAMES.model}
_TIMER: Json = {"lastRun": REQUESTED, "late": False}
_HEALTH: Json = {"engine": "passed", "storage": "passed", "token": "passed", "timers": {"deliver_callbacks": _TIMER}}


def _refusal(code: str, message: str, target: str | None = None) -> Json:
    return {"error": {"code": code, "message": message, "target": target}}


_STARTED: Json = {
    "id": REQUEST,
    "status": "Queued",
    "statusUri": f"{URI}Rk9SLVJFQURJTkc",
    "cancelUri": f"{URI}Rk9SLUNBTkNFTExJTkc",
    "statusQueryGetUri": f"{URI}Rk9SLVJFQURJTkc",
}
EXAMPLES: dict[str, Json] = {
    "Started": _STARTED,
    "Accepted": _STARTED,
    "Repeated": {**_STARTED, "status": "Refreshing", "repeated": True},
    "Queued": _status(live=replace(_STARTING, status="Queued", position=1)),
    "WaitingForIdle": _status(live=replace(_STARTING, status="WaitingForIdle", waits_for=_EXTERNAL)),
    "WaitingForCapacity": _status(live=replace(_STARTING, status="WaitingForCapacity", waits_for_place=_IN_LINE)),
    "Starting": _status(live=_STARTING),
    "Refreshing": _REFRESHING,
    "BackingOff": _status(standing=Standing(retry=Retry(attempt=2, at=_later(360), after="GatewayTimedOut"))),
    "Cancelling": {**_REFRESHING, "cancelling": True},
    "Completed": _status(_COMPLETED),
    "Failed": _status(_FAILED),
    "Cancelled": _status(_CANCELLED),
    "TimedOut": _status(_TIMED_OUT),
    "OutcomeUnknown": _status(_UNKNOWN),
    "Terminated": _status(_TERMINATED),
    "Requests": {"refreshes": [summary(_request(_FAILED), names=NAMES)], "continuation": None},
    "Queue": {
        "datasetId": DATASET,
        **NAMES.facts,
        "waiting": 1,
        "active": {
            **_RUN,
            "waitsFor": msgspec.to_builtins(_EXTERNAL),
            "waitsSince": REQUESTED,
            "waitsForPlace": None,
            "expectedEnd": None,
            "progress": None,
            "lastReadError": None,
            "nextLookAt": _later(5),
        },
        "queue": [],
    },
    "EmptyQueue": {"datasetId": DATASET, **NAMES.facts, "waiting": 0, "active": None, "queue": []},
    "Capacity": capacity(_IN_GROUP, {"runId": f"{OTHER_REQUEST}-r1", "datasetId": OTHER_DATASET, "modelName": "Stock"}),
    **model_examples(_request(_FAILED), NAMES, EXTERNAL),
    "Obstacle": {
        "error": msgspec.to_builtins(failure("NotAuthorized", DATASET, names=NAMES)),
        "ok": False,
        "checks": {"workspaceAllowed": "passed", "token": "passed", "history": "failed"},
        "lastRefresh": None,
        "running": None,
        "notChecked": NOT_CHECKED,
        **NAMES.facts,
        "workspaceId": WORKSPACE,
        "datasetId": DATASET,
    },
    "Finding": {
        "ok": True,
        "checks": {"workspaceAllowed": "passed", "token": "passed", "history": "passed"},
        "lastRefresh": _LAST,
        "running": None,
        "notChecked": NOT_CHECKED,
        **NAMES.facts,
        "workspaceId": WORKSPACE,
        "datasetId": DATASET,
    },
    "Health": {"status": "ok", "checks": _HEALTH, "version": "5d3f8a1c0b7e49f2a6d8c3b1e0f7a4d2c9b8e6f1"},
    "Unhealthy": {"status": "unhealthy", "checks": {**_HEALTH, "token": "TokenUnavailable"}},
    "Refusal": _refusal("InvalidRequest", '"workspaceId" is required.', "workspaceId"),
    "WorkspaceRefused": _refusal(
        "WorkspaceNotAllowed", f"Workspace {WORKSPACE} is not in the app setting ALLOWED_WORKSPACES.", "workspaceId"
    ),
    "CallbackHostRefused": _refusal(
        "CallbackHostNotAllowed",
        "callBackUri: the host example.com is not in the app setting CALLBACK_ALLOWED_HOSTS.",
        "callBackUri",
    ),
    "FilterRefused": _refusal("InvalidRequest", '"since" must be a time such as 2026-03-31T00:00:00Z.', "since"),
    "GuidRefused": _refusal("InvalidRequest", '"datasetId" must be a GUID.', "datasetId"),
    "NotSignedIn": _refusal(
        "SignInRequired", "Sign in: send a Microsoft Entra ID token for this app in the header Authorization."
    ),
    "OnlyReader": _refusal(
        "CallerMayOnlyRead",
        f"The principal {PRINCIPAL} may only read: it is in ALLOWED_READERS, not in ALLOWED_CALLERS.",
    ),
    "ForeignPage": _refusal(
        "CrossSiteCall",
        "A page of another site made this call in the browser. Only the app's own page may use its session.",
    ),
    "NotAllowed": _refusal("CallerNotAllowed", f"The principal {PRINCIPAL} is not in the app setting ALLOWED_CALLERS."),
    "OnlyReads": _refusal(
        "TokenOnlyReads",
        'This token only reads the status. To cancel, send DELETE to the "cancelUri" from the answer to the start. '
        f"Callers that may start requests can also send POST to {BASE}/cancel.",
        "token",
    ),
    "NotFound": _refusal("RequestNotFound", "The request does not exist, or the token is wrong.", "id"),
    "KeyNotFound": _refusal("RequestNotFound", "No request of this model has this idempotencyKey.", "idempotencyKey"),
    "KeyInUse": _refusal(
        "IdempotencyKeyInUse",
        'This idempotency key was used for another request of this model, with different values for: "refresh". '
        "Use a separate key for each request.",
        "idempotencyKey",
    ),
    "NoRoom": _refusal(
        "QueueFull", "The queue of this model is full; nothing has been started. Try again in 60 seconds."
    ),
    "ModelUnknown": _refusal(
        "ModelUnknown",
        "The model is unknown: no refresh of it was requested within the retention period.",
        "datasetId",
    ),
    "StateRefused": _refusal(
        "InvalidRequest", f'"state" must be one or more of {", ".join(STATES)}, separated by commas.', "state"
    ),
    "NotStarted": _refusal("NotStarted", "The request could not be stored; nothing has been started. Send it again."),
    "Unavailable": _refusal(
        "EngineUnavailable", "The durable engine of the app does not answer at the moment. Send the call again."
    ),
    **BATCH_EXAMPLES,
}
"""Bodies of answers, by name."""

REQUESTS: dict[str, Json] = {
    "RefreshRequest": {
        "workspaceId": WORKSPACE,
        "datasetId": DATASET,
        "refresh": {"type": "Full", "objects": [{"table": "Sales", "partition": "Sales-2026"}]},
        "timeoutMinutes": 120,
        "idempotencyKey": "load-sales-2026-03-31",
        "caller": CALLER,
    },
    "Cancellation": {"datasetId": DATASET, "idempotencyKey": "load-sales-2026-03-31"},
}
"""Bodies that callers send, by the name of the schema."""

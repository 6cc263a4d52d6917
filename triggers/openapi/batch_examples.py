"""Examples of batches, made by the code of the answers."""

import json
from datetime import timedelta
from typing import Any

from refresh.batch.machine import STOPPED
from refresh.batch.outcome import BatchOutcome, outcome_by_engine, outcome_of
from refresh.batch.spec import AllModels, BatchSpec, ModelSpec
from refresh.batch.state import BatchState, Progress, StopReason
from refresh.batch.stored import StoredBatch
from refresh.failure.catalogue import ModelNames, failure
from refresh.ids import BATCH_PREFIX
from refresh.reporting.batch import batch_report
from refresh.request.spec import RequestSpec
from refresh.scope.scope import Scope
from refresh.times import instant, time_of

WORKSPACE = "0a1b2c3d-0000-4000-8000-000000000001"
CUSTOMERS, SALES = "0a1b2c3d-0000-4000-8000-000000000006", "0a1b2c3d-0000-4000-8000-000000000002"
REFRESH = "0a1b2c3d-0000-4000-8000-000000000003"
BATCH = f"{BATCH_PREFIX}b1946ac92492d234"
ACCEPTED_AT = "2026-03-31T06:00:00.000Z"
CALLER = {"pipeline": "Load all", "runId": "5e2a"}
URI = f"https://your-app.azurewebsites.net/api/batches/{BATCH}?token="

Json = dict[str, Any]


def _later(seconds: float) -> str:
    return instant(time_of(ACCEPTED_AT) + timedelta(seconds=seconds))


def _model(name: str, dataset_id: str, *depends_on: int) -> ModelSpec:
    request = RequestSpec(dataset_id=dataset_id, scope=Scope(workspace_id=WORKSPACE))
    return ModelSpec(name=name, request=request, depends_on=depends_on)


def _state(*progress: Progress, ended_at: str | None = None, stop: StopReason | None = None) -> BatchState:
    models = (_model("Customers", CUSTOMERS), _model("Sales", SALES, 0))
    state = BatchState(spec=BatchSpec(caller=CALLER), read_token="", cancel_token="", requested_at=ACCEPTED_AT)
    return state.with_models(models, progress).replace(ended_at=ended_at, stop=stop)


def _stopped(reason: StopReason) -> BatchState:
    return _state(_DONE, Progress(status="Skipped", reason=STOPPED[reason]), ended_at=_later(14400), stop=reason)


def _status(state: BatchState, outcome: BatchOutcome | None = None) -> Json:
    batch = StoredBatch(
        id=BATCH,
        engine_status="Running",
        state=state,
        outcome=outcome or outcome_of(state),
        updated=state.ended_at or _later(60),
    )
    body: Json = json.loads(json.dumps(batch_report(batch, time_of(ACCEPTED_AT)).body))
    return body


_DONE = Progress(status="Completed", refresh_id=REFRESH, started_at=_later(1), ended_at=_later(300))
_BAD = Progress(
    status="Failed",
    refresh_id=REFRESH,
    started_at=_later(1),
    ended_at=_later(42),
    error=failure(
        "CredentialsRejected", CUSTOMERS, refresh_id=REFRESH, names=ModelNames(model="Customers", workspace="Finance")
    ),
)
_SKIPPED = Progress(status="Skipped", reason="Customers, which it depends on, ended as Failed")
_GOING = _state(Progress(status="Started", started_at=_later(1)), Progress())
_RUNNING = _status(_GOING)
_EVERY = AllModels(options=RequestSpec(dataset_id=SALES, scope=Scope(workspace_id=WORKSPACE)))
_LISTING = BatchState(spec=BatchSpec(all_models=_EVERY), read_token="", cancel_token="", requested_at=ACCEPTED_AT)

BATCH_EXAMPLES: dict[str, Json] = {
    "BatchStarted": {
        "id": BATCH,
        "status": "Running",
        "statusUri": f"{URI}Rk9SLVJFQURJTkc",
        "cancelUri": f"{URI}Rk9SLUNBTkNFTExJTkc",
        "statusQueryGetUri": f"{URI}Rk9SLVJFQURJTkc",
        "counts": _RUNNING["counts"],
    },
    "BatchRunning": _RUNNING,
    "BatchListing": _status(_LISTING),
    "BatchCancelling": {**_RUNNING, "cancelling": True},
    "BatchCompleted": _status(_state(_DONE, _DONE, ended_at=_later(600))),
    "BatchFailed": _status(_state(_BAD, _SKIPPED, ended_at=_later(43))),
    "BatchCancelled": _status(_stopped("Cancelled")),
    "BatchTimedOut": _status(_stopped("TimedOut")),
    "BatchTerminated": _status(_GOING, outcome_by_engine(_GOING, "Terminated", _later(90))),
    "BatchRefused": {
        "error": {
            "code": "InvalidRequest",
            "message": '"dependsOn" has a cycle: Sales -> Customers -> Sales (each depends on the next).',
            "target": "models[0].dependsOn",
        }
    },
    "BatchNotFound": {
        "error": {
            "code": "BatchNotFound",
            "message": "The batch does not exist, or the token is wrong.",
            "target": "id",
        }
    },
}
"""Bodies of answers, by name."""

BATCH_REQUEST: Json = {
    "workspaceId": WORKSPACE,
    "models": [
        {"name": "Customers", "datasetId": CUSTOMERS},
        {"name": "Sales", "datasetId": SALES, "dependsOn": ["Customers"], "refresh": {"type": "Full"}},
    ],
    "onFailure": "continue",
    "maxConcurrent": 3,
    "timeoutMinutes": 240,
    "idempotencyKey": "load-all-2026-03-31",
    "caller": CALLER,
}

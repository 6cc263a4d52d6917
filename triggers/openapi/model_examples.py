"""The examples of the answers about models, built by the code that answers: a success a day ago, and a failure."""

from datetime import timedelta
from typing import Any

from refresh.failure.catalogue import ModelNames
from refresh.history.outcome import Outcome
from refresh.messages import replace
from refresh.models import index, record
from refresh.models.operations import RunEnded
from refresh.models.state import Record, Shard
from refresh.queue.state import Queue
from refresh.reporting.model_history import requests_json, runs_json
from refresh.reporting.model_summary import summary
from refresh.reporting.models import KnownModel, ModelFilters, list_json, model_json
from refresh.request.stored import StoredRequest
from refresh.run.status import RunStatus
from refresh.times import instant, time_of

EXPECTED_HOURS = 24.0

Json = dict[str, Any]


def model_examples(request: StoredRequest, names: ModelNames, earlier_refresh: str) -> dict[str, Json]:
    """The list and the page of the model of a request that failed. `earlier_refresh`: id of the one that completed."""
    spec, outcome, begin = request.state.spec, request.outcome, time_of(request.state.requested_at)

    def later(seconds: float) -> str:
        return instant(begin + timedelta(seconds=seconds))

    ended = RunEnded(
        at=later(44),
        dataset_id=spec.dataset_id,
        run=f"{request.id}-r1",
        incarnation=1,
        workspace_id=spec.scope.workspace_id,
        outcome=Outcome(
            status="Failed",
            refresh_id=outcome.refresh_id if outcome else None,
            started_at=later(5),
            ended_at=later(42),
            error=outcome.error if outcome else None,
        ),
        since=later(0),
        requests=3,
        names=names,
        expected_every_hours=EXPECTED_HOURS,
    )
    good = Outcome(status="Completed", refresh_id=earlier_refresh, started_at=later(-86_300), ended_at=later(-86_000))
    before = replace(ended, at=later(-86_000), run=f"{request.id}-r0", since=later(-86_400), outcome=good)
    now = begin + timedelta(seconds=600)
    shard = Shard()
    for one in (before, ended):
        shard = index.apply(shard, one, now).shard
    model = KnownModel(spec.dataset_id, shard.models[spec.dataset_id], EXPECTED_HOURS, now)
    kept = record.apply(Record(), ended, now) or Record()
    return {
        "Models": {**list_json([model], ModelFilters()), "asOf": instant(now)},
        "ModelDetails": {
            **model_json(model),
            "summary": summary(model, None, Queue(), RunStatus()),
            "runs": runs_json(kept, begin),
            "requests": requests_json([request], Queue()),
            "asOf": instant(now),
        },
    }

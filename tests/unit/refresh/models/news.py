"""News of runs about models, for tests: a model with one run after the other."""

from datetime import UTC, datetime, timedelta

from refresh.failure.catalogue import Failure, ModelNames
from refresh.history.outcome import Outcome, Status
from refresh.models import index
from refresh.models.operations import IndexOperation, RunEnded, RunRefreshes, RunWaits
from refresh.models.state import Entry, Shard
from refresh.times import instant

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
MODEL = "33333333-aaaa-bbbb-cccc-000000000003"
WORKSPACE = "11111111-aaaa-bbbb-cccc-000000000001"
NAMES = ModelNames(model="Sales", workspace="Finance")
ERROR = Failure(code="RefreshFailed", message="Semantic model Sales: the refresh failed.", action="Look at it.")


def at(minutes: float) -> str:
    """A time this many minutes before now."""
    return instant(NOW - timedelta(minutes=minutes))


def run_waits(run: str, minutes: float, *, incarnation: int = 1, expected: float | None = None) -> RunWaits:
    """The news that a run waits."""
    return RunWaits(
        at=at(minutes),
        dataset_id=MODEL,
        run=run,
        incarnation=incarnation,
        workspace_id=WORKSPACE,
        since=at(minutes),
        requests=2,
        names=NAMES,
        expected_every_hours=expected,
    )


def run_refreshes(run: str, minutes: float) -> RunRefreshes:
    """The news that a run refreshes."""
    return RunRefreshes(
        at=at(minutes),
        dataset_id=MODEL,
        run=run,
        incarnation=1,
        workspace_id=WORKSPACE,
        since=at(minutes),
        refresh_id="refresh",
        requests=3,
    )


def run_ended(
    run: str, minutes: float, status: Status = "Completed", *, took: float = 10, loads: bool = True, requests: int = 1
) -> RunEnded:
    """The news that a run ended. Its refresh took this many minutes."""
    outcome = Outcome(
        status=status,
        refresh_id=f"refresh of {run}",
        started_at=at(minutes + took),
        ended_at=at(minutes),
        error=None if status == "Completed" else ERROR,
    )
    return RunEnded(
        at=at(minutes),
        dataset_id=MODEL,
        run=run,
        incarnation=1,
        workspace_id=WORKSPACE,
        outcome=outcome,
        since=at(minutes + took + 1),
        requests=requests,
        loads=loads,
        names=NAMES,
        request_ids=tuple(f"{run}-{number}" for number in range(requests)),
    )


def shard_after(*news: IndexOperation) -> Shard:
    """A shard after these operations."""
    shard = Shard()
    for one in news:
        shard = index.apply(shard, one, NOW).shard
    return shard


def entry_after(*news: IndexOperation) -> Entry:
    """The entry of the model after these operations."""
    return shard_after(*news).models[MODEL]

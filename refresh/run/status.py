"""The custom status of a run's orchestration: what a person needs to know about a run, far below the limit of 16 KB."""

from datetime import datetime, timedelta

import msgspec

from refresh.capacity.answers import WaitsForPlace
from refresh.history.look import ExternalRefresh
from refresh.history.progress import Progress
from refresh.messages import ApiMessage, tag_of
from refresh.run.state import RunState
from refresh.times import instant


class RunStatus(ApiMessage, frozen=True, kw_only=True):
    """`phase` is the tag of the run's phase. `waits_for`: the external refresh; `waits_since`: when the run began to
    wait for it.

    `waits_for_place`: the run's position in the line of its capacity group. `usual_wait_seconds`: how long refreshes
    like the external one take.
    """

    phase: str = ""
    refresh_id: str | None = None
    adopted: bool = False
    posted_at: str | None = None
    progress: Progress | None = None
    waits_for: ExternalRefresh | None = None
    waits_since: str | None = None
    waits_for_place: WaitsForPlace | None = None
    usual_wait_seconds: float | None = None
    expected_end: str | None = None
    last_call_error: str | None = msgspec.field(default=None, name="lastReadError")  # the public key
    next_look_at: str | None = None
    model_name: str | None = None
    workspace_name: str | None = None


def status_of(run: RunState, now: datetime) -> RunStatus:
    """The status of a run; `now` is the orchestration's own time."""
    refresh, blocker = run.refresh, run.blocker
    return RunStatus(
        phase=tag_of(run.phase),
        refresh_id=run.refresh_id,
        adopted=refresh is not None and refresh.adopted,
        posted_at=refresh.posted_at if refresh else None,
        progress=refresh.progress if refresh else None,
        waits_for=blocker.refresh if blocker else None,
        waits_since=blocker.since if blocker else None,
        waits_for_place=run.capacity.waits if run.capacity else None,
        usual_wait_seconds=blocker.usual_seconds if blocker else None,
        expected_end=run.expected_end,
        last_call_error=run.calls.last_error,
        next_look_at=instant(now + timedelta(seconds=run.wait)) if run.wait else None,
        model_name=run.names.model,
        workspace_name=run.names.workspace,
    )

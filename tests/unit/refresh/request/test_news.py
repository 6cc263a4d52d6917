"""Which requests report their own end to the index of models, and which report that their run has no requests left."""

import pytest

from refresh.failure.catalogue import failure
from refresh.models.operations import RequestsEnded, RunDropped
from refresh.queue.answers import Left
from refresh.request.news import dropped_run_news, ended_request_news
from refresh.request.state import Final, RequestOutcome

AT = "2026-03-31T06:00:00.000Z"


@pytest.mark.parametrize(
    ("left", "lost"),
    [
        (Left(reason="Cancelled", run="r", incarnation=2), True),
        (Left(reason="Cancelled"), False),
        (Left(reason="TimedOut", run="r", position=1), False),
        (Left(reason="TimedOut", run="r", shared_with=1), False),
        (Left(reason="TimedOut", run="r", refresh_id="ours"), False),
    ],
)
def test_the_last_request_of_a_run_that_waits(left: Left, lost: bool) -> None:
    """Only the last request of a waiting run reports the end of the run. In all other cases, the run continues, with
    other requests or with its refresh."""
    assert dropped_run_news("d", left, AT) == (
        RunDropped(at=AT, dataset_id="d", run="r", incarnation=2) if lost else None
    )


@pytest.mark.parametrize(
    ("status", "code", "run", "tells"),
    [
        ("Completed", None, "r", False),
        ("Failed", "RefreshFailed", "r", False),
        ("Cancelled", "RefreshCancelled", "r", False),
        ("Cancelled", "RequestCancelled", "r", True),
        ("TimedOut", "TimedOut", "r", True),
        ("Cancelled", "RequestCancelled", None, True),
        ("Failed", "InternalError", None, True),
    ],
)
def test_a_request_that_does_not_wait_for_its_run(
    status: Final, code: str | None, run: str | None, tells: bool
) -> None:
    """Such a request reports its own end. All others are part of the news of their run."""
    error = failure(code, "d") if code else None
    outcome = RequestOutcome(status=status, error=error, run_id=run, ended_at=AT)
    expected = RequestsEnded(at=AT, dataset_id="d", request_ids=("q",)) if tells else None
    assert ended_request_news("q", "d", outcome) == expected

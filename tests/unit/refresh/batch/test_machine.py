"""A model is started after all its dependencies have completed, and has one outcome; the batch's outcome agrees."""

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresh.batch import machine
from refresh.batch.decision import EndedBatch, NewBatch, SameBatch, decide
from refresh.batch.orders import RequestSeen
from refresh.batch.outcome import counts_of, failure_without_models, outcome_by_engine, outcome_of
from refresh.batch.spec import MAX_MODELS, AllModels
from refresh.batch.state import BatchState
from refresh.batch.stored import BatchStanding, Change, StoredBatch, overlaid
from refresh.request.decision import Conflict
from refresh.request.state import Final
from refresh.run.orders import ActivityFailure, Throttled, Unavailable
from refresh.times import instant, time_of
from tests.unit.refresh.batch.batches import (
    AT,
    batch,
    begin,
    dataset,
    end,
    outcome,
    play,
    spec_of,
    state_of,
    statuses,
)

DIAMOND = {"A": [], "B": ["A"], "C": ["A"], "D": ["B", "C"]}


def ended(state: BatchState) -> BatchState:
    """The state after the end of all models."""
    assert state.over
    return state.replace(ended_at=AT)


@pytest.mark.parametrize(
    ("answer", "code", "seconds"),
    [
        (Unavailable(error="503"), "ServiceUnavailable", 60),
        (Throttled(error="429", seconds=300), "Throttled", 300),
        (Throttled(error="429", seconds=9_000_000), "Throttled", 900),
        (Throttled(error="429"), "Throttled", 60),
        (ActivityFailure(error="KeyError"), "InternalError", 60),
    ],
)
def test_a_workspace_that_cannot_be_listed(
    answer: Throttled | Unavailable | ActivityFailure, code: str, seconds: float
) -> None:
    """The batch tries again for as long as an outage may last. The error does not blame Power BI for an exception of
    the app."""
    state = BatchState(spec=spec_of(all=True), read_token="r", cancel_token="c", requested_at=AT)
    state, pause = machine.after_failed_listing(state, answer, AT)
    assert (state.ended_at, pause) == (None, seconds)
    late = instant(time_of(AT) + timedelta(seconds=state.limits.outage))
    state, pause = machine.after_failed_listing(state, answer, late)
    assert (state.ended_at, pause) == (late, 0)
    found = outcome_of(state)
    assert found is not None
    assert found.error is not None
    assert (found.status, found.error.code) == ("Failed", code)
    assert answer.error in found.error.message


def test_a_diamond_is_refreshed_from_its_top() -> None:
    """The model at the bottom waits for both models above it."""
    state = begin(batch(DIAMOND))
    assert statuses(state) == {"A": "Started", "B": "Waiting", "C": "Waiting", "D": "Waiting"}
    state = end(state, A="Completed")
    assert statuses(state) == {"A": "Completed", "B": "Started", "C": "Started", "D": "Waiting"}
    state = end(state, B="Completed")
    assert statuses(state)["D"] == "Waiting"
    state = end(end(state, C="Completed"), D="Completed")
    found = outcome_of(ended(state))
    assert found is not None
    assert (found.status, found.error, found.counts.completed) == ("Completed", None, 4)


def test_what_depends_on_a_failure_is_skipped_and_the_rest_goes_on() -> None:
    """A skipped model has a reason, even if it depends on another skipped model."""
    state = begin(batch({**DIAMOND, "E": []}))
    state = end(state, A="Completed")
    state = end(state, B="Failed")
    assert statuses(state) == {"A": "Completed", "B": "Failed", "C": "Started", "D": "Skipped", "E": "Started"}
    assert state.progress[3].reason == "B, which it depends on, ended as Failed"
    state = end(state, C="Completed", E="Completed")
    found = outcome_of(ended(state))
    assert found is not None
    assert found.error is not None
    assert (found.status, found.error.code, found.error.retryable) == ("Failed", "ModelsNotRefreshed", False)
    assert found.error.message.startswith(
        "3 of 5 models were refreshed. B ended as Failed (CredentialsRejected); D was skipped. First failure: Semantic "
    )


def test_a_whole_branch_is_skipped_at_once() -> None:
    """All models that depend on a failed one are skipped at once, in a chain of any length."""
    names = [f"m{number}" for number in range(30)]
    chain = {name: names[number - 1 : number] if number else [] for number, name in enumerate(names)}
    state = end(begin(batch(chain)), m0="TimedOut")
    assert (state.over, counts_of(state).skipped) == (True, 29)
    assert state.progress[29].reason == "m28, which it depends on, was skipped"


def test_a_batch_may_stop_at_the_first_failure() -> None:
    """After the first failure, requests in progress continue to their end, and no further model is started."""
    state = begin(batch({"A": [], "B": [], "C": []}, onFailure="stop", maxConcurrent=2))
    state = end(state, A="Failed")
    assert statuses(state) == {"A": "Failed", "B": "Started", "C": "Skipped"}
    assert state.progress[2].reason == "the batch stopped after a failure"
    found = outcome_of(ended(end(state, B="Completed")))
    assert found is not None
    assert found.status == "Failed"


def test_no_more_than_allowed_go_on_at_once() -> None:
    """Models are started in the order in which they are listed."""
    state = begin(batch({name: [] for name in "ABCD"}, maxConcurrent=2))
    assert state.started == (0, 1)
    assert end(state, B="Completed").started == (0, 2)


def test_a_cancelled_batch_waits_for_its_requests() -> None:
    """The true outcomes of the requests count: one that completes in spite of the cancellation has completed."""
    state = begin(batch({"A": [], "B": [], "C": ["A"]}))
    state = machine.with_stop(state, cancelled=True)
    state = machine.settle(state, [], AT)
    assert (statuses(state), state.over) == ({"A": "Started", "B": "Started", "C": "Skipped"}, False)
    found = outcome_of(ended(end(state, A="Completed", B="Cancelled")))
    assert found is not None
    assert found.error is not None
    assert (found.status, found.error.code) == ("Cancelled", "RequestCancelled")
    assert found.error.message.startswith("The batch was cancelled: 1 of 3 models was refreshed. B ended as Cancelled")


def test_a_cancellation_that_comes_too_late_changes_nothing() -> None:
    """If all models complete in spite of the cancellation, the batch has completed."""
    state = machine.with_stop(begin(batch({"A": []})), cancelled=True)
    found = outcome_of(ended(end(machine.settle(state, [], AT), A="Completed")))
    assert found is not None
    assert found.status == "Completed"


def test_the_deadline_skips_what_was_not_started() -> None:
    """At the deadline, models that were not started are skipped. The error is retryable, so the batch may be sent
    again."""
    state = machine.with_stop(begin(batch({"A": [], "B": ["A"]})), timed_out=True)
    state = end(machine.settle(state, [], AT), A="Completed")
    found = outcome_of(ended(state))
    assert found is not None
    assert found.error is not None
    assert (found.status, found.error.retryable) == ("TimedOut", True)


def test_the_batch_looks_for_starts_of_a_lost_episode() -> None:
    """A lost episode may have started models whose dependencies had completed. The batch looks only for the requests of
    these models."""
    state = begin(batch({"A": [], "B": ["A"], "C": ["B"], "D": []}, maxConcurrent=1))
    assert statuses(state) == {"A": "Started", "B": "Waiting", "C": "Waiting", "D": "Waiting"}
    state = machine.with_stop(state, cancelled=True)
    assert machine.suspects(state) == [1, 3]
    state = machine.settle(state, [3], AT)
    assert statuses(state) == {"A": "Started", "B": "Skipped", "C": "Skipped", "D": "Started"}
    lost = machine.let_wait_again(state, [3])
    assert (statuses(lost)["D"], lost.settled) == ("Waiting", False)


@pytest.mark.parametrize(
    ("refreshable", "detail"),
    [
        (0, "the workspace has no refreshable model."),
        (1, 'the workspace has 1 refreshable model, and "except" excludes it.'),
        (2, 'the workspace has 2 refreshable models, and "except" excludes all of them.'),
    ],
)
def test_a_workspace_without_models_to_refresh(refreshable: int, detail: str) -> None:
    """The error has the number of refreshable models, and whether `except` excludes them."""
    error = failure_without_models(refreshable)
    assert (error.code, error.retryable) == ("NoRefreshableModels", False)
    assert error.message == f"No model of the workspace remains to be refreshed: {detail}"


def test_an_outcome_never_changes() -> None:
    """A late read of a request does not change the outcome of a model that has ended."""
    state = end(begin(batch({"A": []})), A="Completed")
    again = machine.after_look(state, [RequestSeen(number=0, outcome=outcome("Failed"))])
    assert again == state


def test_only_transient_failures_free_the_key() -> None:
    """A key is free again only if no failure has to be corrected by a person."""
    transient = machine.after_look(
        begin(batch({"A": []})), [RequestSeen(number=0, outcome=outcome("Failed", "Throttled"))]
    )
    spec = spec_of(models=[dataset(0)], idempotencyKey="k")
    for state, free in ((transient, True), (end(begin(batch({"A": []})), A="Failed"), False)):
        found = outcome_of(ended(state))
        assert found is not None
        assert found.error is not None
        assert found.error.retryable is free
        known = StoredBatch(id="b", engine_status="Failed", state=state.replace(digests=spec.digests), outcome=found)
        assert decide(spec, known, 1) == (NewBatch(2, known) if free else EndedBatch(known))


def test_a_key_is_one_batch() -> None:
    """A start with a key is a new batch, the same batch in progress, or a conflict."""
    spec = spec_of(models=[dataset(0)], idempotencyKey="k")
    known = StoredBatch(id="b", engine_status="Running", state=state_of(spec).replace(digests=spec.digests))
    assert decide(spec, None, 3) == NewBatch(4)
    assert decide(spec, known, 1) == SameBatch(known)
    assert decide(spec_of(models=[dataset(1)]), known, 1) == Conflict(["models"])


def test_a_terminated_batch_names_the_requests_that_continue() -> None:
    """The requests of a batch are not terminated together with it."""
    state = end(begin(batch({"A": [], "B": []})), A="Completed")
    found = outcome_by_engine(state, "Terminated", AT)
    assert found.error is not None
    assert (found.status, found.error.code) == ("Terminated", "RequestTerminated")
    assert "1 of 2 models had been refreshed; 1 request in progress continues." in found.error.message
    assert outcome_by_engine(state, "Failed", AT).status == "Failed"


def test_what_completed_before_is_not_refreshed_again() -> None:
    """A retry does not refresh a model that completed with the same name, dataset and options. Models that depend on it
    may start at once."""
    before = begin(batch({"A": [], "B": ["A"], "C": []}))
    before = end(before, A="Completed", C="Completed")
    before = end(before, B="Failed")
    now = batch({"A": [], "B": ["A"], "C": []}, refresh={"type": "full"})
    assert [progress.status for progress in machine.carried_over(now.models, before, "batch-1")] == ["Waiting"] * 3
    carried = machine.carried_over(before.models, before, "batch-1")
    assert [progress.status for progress in carried] == ["Completed", "Waiting", "Completed"]
    assert carried[0].request_id == before.request_id("batch-1", 0)
    state = begin(before.replace(progress=carried))
    assert statuses(state) == {"A": "Completed", "B": "Started", "C": "Completed"}
    assert state.request_id("batch-2", 0) == carried[0].request_id
    assert state.request_id("batch-2", 1) != before.request_id("batch-1", 1)


def all_models(**keys: object) -> AllModels:
    """All models of a workspace."""
    source = spec_of(all=True, **keys).all_models
    assert source is not None
    return source


def test_the_models_of_a_workspace_are_named_by_name_or_id() -> None:
    """The models are sorted. If two models have the same name, their ids are used. `except` takes names and ids."""
    found = [
        (dataset(3), "Sales"),
        (dataset(1), "Stock"),
        (dataset(2), "Sales"),
        (dataset(4), "Old"),
        (dataset(5), "X"),
    ]
    models, missing = machine.choose(all_models(**{"except": ["Old", dataset(5), "Gone"]}), found)
    assert [model.name for model in models] == [dataset(2), dataset(3), "Stock"]
    assert [model.request.dataset_id for model in models] == [dataset(2), dataset(3), dataset(1)]
    assert missing == ("Gone",)
    many, _ = machine.choose(all_models(), [(dataset(number), f"m{number}") for number in range(MAX_MODELS + 9)])
    assert len(many) == MAX_MODELS + 1


def test_a_status_shows_what_the_last_turn_found_out() -> None:
    """A status never takes an outcome back."""
    state = end(begin(batch({"A": [], "B": []})), A="Completed")
    newer = end(state, B="Completed")
    standing = BatchStanding(
        changed=(
            Change(number=0, progress=begin(batch({"A": []})).progress[0]),
            Change(number=1, progress=newer.progress[1]),
        )
    )
    assert overlaid(state, standing) == newer
    assert overlaid(state, None) == state


graphs = st.integers(1, 10).flatmap(
    lambda count: st.tuples(
        *(st.lists(st.integers(0, number - 1), max_size=3) if number else st.just([]) for number in range(count))
    )
)


@given(
    graphs,
    st.integers(0, 10_000),
    st.sampled_from(["continue", "stop"]),
    st.integers(1, 4),
    st.lists(st.sampled_from(["Completed", "Failed", "TimedOut", "Cancelled"]), min_size=1, max_size=4),
)
def test_every_model_has_one_outcome_whatever_happens(
    graph: tuple[list[int], ...], seed: int, on_failure: str, most: int, ends: list[Final]
) -> None:
    """A model starts only after its dependencies, and not more models run at a time than allowed."""
    dependencies = {f"m{number}": [f"m{before}" for before in sorted(set(found))] for number, found in enumerate(graph)}
    state, order = play(
        batch(dependencies, onFailure=on_failure, maxConcurrent=most),
        random.Random(seed),  # noqa: S311
        ends,
    )
    assert state.over
    for number, model in enumerate(state.models):
        if number in order:
            assert all(state.progress[before].status == "Completed" for before in model.depends_on)
            assert all(order.index(before) < order.index(number) for before in model.depends_on)
        else:
            assert state.progress[number].status == "Skipped"
            assert state.progress[number].reason
    found = outcome_of(state.replace(ended_at=AT))
    assert found is not None
    assert (found.status == "Completed") == (len(order) == len(state.models) == found.counts.completed)
    assert found.counts.models == found.counts.completed + found.counts.failed + found.counts.skipped
    assert (found.error is None) == (found.status == "Completed")
    assert found.error is None or len(found.error.message) <= 500

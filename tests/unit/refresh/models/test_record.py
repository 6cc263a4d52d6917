"""The record of one model: its last runs and requests, and the stored form of shards and records."""

import json

import msgspec
import pytest

from refresh.messages import replace
from refresh.models import record
from refresh.models.operations import Forget, RequestsEnded, RunEnded
from refresh.models.state import Record
from refresh.models.stored import handle_index, handle_record, load_record, load_shard
from refresh.packed import UnreadableError, pack
from tests.unit.refresh.models.news import MODEL, NOW, at, ended, shard_after

BLOB_CHARACTERS = 30_000
"""Above this size the engine stores a state in a blob."""


def after(*news: RunEnded | RequestsEnded | Forget) -> Record:
    """A record after these operations."""
    kept = Record()
    for one in news:
        kept = record.apply(kept, one, NOW) or Record()
    return kept


def request_ended(request: str, minutes: float) -> RequestsEnded:
    """A request ended without a run."""
    return RequestsEnded(at=at(minutes), dataset_id=MODEL, request_ids=(request,))


def test_runs_and_requests_newest_last() -> None:
    """Each run and request is stored once, in the order of the ends, even after repeated and late operations."""
    kept = after(
        ended("b", 20, requests=2), request_ended("c", 30), ended("a", 60, "Failed"), ended("b", 20, requests=2)
    )
    assert [(run.run_id, run.status, run.requests) for run in kept.runs] == [("a", "Failed", 1), ("b", "Completed", 2)]
    assert [request.id for request in kept.requests] == ["a-0", "c", "b-0", "b-1"]
    first = kept.runs[0]
    assert (first.code, first.started_at, first.waiting_since, first.served_by) == (
        "RefreshFailed",
        at(70),
        at(71),
        "own",
    )


def test_a_run_with_the_id_of_a_former_one() -> None:
    """A run may have the id of an earlier run whose request was purged. News that was sent before the stored end of a
    run with this id, or soon after it, is a repeat; later news is about another run."""
    first, second = ended("a", 90), ended("a", 40, "Failed")
    kept = after(first, replace(first, at=at(61)), second, first, replace(second, at=at(11)))
    assert [(run.recorded_at, run.status) for run in kept.runs] == [(at(90), "Completed"), (at(40), "Failed")]
    assert [request.id for request in kept.requests] == ["a-0"]


def test_a_request_that_tries_again_counts_once() -> None:
    """A request that ends twice has one entry, with the time of its last end."""
    kept = after(ended("a", 60), replace(ended("b", 20), request_ids=("a-0",)), ended("a", 60))
    assert kept.requests == (("a-0", at(20)),)


def test_fifty_of_each_are_kept() -> None:
    """The newest fifty runs and the newest fifty requests are kept."""
    kept = after(*(ended(f"r{number}", 1000 - number, requests=3) for number in range(80)))
    assert [run.run_id for run in kept.runs] == [f"r{number}" for number in range(30, 80)]
    assert (len(kept.requests), kept.requests[-1].id) == (50, "r79-2")


def test_old_entries_are_removed() -> None:
    """Old runs and requests are removed. A record that is then empty is deleted."""
    operations = (ended("a", 60), ended("b", 20))
    kept = record.apply(after(*operations), Forget(at=at(0), before=at(30)), NOW)
    assert kept is not None
    assert [run.run_id for run in kept.runs] == ["b"]
    assert [request.id for request in kept.requests] == ["b-0"]
    assert record.apply(after(*operations), Forget(at=at(0), before=at(1)), NOW) is None


def test_states_fit_in_their_rows() -> None:
    """A full record of failures, and a full shard for 500 models, need no blobs."""
    long = "0123456789abcdef" * 2
    full = after(
        *(
            replace(ended(f"{long}-{number:016x}-r1", 1000 - number, "Failed"), request_ids=(f"{long}-{number:016x}",))
            for number in range(80)
        )
    )
    assert len(json.dumps(pack(full, 1))) < BLOB_CHARACTERS
    shard = shard_after(
        *(
            replace(ended(f"{model:032x}-{run}", (25 - run) * 1441 + model, "Failed"), dataset_id=f"{model:032x}")
            for model in range(45)
            for run in range(25)
        )
    )
    assert {len(entry.recent) for entry in shard.models.values()} == {20}
    assert len(json.dumps(pack(shard, 1))) < BLOB_CHARACTERS


def test_entities_apply_operations_to_their_stored_state() -> None:
    """The inputs of the entities have the form that the engine passes. An empty record is deleted."""
    run = ended("a", 60)
    stored = handle_record(None, "run_ended", msgspec.to_builtins(run), NOW)
    assert isinstance(stored.state, dict)
    assert load_record(stored.state) == after(run)
    forget = msgspec.to_builtins(Forget(at=at(0), before=at(0)))
    assert handle_record(stored.state, "forget", forget, NOW).state is None
    shard = handle_index("", "run_ended", msgspec.to_builtins(run), NOW)
    assert isinstance(shard.state, dict)
    assert load_shard(shard.state) == shard_after(run)
    assert handle_index(shard.state, "forget", forget, NOW).state is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("forget", {"operation": "forget", "at": "soon", "before": ""}),
        ("forget", {"operation": "run_ended", "at": at(0)}),
        ("forget", None),
        ("tidy", {"operation": "tidy", "at": at(0)}),
        ("run_dropped", {"operation": "forget", "at": at(0), "before": at(0)}),
    ],
)
def test_an_unknown_operation_changes_nothing(name: str, value: object) -> None:
    """An unknown operation leaves the state unchanged and gives a problem for the log."""
    stored = handle_index(None, "run_ended", msgspec.to_builtins(ended("a", 60)), NOW).state
    for handle in (handle_index, handle_record):
        handled = handle(stored, name, value, NOW)
        assert (handled.state, handled.event) == ("keep", None)
        assert handled.problem
        assert handle(None, name, value, NOW).state is None


def test_states_of_newer_code_are_not_changed() -> None:
    """A state with a different schema, or an invalid one, is not changed."""
    run = msgspec.to_builtins(ended("a", 60))
    for stored in ({"schema": 2}, {"schema": 1, "packed": "?"}, [1], {"schema": 1, "models": 3, "runs": 3}):
        for load in (load_shard, load_record):
            with pytest.raises(UnreadableError):
                load(stored)
        assert handle_index(stored, "run_ended", run, NOW).state == "keep"
    assert load_record({"schema": 1, "newer": True}) == Record()

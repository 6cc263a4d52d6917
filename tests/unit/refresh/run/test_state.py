"""What a run knows is written and changed as dataclasses do it, only faster."""

import dataclasses

import pytest

from refresh.polling.schedule import Limits
from refresh.run.state import SCHEMA, RunState, replace

STATE = RunState("a-r1", "model", 2, "life", Limits(poll_min=7), scope={"share": True}, gone=["a"])


def test_a_change_leaves_the_rest_as_it_was() -> None:
    """And the state that it was made from."""
    changed = replace(STATE, phase="post", permit=3)
    assert changed == dataclasses.replace(STATE, phase="post", permit=3)
    assert (STATE.phase, STATE.permit) == ("claim", 0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        changed.permit = 4  # type: ignore[misc]


def test_what_a_run_does_not_know_cannot_be_changed() -> None:
    """A misspelt name would be lost without a word."""
    with pytest.raises(TypeError, match="a run has no permits"):
        replace(STATE, permits=1)  # type: ignore[call-arg]


def test_all_of_it_is_written_and_read_back() -> None:
    """As plain JSON, with the schema."""
    assert STATE.to_json() == {"schema": SCHEMA, **dataclasses.asdict(STATE)}
    assert RunState.from_json(STATE.to_json()) == STATE

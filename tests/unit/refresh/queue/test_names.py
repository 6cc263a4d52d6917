"""A queue stores the names that its last run read, for its requests and its next runs."""

from refresh.failure.catalogue import ModelNames
from refresh.history.look import ExternalRefresh
from refresh.queue.operations import Close, WaitBehind
from tests.unit.refresh.queue.queues import LOOK, CheckedQueue

BOTH = ModelNames(model="Sales", workspace="Finance")


def close_with_names(queue: CheckedQueue, names: ModelNames = BOTH) -> None:
    """The run of request `a` closes and reports these names."""
    queue.do(Close(at=queue.at, holder=queue.holder("a-r1"), permit=1, look=LOOK, names=names))


def test_every_answer_to_a_request_has_the_names() -> None:
    """The answers to a request have the names while it waits, when it leaves, and with its outcome."""
    queue = CheckedQueue()
    assert queue.enroll_ok("a").names == ModelNames()
    queue.enroll_ok("b")
    queue.enroll_ok("c")
    assert queue.claim_ok("a-r1").names == ModelNames()
    close_with_names(queue)
    assert queue.enroll_ok("a").names == BOTH
    assert queue.leave_ok("b").names == BOTH
    assert queue.leave_ok("b").names == BOTH, "repeated"
    queue.record("a-r1")
    queue.finish("a-r1")
    assert queue.outcome_of("a").names == BOTH


def test_the_next_run_gets_them() -> None:
    """The next run gets the names, even if one of them could not be read again."""
    queue = CheckedQueue()
    queue.enroll_ok("a")
    assert queue.claim("a-r1")
    queue.do(WaitBehind(at=queue.at, holder=queue.holder("a-r1"), refresh=ExternalRefresh(refresh_id="x"), names=BOTH))
    close_with_names(queue, ModelNames(model="Sales 2"))
    queue.record("a-r1")
    queue.enroll_ok("b")
    queue.finish("a-r1")
    assert queue.claim_ok("b-r1").names == ModelNames(model="Sales 2", workspace="Finance")


def test_names_do_not_prevent_the_deletion_of_a_queue() -> None:
    """A queue without waiting requests is deleted, although it has names."""
    queue = CheckedQueue()
    queue.enroll_ok("a")
    assert queue.claim("a-r1")
    close_with_names(queue)
    queue.record("a-r1")
    queue.finish("a-r1")
    queue.outcome_of("a")
    queue.later(hours=25).tidy()
    assert queue.stored is None

"""A queue stores the names that its last run read, for its requests and its next runs."""

from refresh.failure.catalogue import ModelNames
from refresh.history.look import ExternalRefresh
from refresh.queue.operations import Close, WaitBehind
from tests.unit.refresh.queue.queues import LOOK, Desk

BOTH = ModelNames(model="Sales", workspace="Finance")


def close_with_names(desk: Desk, names: ModelNames = BOTH) -> None:
    """The run of request `a` closes and reports these names."""
    desk.do(Close(at=desk.at, holder=desk.holder("a-r1"), permit=1, look=LOOK, names=names))


def test_every_answer_to_a_request_has_the_names() -> None:
    """The answers to a request have the names while it waits, when it leaves, and with its outcome."""
    desk = Desk()
    assert desk.enrolled("a").names == ModelNames()
    desk.enrolled("b")
    desk.enrolled("c")
    assert desk.claimed("a-r1").names == ModelNames()
    close_with_names(desk)
    assert desk.enrolled("a").names == BOTH
    assert desk.left("b").names == BOTH
    assert desk.left("b").names == BOTH, "repeated"
    desk.record("a-r1")
    desk.finish("a-r1")
    assert desk.ended("a").names == BOTH


def test_the_next_run_gets_them() -> None:
    """The next run gets the names, even if one of them could not be read again."""
    desk = Desk()
    desk.enrolled("a")
    assert desk.claim("a-r1")
    desk.do(WaitBehind(at=desk.at, holder=desk.holder("a-r1"), refresh=ExternalRefresh(refresh_id="x"), names=BOTH))
    close_with_names(desk, ModelNames(model="Sales 2"))
    desk.record("a-r1")
    desk.enrolled("b")
    desk.finish("a-r1")
    assert desk.claimed("b-r1").names == ModelNames(model="Sales 2", workspace="Finance")


def test_names_do_not_prevent_the_deletion_of_a_queue() -> None:
    """A queue without waiting requests is deleted, although it has names."""
    desk = Desk()
    desk.enrolled("a")
    assert desk.claim("a-r1")
    close_with_names(desk)
    desk.record("a-r1")
    desk.finish("a-r1")
    desk.ended("a")
    desk.later(hours=25).tidy()
    assert desk.stored is None

"""A run waits for an idle model, posts with permission, and finds its refresh whatever becomes of the answer."""

from datetime import timedelta

import pytest

from refresh.failure.catalogue import failure
from refresh.history.rows import instant
from refresh.run.machine import MAX_TRIES, advance, next_step
from tests.unit.refresh.run.incarnations import BLOCKER, ENHANCED, MODEL, NEVER, NEXT, NOON, Life


def test_an_idle_model_is_refreshed_after_a_moment() -> None:
    """The refresh must start in a later second than the look, by the service's clock."""
    life = Life().claimed()
    assert life.step.input == {
        "workspace_id": "w",
        "dataset_id": MODEL,
        "run": "a-r1",
        "generation": 1,
        "scope": life.state.scope,
        "before": None,
        "lost": None,
    }
    life.history().wait(2.0)
    before = life.state.before
    life.answer("close", {"go": True}, permit=1, before=before)
    life.answer("post_refresh", {"kind": "accepted", "refresh_id": "r"}, permit=1, token="life", before=before)
    life.answer("record", {"go": True, "cancel": False, "wake": [["a", "w"]]}, permit=1, refresh_id="r", adopted=False)
    life.answer("wake_requests", {}, wake=[["a", "w"]]).wait(5).row("Unknown").wait()
    life.row("Completed")
    assert life.ended("Completed")["adopted"] is False
    life.answer("finish", {"next": NEXT, "wake": [["a", "w2"]]}, late_after=None)
    life.answer("start_run", True, **NEXT, dataset_id=MODEL).answer("wake_requests", 1, wake=[["a", "w2"]])  # type: ignore[arg-type]
    assert life.step.kind == "end"


def test_a_run_that_the_queue_refuses_ends_at_once() -> None:
    """It is a twin, superseded or over."""
    assert Life().answer("claim", {"go": False}).step.kind == "end"


def test_a_busy_model_is_waited_for() -> None:
    """The waits grow with the time spent; the status says for whom."""
    life = Life().claimed().history(BLOCKER).wait(5).history(BLOCKER)
    assert life.state.status(life.now)["waitsFor"] == BLOCKER
    assert life.state.status(life.now)["nextLookAt"] == instant(life.now + timedelta(seconds=life.step.seconds))
    assert life.state.status(life.now)["waitsSince"] == instant(NOON)
    waits: list[float] = []
    while len(waits) < 40:
        waits.append(life.step.seconds)
        life.wait().history(BLOCKER)
    assert waits == sorted(waits)
    assert waits[-1] == 60
    life.wait().history().wait(2.0)
    assert life.phase == "close"
    assert life.state.status(life.now)["waitsFor"] is None


def test_behind_one_refresh_for_an_hour_the_run_posts_anyway() -> None:
    """The row may never end; the refusal is the truth, and the next hour begins."""
    life = Life().claimed()
    while life.history(BLOCKER).phase == "look":
        life.wait()
    assert timedelta(minutes=60) <= life.now - NOON <= timedelta(minutes=61)
    life.wait(2.0).answer("close", {"go": True}).posted("busy").history(BLOCKER, lost=None)
    life.answer("reopen", {"go": True}).wait(5)
    probed = life.now
    while life.history(BLOCKER).phase == "look":
        life.wait()
    assert timedelta(minutes=59) <= life.now - probed <= timedelta(minutes=61)


def test_the_hour_is_counted_anew_for_each_refresh_before_us() -> None:
    """A busy model is no stuck one."""
    life = Life().claimed()
    for number in range(600):
        life.history({**BLOCKER, "refreshId": f"theirs-{number // 40}"})
        assert life.phase == "look"
        life.wait()
    assert life.now - NOON > timedelta(minutes=61)


def test_after_a_probe_that_was_accepted_nobody_is_waited_for() -> None:
    """The stuck row is no news any more."""
    life = Life().claimed()
    while life.history(BLOCKER).phase == "look":
        life.wait()
    life.wait(2.0).answer("close", {"go": True}).posted("accepted", refresh_id="r").recorded()
    assert life.state.status(life.now)["waitsFor"] is None
    assert life.state.status(life.now)["phase"] == "refreshing"


@pytest.mark.parametrize("next_run", [NEXT, None])
def test_a_run_that_may_not_seal_leaves_and_starts_the_next(next_run: dict[str, object] | None) -> None:
    """Everybody has left it, or another generation has taken over."""
    life = Life().claimed().history().wait().answer("close", {"go": False, "next": next_run})
    if next_run:
        life.answer("start_run", {}, **next_run)
    assert life.step.kind == "end"


def test_a_refresh_that_appeared_meanwhile_is_adopted() -> None:
    """It is as good as ours for whoever asked before the look; the others are late."""
    life = Life().polling(adopted=True).row("Completed")
    assert life.ended("Completed")["adopted"] is True
    assert life.step.input is not None
    assert life.step.input["late_after"] == instant(NOON)


@pytest.mark.parametrize("status", ["Failed", "Cancelled", "Disabled"])
def test_an_adopted_refresh_that_ends_badly_fails_nobody(status: str) -> None:
    """It is not proven ours: back to waiting, and a refresh of our own."""
    life = Life().polling(adopted=True).row(status).answer("reopen", {"go": True}, permit=1)
    life.history().wait(2.0).answer("close", {"go": True}, permit=2).posted("accepted", refresh_id="r").recorded()
    life.answer("wake_requests", {}).wait().row(status)
    assert life.ended("Cancelled" if status == "Cancelled" else "Failed", life.state.outcome["error"]["code"])  # type: ignore[index]
    assert life.step.input is not None
    assert life.step.input["late_after"] is None


def test_another_kind_of_refresh_in_between_is_waited_for() -> None:
    """Nothing was posted."""
    life = Life().closed().posted("blocked").answer("reopen", {"go": True}, permit=1).wait(5)
    assert life.history(BLOCKER).phase == "look"


def test_a_refusal_as_busy_is_somebody_elses_refresh_or_our_own() -> None:
    """A twin of the activity may have posted: what is new is adopted, else the model is waited for."""
    assert Life().closed().posted("busy").history(adoptable="r").recorded().state.adopted
    life = Life().closed().posted("busy").history(BLOCKER, lost=None)
    life.answer("reopen", {"go": True}).wait(5).history(BLOCKER)
    assert life.phase == "look"
    hidden = Life().closed().posted("busy")
    while hidden.history().phase == "reconcile":
        hidden.wait()
    assert hidden.now - NOON >= timedelta(seconds=120)
    hidden.answer("reopen", {"go": True}).wait(60)
    assert hidden.phase == "look"


@pytest.mark.parametrize("kind", ["lost", "broken"])
def test_a_lost_answer_is_looked_for_before_another_post(kind: str) -> None:
    """The refresh may be visible late."""
    life = (
        Life().closed().posted(kind, error="no answer").history(lost={"since": None, "until": None}, before=_before())
    )
    life.wait(5).history().wait()
    life.history(adoptable="r").recorded()
    assert (life.state.refresh_id, life.state.adopted, life.state.lost_answers) == ("r", True, 0)


def test_a_lost_answer_is_posted_again_after_the_grace() -> None:
    """Nothing appeared, so nothing was accepted."""
    life = Life().closed().posted("lost", error="no answer")
    while life.history().phase == "reconcile":
        life.wait()
    assert timedelta(seconds=120) <= life.now - NOON <= timedelta(seconds=140)
    life.answer("reopen", {"go": True}, permit=1).wait(5).history().wait(2.0).answer("close", {"go": True}, permit=2)
    assert life.phase == "post"


def test_answers_lost_again_and_again_end_the_run() -> None:
    """After several tries and the outage budget, with what was said at last."""
    life = Life().closed()
    posts = 0
    while life.phase != "finish":
        assert posts < NEVER
        posts += 1
        life.posted("lost", error="connection reset")
        while life.history().phase == "reconcile":
            life.wait()
        if life.phase == "reopen":
            life.answer("reopen", {"go": True}).wait().history().wait().answer("close", {"go": True})
    assert posts >= MAX_TRIES
    assert life.now - NOON >= timedelta(seconds=900)
    assert "connection reset" in life.ended("Failed", "AnswerLost")["error"]["message"]


def test_the_run_tells_when_its_lost_refresh_can_have_begun() -> None:
    """So that another one is not taken for it; whoever looks for a POST that broke knows no such times."""
    known = {"since": "2026-03-31T12:00:05.000Z", "until": "2026-03-31T12:00:09.000Z"}
    Life().closed().posted("lost", error="no answer", **known).history(lost=known)
    Life().closed().posted("broken", error="x").history(lost={"since": None, "until": None})


def test_a_stale_permission_is_asked_about_and_tried_again() -> None:
    """The queue may have been read before it showed the permit."""
    life = Life().closed().posted("stale").wait(5).answer("claim", {"go": True}).posted("accepted", refresh_id="r")
    assert life.phase == "record"
    assert Life().closed().posted("stale").wait(5).answer("claim", {"go": False}).step.kind == "end"


@pytest.mark.parametrize("wanted", [True, False])
def test_a_run_that_nobody_alive_wants_is_dropped(wanted: bool) -> None:
    """Unless the queue knows better: then it looks again."""
    life = Life().closed().posted("unwanted", gone=["a"])
    life.answer("drop", {"go": wanted, "next": NEXT}, permit=1, gone=["a"])
    if wanted:
        life.history().wait().answer("close", {"go": True}, permit=2)
    else:
        life.answer("start_run", {}, **NEXT)
        assert life.step.kind == "end"


def test_throttling_is_waited_for_as_long_as_it_says() -> None:
    """In a durable timer, and it is no outage, however long it lasts."""
    busy = {"kind": "throttled", "seconds": 3_000.0, "error": "HTTP 429"}
    life = Life().claimed().answer("read_history", busy).wait(3_000)
    assert life.state.status(life.now)["lastReadError"] == "HTTP 429"
    life.history().wait().answer("close", {"go": True}).answer("post_refresh", busy)
    life.answer("reopen", {"go": True}).wait(3_000).history()
    assert life.phase == "close"
    assert Life().claimed().answer("read_history", {**busy, "seconds": 0.0}).step.seconds == 5


@pytest.mark.parametrize("name", ["read_history", "post_refresh"])
def test_a_refusal_for_good_fails_the_run_at_once(name: str) -> None:
    """With the sentence that a person needs."""
    life = Life().closed() if name == "post_refresh" else Life().claimed()
    life.answer(name, {"kind": "refused", "error": failure("NotAuthorized", MODEL)})
    outcome = life.ended("Failed", "NotAuthorized")
    assert outcome["refreshId"] is None
    assert next_step(life.state).input == {"outcome": outcome, "late_after": None}


def test_a_refusal_while_looking_for_a_lost_answer_fails_the_run() -> None:
    """Nobody can look any more."""
    life = Life().closed().posted("lost", error="x")
    life.answer("read_history", {"kind": "refused", "error": failure("ModelNotFound", MODEL)})
    life.ended("Failed", "ModelNotFound")


def test_an_outage_before_the_post_ends_the_run_when_its_budget_is_spent() -> None:
    """The waits double; the last error is told."""
    life = Life().claimed()
    waits = []
    while life.unavailable("read_history", "no such host").phase == "look":
        waits.append(life.step.seconds)
        life.wait()
    assert waits[:5] == [5, 10, 20, 40, 60]
    assert timedelta(seconds=900) <= life.now - NOON <= timedelta(seconds=960)
    assert "no such host" in life.ended("Failed", "ServiceUnavailable")["error"]["message"]


def test_an_outage_that_ends_is_forgotten() -> None:
    """Each has the whole budget."""
    life = Life().claimed()
    for _ in range(40):
        life.unavailable("read_history").wait().unavailable("read_history").wait().history(BLOCKER).wait()
    assert life.phase == "look"
    assert life.state.last_error is None


def test_a_post_that_was_not_sent_opens_the_run_again() -> None:
    """Nothing was accepted, so others may join while it waits."""
    life = Life().closed().unavailable("post_refresh").answer("reopen", {"go": True}, permit=1).wait(5)
    assert life.phase == "look"


def test_an_outage_of_starting_alone_has_its_budget_too() -> None:
    """The history can be read all the time, yet no refresh can be started."""
    life = Life().closed()
    while life.unavailable("post_refresh", "no such host").phase == "reopen":
        life.answer("reopen", {"go": True}).wait().history().wait().answer("close", {"go": True})
    assert timedelta(seconds=900) <= life.now - NOON <= timedelta(seconds=960)
    assert "no such host" in life.ended("Failed", "ServiceUnavailable")["error"]["message"]


def test_an_outage_while_looking_for_a_lost_answer_is_waited_out() -> None:
    """A refresh may be running: giving up would let another one start beside it."""
    life = Life().closed().posted("lost", error="x")
    for _ in range(100):
        life.unavailable("read_history").wait()
    life.history(adoptable="r").recorded()


def test_a_timer_that_fires_early_is_due_all_the_same() -> None:
    """No loop on the clock."""
    life = Life().claimed().history()
    life.state = advance(life.state, {}, life.now)
    assert life.step.name == "close"


def test_the_kind_of_refresh_decides_how_it_is_read() -> None:
    """Only enhanced ones can be read by their id."""
    for scope, enhanced in ((ENHANCED, True), (None, False)):
        step = (Life().polling(scope) if scope else Life().polling()).step
        assert step.input is not None
        assert step.input["enhanced"] is enhanced


def _before() -> dict[str, object]:
    return {"known": [], "service_time": instant(NOON), "read_at": instant(NOON)}

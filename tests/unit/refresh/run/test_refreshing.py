"""A run follows its refresh to the end, over generations and restarts, and gives up only for good reasons."""

from datetime import timedelta

import pytest

from refresh.failure.catalogue import failure
from refresh.history.rows import RefreshRow, instant
from refresh.run.machine import MAX_TRIES, next_generation
from refresh.run.state import RunState
from tests.unit.refresh.run.incarnations import BLOCKER, ENHANCED, MODEL, NEVER, NEXT, NOON, STANDARD, Json, Life

BEFORE = {"known": ["old"], "service_time": instant(NOON), "read_at": instant(NOON)}


@pytest.mark.parametrize(
    ("status", "ends", "code"),
    [
        ("Completed", "Completed", None),
        ("Failed", "Failed", "RefreshFailed"),
        ("Cancelled", "Cancelled", "RefreshCancelled"),
        ("Disabled", "Failed", "RefreshDisabled"),
        ("TimedOut", "Failed", "RefreshTimedOut"),
    ],
)
def test_a_refresh_of_ours_ends_the_run(status: str, ends: str, code: str | None) -> None:
    """With its own verdict."""
    assert Life().polling().row(status).ended(ends, code)["refreshId"] == "r"


@pytest.mark.parametrize("status", ["Unknown", "NotStarted", "Reticulating"])
def test_what_has_not_ended_is_waited_for(status: str) -> None:
    """No end is made up."""
    life = Life().polling()
    for _ in range(50):
        life.row(status).wait()
    assert life.now - NOON > timedelta(minutes=20)


def test_a_refresh_that_never_appears_is_posted_again_and_then_said_to_be_dropped() -> None:
    """Within the grace it is only hidden."""
    life = Life().closed()
    for permit in range(1, MAX_TRIES + 1):
        life.posted("accepted", refresh_id="r").recorded().answer("wake_requests", {})
        posted = life.now
        while life.wait().answer("read_refresh", {"kind": "absent"}).phase == "poll":
            assert life.now - posted < timedelta(seconds=120)
        assert life.now - posted >= timedelta(seconds=120)
        if permit < MAX_TRIES:
            life.answer("reopen", {"go": True}, permit=permit).wait(5).history().wait(2.0)
            life.answer("close", {"go": True}, permit=permit + 1)
    life.ended("Failed", "RefreshDropped")


def test_a_refresh_that_was_seen_is_never_said_to_be_dropped() -> None:
    """The history is short and may miss a row."""
    life = Life().polling().row("Unknown")
    for _ in range(50):
        life.wait().answer("read_refresh", {"kind": "absent"})
    assert life.phase == "poll"


@pytest.mark.parametrize("seen", [True, False])
def test_a_refresh_that_was_pushed_out_of_the_history_is_lost_and_not_run_again(seen: bool) -> None:
    """Newer rows are no proof that it was dropped, nor of any end; the queue is told where it was posted."""
    life = Life().polling()
    if seen:
        life.row("Unknown").wait()
    life.now += timedelta(hours=5)
    gone = {"kind": "absent", "read_at": instant(life.now), "pushed_out": True}
    life.answer("read_refresh", gone, posted_at=life.state.posted_at)
    assert life.ended("OutcomeUnknown", "HistoryRolledOver")["refreshId"] == "r"


@pytest.mark.parametrize("gone", [True, False])
def test_somebody_elses_refresh_that_is_lost_fails_nobody(gone: bool) -> None:
    """Out of sight, or without an end for thirty hours: the run goes back to waiting and makes one of its own."""
    life = Life().polling(adopted=True)
    life.now += timedelta(hours=30)
    if gone:
        life.answer("read_refresh", {"kind": "absent", "pushed_out": True})
    else:
        life.row("Unknown")
    life.answer("reopen", {"go": True}, permit=1).history().wait().answer("close", {"go": True}, permit=2)


def test_refreshes_that_nobody_calls_ours_and_that_fail_end_the_run_in_the_end() -> None:
    """Each is found after a POST without a clear answer: most probably all were ours, and one more would fail too."""
    life = Life().closed()
    for permit in range(1, MAX_TRIES + 1):
        life.posted("lost", error="no id in the answer").history(adoptable="r").recorded()
        life.answer("wake_requests", {}).wait().row("Failed")
        if permit < MAX_TRIES:
            life.answer("reopen", {"go": True}, permit=permit).history().wait().answer("close", {"go": True})
    assert life.ended("Failed", "RefreshUnproven")["refreshId"] == "r"


def test_the_progress_of_a_refresh_is_shown_while_it_lasts() -> None:
    """As it was read last; a new try begins without."""
    done = {"total": 2, "completed": 1, "inProgress": ["DimDate"], "failed": []}
    life = Life().polling(ENHANCED)
    running = RefreshRow("r", "ViaEnhancedApi", "Unknown").to_json()
    life.answer("read_refresh", {"kind": "row", "row": running, "progress": done})
    assert life.state.status(life.now)["progress"] == done
    life.wait().unavailable("read_refresh")
    assert life.state.status(life.now)["progress"] == done


@pytest.mark.parametrize("kind", ["unavailable", "throttled", "refused", "broken"])
def test_no_answer_about_a_running_refresh_ends_the_run(kind: str) -> None:
    """It goes on without us, so its verdict is still worth waiting for; the status shows what was said."""
    answer: Json = {"kind": kind, "seconds": 30.0, "error": "the reason"}
    if kind == "refused":
        answer["error"] = failure("NotAuthorized", MODEL)
    life = Life().polling()
    for _ in range(60):
        life.answer("read_refresh", answer).wait()
    assert life.now - NOON > timedelta(minutes=20)
    said = life.state.status(life.now)["lastReadError"]
    assert said == (answer["error"]["message"] if kind == "refused" else "the reason")
    life.row("Completed").ended("Completed")


@pytest.mark.parametrize("answer", ["running", "unavailable", "absent"])
def test_a_refresh_without_end_is_lost_after_thirty_hours(answer: str) -> None:
    """And the queue is free again."""
    life = Life().polling().row("Unknown")
    for _ in range(10 * NEVER):
        life.wait()
        if answer == "running":
            life.row("Unknown")
        elif answer == "absent":
            life.answer("read_refresh", {"kind": "absent"})
        else:
            life.unavailable("read_refresh")
        if life.phase == "finish":
            break
    assert life.ended("OutcomeUnknown", "RefreshNeverEnded")["refreshId"] == "r"
    assert timedelta(hours=30) <= life.now - NOON <= timedelta(hours=30, minutes=2)


def test_a_refresh_that_nobody_wants_any_more_is_cancelled() -> None:
    """And followed to its end, before which the next must not begin."""
    life = Life().closed(ENHANCED).posted("accepted", refresh_id="r").recorded(cancel=True).answer("wake_requests", {})
    life.wait(5).answer("cancel_refresh", {"kind": "cancelled"}, refresh_id="r").wait(5).row("Cancelled")
    life.ended("Cancelled", "RefreshCancelled")


def test_a_cancel_that_power_bi_did_not_hear_is_sent_again() -> None:
    """A few times: it is often unwell when things go wrong."""
    life = Life().closed(ENHANCED).posted("accepted", refresh_id="r").recorded(cancel=True).answer("wake_requests", {})
    tries = 0
    while life.wait().phase == "cancel":
        tries += 1
        life.unavailable("cancel_refresh")
    assert tries == MAX_TRIES + 1
    assert life.phase == "poll"


@pytest.mark.parametrize("operation", ["record", "reopen"])
def test_a_life_that_the_queue_knows_no_more_leaves(operation: str) -> None:
    """Another generation has taken over; it must not finish what is not its own any more."""
    life = Life().closed().posted("accepted" if operation == "record" else "blocked", refresh_id="r")
    life.answer(operation, {"go": False, "next": NEXT}).answer("start_run", {}, **NEXT)
    assert life.step.kind == "end"


def test_a_new_generation_first_asks_whether_the_run_is_still_wanted() -> None:
    """A run is not polled for nobody."""
    life = Life().polling().row("Unknown")
    life.state = next_generation(life.state)
    life.wait()
    assert life.step.name == "claim"
    assert life.answer("claim", {"go": False}).step.kind == "end"


def _lives() -> dict[str, Life]:
    claimed, record = Life().claimed(), Life().closed().posted("accepted", refresh_id="r")
    cancel = Life().closed().posted("accepted", refresh_id="r").recorded(cancel=True).answer("wake_requests", {})
    finish = Life().polling().row("Completed")
    start_next = Life().polling().row("Completed").answer("finish", {"next": NEXT, "wake": [["a", "w"]]})
    return {
        "look": claimed,
        "blocked": Life().claimed().history(BLOCKER),
        "close": Life().claimed().history(),
        "post": Life().closed(),
        "reconcile": Life().closed().posted("lost", error="x"),
        "reopen": Life().closed().posted("blocked"),
        "drop": Life().closed().posted("unwanted", gone=["a"]),
        "record": record,
        "told": Life().closed().posted("accepted", refresh_id="r").recorded(),
        "cancel": cancel,
        "poll": Life().polling().row("Unknown"),
        "finish": finish,
        "start_next": start_next,
        "tell": Life().polling().row("Completed").answer("finish", {"next": None, "wake": [["a", "w"]]}),
        "end": Life().answer("claim", {"go": False}),
    }


@pytest.mark.parametrize("name", list(_lives()))
def test_a_generation_may_end_anywhere(name: str) -> None:
    """The next one asks for just what this one would have asked for."""
    plain, cut = _lives()[name], _lives()[name].over_generations()
    while plain.step.kind == "wait":
        plain.wait()
    while cut.step.kind == "wait":
        cut.wait()
    assert (cut.step, cut.now) == (plain.step, plain.now)


def test_a_restarted_run_that_had_not_closed_begins_again() -> None:
    """With the number of the last permit, so that an old one is never mistaken for a new one."""
    life = Life(generation=2).claimed(permit=3).history().wait(2.0)
    life.answer("close", {"go": True}, permit=4)
    assert life.step.input is not None
    assert life.step.input["generation"] == 2


def test_a_restarted_run_that_may_have_posted_looks_for_its_refresh() -> None:
    """With what the life before had kept of the history, and if nothing appears it posts again."""
    life = Life(generation=2).claimed(permit=1, closed=True, before=BEFORE, attempt_at=BEFORE["read_at"])
    life.history(before=BEFORE, lost={"since": BEFORE["service_time"], "until": None}).wait(5)
    life.history(adoptable="r").recorded()
    life.answer("wake_requests", {}).wait().row("Completed")
    assert life.ended("Completed")["adopted"] is True
    assert life.step.input is not None
    assert life.step.input["late_after"] == BEFORE["read_at"]
    other = Life(generation=2).claimed(permit=1, closed=True, before=BEFORE, attempt_at=BEFORE["read_at"])
    while other.history().phase == "reconcile":
        other.wait()
    other.answer("reopen", {"go": True}, permit=1).wait().history().wait().answer("close", {"go": True}, permit=2)


def test_old_news_of_a_missing_row_is_no_drop() -> None:
    """An answer that was on its way for minutes says nothing of now; one from after the grace does."""
    life = Life().polling()
    read_at = instant(life.now)
    life.now += timedelta(minutes=5)
    life.answer("read_refresh", {"kind": "absent", "read_at": read_at})
    assert life.phase == "poll"
    life.wait().answer("read_refresh", {"kind": "absent", "read_at": instant(life.now)})
    assert life.phase == "reopen"


def test_old_news_of_the_history_is_no_lost_answer() -> None:
    """Likewise after a POST without an answer."""
    life = Life().closed().posted("lost", error="x")
    before = {"known": [], "service_time": instant(life.now), "read_at": instant(life.now)}
    life.now += timedelta(minutes=5)
    life.answer("read_history", {"kind": "history", "running": None, "before": before, "adoptable": None})
    assert life.phase == "reconcile"
    assert life.wait().history().phase == "reopen"


def test_a_restarted_run_whose_permit_nobody_used_looks_for_nothing() -> None:
    """Nothing was posted, and with a permit of the life before nothing can be any more."""
    life = Life(generation=2).claimed(permit=1, closed=True, before=BEFORE)
    life.answer("reopen", {"go": True}, permit=1).history().wait().answer("close", {"go": True}, permit=2)


@pytest.mark.parametrize("adopted", [True, False])
def test_a_restarted_run_follows_the_refresh_it_had(adopted: bool) -> None:
    """Also to the fate of somebody else's refresh."""
    known = {"permit": 1, "closed": True, "before": BEFORE, "refresh_id": "r", "adopted": adopted}
    life = Life(NOON + timedelta(hours=5), generation=2).claimed(STANDARD, **known, posted_at=instant(NOON))
    life.row("Failed")
    if adopted:
        life.answer("reopen", {"go": True}, permit=1)
    else:
        life.ended("Failed", "RefreshFailed")


def test_a_restarted_run_cancels_what_nobody_wants() -> None:
    """Its earlier life may have died before it could."""
    known = {"permit": 1, "closed": True, "before": BEFORE, "refresh_id": "r", "posted_at": instant(NOON)}
    Life(generation=2).claimed(ENHANCED, **known, cancel=True).answer("cancel_refresh", {"kind": "over"}).wait()


def test_a_restarted_run_does_not_take_one_missing_row_for_a_drop() -> None:
    """What the life before saw of the refresh is forgotten; a second refresh beside a running one would follow."""
    known = {"permit": 1, "closed": True, "before": BEFORE, "refresh_id": "r", "posted_at": instant(NOON)}
    life = Life(NOON + timedelta(hours=2), generation=2).claimed(STANDARD, **known)
    life.answer("read_refresh", {"kind": "absent"}).wait().row("Unknown")
    assert life.phase == "poll"


def test_an_older_state_is_read_and_a_newer_one_too() -> None:
    """Code changes while runs are on their way."""
    stored = Life().polling().state.to_json()
    assert stored["schema"] == 1
    state = RunState.from_json({**{key: stored[key] for key in stored if key != "drops"}, "invented": 1})
    assert state.drops == 0
    assert state.refresh_id == "r"

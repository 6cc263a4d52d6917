"""A queue lets requests share a run until it may post, keeps the verdicts for them, and goes on in order."""

import json
import time
from typing import Any

import pytest

from refresh.history.rows import instant
from refresh.queue.machine import apply
from refresh.queue.state import Queue
from tests.unit.refresh.queue.queues import COMPLETED, NOON, SALES, WHOLE, Desk, Json


@pytest.fixture
def desk() -> Desk:
    """An empty queue at noon."""
    return Desk()


def test_the_first_request_gets_a_run_and_is_asked_to_start_it(desk: Desk) -> None:
    """Nobody else would."""
    answer = desk.enroll("a")
    assert answer == {
        "state": "enrolled",
        "leaving": False,
        "run": "a-r1",
        "generation": 1,
        "position": 0,
        "shared_with": 0,
        "refresh_id": None,
        "posted_at": None,
        "active": {"run": "a-r1", "generation": 1},
        "behind": None,
        "start": True,
    }


def test_equal_requests_share_a_run_until_it_is_closed(desk: Desk) -> None:
    """After the close its refresh may have started before the newcomer asked."""
    run = desk.enroll("a")["run"]
    assert desk.enroll("b")["run"] == run
    desk.run("claim", run)
    assert desk.enroll("c")["run"] == run
    desk.close(run)
    late = desk.enroll("d")
    assert (late["run"], late["position"], late["shared_with"], late["start"]) == ("d-r1", 1, 0, False)
    assert desk.enroll("b")["shared_with"] == 2


@pytest.mark.parametrize(("scope", "share"), [(SALES, True), (WHOLE, False)])
def test_another_scope_or_no_wish_to_share_makes_another_run(desk: Desk, scope: Json, share: bool) -> None:
    """Nobody gets less than they asked for, nor company they refused."""
    desk.enroll("a")
    assert desk.enroll("b", scope=scope, share=share)["run"] == "b-r1"
    assert desk.enroll("c")["run"] == "a-r1"


def test_a_newcomer_may_join_a_run_that_waits_behind_others(desk: Desk) -> None:
    """It need not wait behind runs that came after that one."""
    desk.posted("a")
    desk.enroll("b", scope=SALES)
    desk.enroll("c")
    assert desk.enroll("d", scope=SALES)["run"] == "b-r1"


def test_one_request_at_a_time_is_asked_to_start_a_run(desk: Desk) -> None:
    """The next is asked when the first has had its time, or when the first asks again."""
    desk.enroll("a")
    assert not desk.later(seconds=29).enroll("b")["start"]
    assert desk.enroll("a")["start"]
    assert not desk.later(seconds=29).enroll("b")["start"]
    assert desk.later(seconds=1).enroll("b")["start"]
    desk.run("claim", "a-r1")
    assert not desk.later(hours=1).enroll("b")["start"]


def test_a_request_in_the_queue_is_asked_to_start_the_run_before_it(desk: Desk) -> None:
    """If whoever should have started that one is gone, the queue would stand still."""
    desk.enroll("vanished")
    answer = desk.later(minutes=5).enroll("b", scope=SALES)
    assert (answer["start"], answer["active"]["run"], answer["run"]) == (True, "vanished-r1", "b-r1")


def test_a_verdict_waits_for_each_member(desk: Desk) -> None:
    """Whoever re-reads the queue is told; wake-ups are hints."""
    run = desk.posted("a", "b")
    answer = desk.finish(run)
    assert answer == {"next": None, "wake": [["a", "wake-1"], ["b", "wake-1"]]}
    told = {"state": "ended", "run": run, "shared_with": 1, "outcome": COMPLETED, "served_by": None}
    assert desk.later(hours=23).enroll("a", wake="wake-9") == told
    assert desk.enroll("a", wake="wake-9") == told
    assert desk.leave("b") == told


def test_a_verdict_that_nobody_collects_is_kept_for_a_day(desk: Desk) -> None:
    """Requests that were terminated by hand would fill the queue."""
    desk.finish(desk.posted("a"))
    desk.later(hours=24, seconds=1).enroll("z")
    assert desk.queue.ended == {}


def test_the_next_run_is_handed_over_when_one_ends(desk: Desk) -> None:
    """By its id and generation, so that whoever hears of it can start it."""
    run = desk.posted("a")
    desk.enroll("b")
    turn = {"run": "b-r1", "generation": 1}
    assert desk.finish(run)["next"] == turn
    assert desk.finish(run)["next"] == turn
    desk.run("claim", "b-r1", token="another")
    assert desk.finish(run)["next"] is None


def test_members_too_late_for_somebody_elses_refresh_go_before_who_came_later(desk: Desk) -> None:
    """A refresh that is not proven ours may have started before they asked."""
    desk.enroll("early")
    desk.later(seconds=2).enroll("late")
    desk.enroll("other", scope=SALES)
    desk.run("claim", "early-r1")
    desk.close("early-r1")
    desk.record("early-r1", adopted=True)
    answer = desk.finish("early-r1", late_after=instant(NOON))
    assert answer == {"next": {"run": "late-r1", "generation": 1}, "wake": [["early", "wake-1"]]}
    assert desk.enroll("early")["shared_with"] == 0
    late = desk.enroll("late")
    assert (late["state"], late["position"], late["refresh_id"]) == ("enrolled", 0, None)
    assert desk.enroll("other")["position"] == 1


def test_a_late_member_whose_run_bore_its_name_gets_a_run_of_another_name(desk: Desk) -> None:
    """A run id names one run: the orchestration of the old one may still be there."""
    desk.enroll("a")
    desk.run("claim", "a-r1")
    desk.close("a-r1")
    desk.record("a-r1", adopted=True)
    assert desk.finish("a-r1", late_after=instant(NOON.replace(hour=11)))["next"]["run"] == "a-r1-2"


def test_the_first_life_to_claim_a_run_keeps_it(desk: Desk) -> None:
    """Racing starts and second lives are refused, and so is all that they say."""
    run = desk.enroll("a")["run"]
    assert desk.run("claim", run, token="one")["go"]
    assert desk.run("claim", run, token="two") == {"go": False}
    assert desk.run("claim", run, token="one")["go"]
    words: dict[str, Json] = {
        "close": {"permit": 1, "before": {}},
        "reopen": {"permit": 1},
        "record": {"permit": 1, "refresh_id": "x", "adopted": False, "posted_at": "x"},
        "drop": {"permit": 1, "gone": ["a"]},
    }
    for operation, more in words.items():
        assert not desk.run(operation, run, token="two", **more)["go"]
    assert desk.run("finish", run, token="two", outcome={}, late_after=None) == {"next": None, "wake": []}
    assert desk.enroll("a")["refresh_id"] is None


def test_only_the_active_run_may_be_claimed(desk: Desk) -> None:
    """Whoever starts a run early, or again after its end, starts nothing."""
    run = desk.posted("a")
    desk.enroll("b")
    assert not desk.run("claim", "b-r1")["go"]
    desk.finish(run)
    assert not desk.run("claim", run)["go"]
    assert desk.run("claim", "b-r1")["go"]


def test_a_dead_run_goes_on_in_its_next_generation(desk: Desk) -> None:
    """It is told what the queue knows; the life before has nothing to say any more."""
    run = desk.posted("a")
    assert desk.do("restart", run=run, generation=1)["next"] == {"run": run, "generation": 2}
    assert desk.do("restart", run=run, generation=1)["next"] == {"run": run, "generation": 2}
    assert not desk.run("claim", run)["go"]
    answer = desk.run("claim", run, generation=2, token="new")
    assert answer["go"]
    assert (answer["refresh_id"], answer["permit"], answer["closed"]) == ("r", 1, True)
    assert desk.do("restart", run=run, generation=1)["next"] is None
    assert desk.finish(run) == {"next": None, "wake": []}
    assert desk.finish(run, generation=2, token="new")["wake"] == [["a", "wake-1"]]


def test_a_permit_that_came_to_nothing_opens_the_run_again(desk: Desk) -> None:
    """Newcomers may join until the next close."""
    run = desk.posted("a")
    assert desk.run("reopen", run, permit=1) == {"go": True}
    assert desk.enroll("b")["run"] == run
    assert desk.close(run, permit=2)["go"]
    assert desk.enroll("c")["run"] == "c-r1"
    permitted = {"run": run, "generation": 1, "token": "life", "permit": 2}
    assert desk.queue.holder_of(permitted)
    assert not desk.queue.holder_of({**permitted, "permit": 1})


def test_late_words_about_an_old_permit_change_nothing(desk: Desk) -> None:
    """Neither while the run is open again nor under its next permit."""
    run = desk.posted("a")
    desk.run("reopen", run, permit=1)
    for permit in (1, 2):
        if permit == 2:
            desk.close(run, permit=2)
        desk.run("close", run, permit=1, before={"known": ["old"]})
        desk.record(run, permit=1)
        stands = desk.queue.runs[0]
        assert (stands.refresh_id, stands.closed, stands.permit) == (None, permit == 2, permit)
        assert stands.before is None or stands.before["known"] == []


def test_a_permit_ends_with_the_record(desk: Desk) -> None:
    """An activity that runs twice must find the door closed."""
    run = desk.enroll("a")["run"]
    permitted = {"run": run, "generation": 1, "token": "life", "permit": 1}
    desk.run("claim", run)
    assert not desk.queue.holder_of(permitted)
    desk.close(run)
    assert desk.queue.holder_of(permitted)
    assert not desk.queue.holder_of({**permitted, "token": "twin"})
    assert not desk.queue.holder_of({**permitted, "generation": 2})
    desk.record(run)
    assert not desk.queue.holder_of(permitted)
    assert not Queue().holder_of(permitted)


def test_one_execution_gets_the_permit(desk: Desk) -> None:
    """Its twins, at the same moment or later, learn who has it; the next permit is free again."""
    run = desk.enroll("a")["run"]
    desk.run("claim", run)
    desk.close(run)

    def take(permit: int, attempt: str, **life: Any) -> str | None:
        desk.run("take_permit", run, permit=permit, attempt=attempt, **life)
        return desk.queue.runs[0].attempt

    assert take(1, "other life", token="other") is None
    assert take(1, "first") == "first"
    assert take(1, "twin") == "first"
    desk.run("reopen", run, permit=1)
    desk.close(run, permit=2)
    assert take(1, "late") is None
    assert take(2, "second") == "second"


def test_members_that_are_gone_are_dropped_before_the_post(desk: Desk) -> None:
    """A refresh is made for somebody who wants it."""
    run = desk.enroll("a")["run"]
    desk.enroll("next", scope=SALES)
    desk.run("claim", run)
    desk.close(run)
    turn = {"run": "next-r1", "generation": 1}
    assert desk.run("drop", run, permit=1, gone=["a"]) == {"go": False, "next": turn}
    assert desk.run("drop", run, permit=1, gone=["a"]) == {"go": False, "next": turn}
    assert [run.id for run in desk.queue.runs] == ["next-r1"]


def test_a_dropped_request_that_lives_after_all_enrolls_again(desk: Desk) -> None:
    """The engine's list of who is alive may be behind."""
    run = desk.enroll("a")["run"]
    desk.run("claim", run)
    desk.close(run)
    desk.run("drop", run, permit=1, gone=["a"])
    assert desk.later(seconds=1).enroll("a")["state"] == "enrolled"


def test_a_thousand_waiting_requests_cost_little(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Reading, one operation and writing, as the entity does it; the worst of all operations is measured."""
    run = desk.posted("active")
    for number in range(1_000):
        scope = {**WHOLE, "refresh": {"type": "Full", "objects": [{"table": f"Table {number % 50}"}]}}
        desk.state, _ = apply(desk.state, "enroll", _enrolment(f"{number:032x}-{number:016x}", scope))
    stored = json.dumps(desk.state)
    slowest = 0.0
    for operation, arguments in {
        "enroll": _enrolment(f"{999:032x}-{999:016x}", scope),
        "leave": {**_enrolment(f"{999:032x}-{999:016x}", scope), "cancel": False, "reason": "TimedOut"},
        "finish": {"run": run, "generation": 1, "token": "life", "outcome": COMPLETED, "late_after": None},
    }.items():
        spent = []
        for _ in range(3):
            began = time.perf_counter()
            state, _answer = apply(json.loads(stored), operation, {"at": instant(desk.now), **arguments})
            json.dumps(state)
            spent.append(time.perf_counter() - began)
        slowest = max(slowest, min(spent))
    with capsys.disabled():
        print(f" [1,000 waiting: {len(stored) // 1024} KB, slowest operation {slowest * 1000:.0f} ms] ", end="")
    assert slowest < 0.25


def _enrolment(request: str, scope: Json) -> Json:
    identity = {"request": request, "token": "0123456789abcdef", "at": instant(NOON), "wake": "wake-1"}
    return {**identity, "scope": scope, "share": True}


def test_a_quiet_queue_is_tidied_away(desk: Desk) -> None:
    """Half an hour after its last request has collected; until then it keeps what it remembers."""
    run = desk.posted("a")
    desk.finish(run)
    assert desk.enroll("a")["state"] == "ended"
    desk.later(minutes=29).do("tidy")
    assert desk.state is not None
    desk.later(minutes=2).do("tidy")
    assert desk.state is None


def test_who_waits_is_told_behind_whose_refresh(desk: Desk) -> None:
    """Somebody else's, until ours may be posted; ours, for whoever stands further back."""
    theirs = {"refreshId": "theirs", "refreshType": "Scheduled", "startedAt": instant(NOON)}
    run = desk.enroll("a")["run"]
    desk.enroll("b", share=False)
    assert desk.run("wait_behind", run, behind=theirs) == {"go": False, "next": {"run": run, "generation": 1}}
    desk.run("claim", run)
    assert desk.run("wait_behind", run, behind=theirs) == {"go": True}
    assert desk.enroll("a")["behind"] == desk.enroll("b", share=False)["behind"] == theirs
    desk.close(run)
    assert desk.enroll("a")["behind"] is None
    desk.record(run)
    assert desk.enroll("a")["behind"] is None
    ours = {"refreshId": "r", "refreshType": None, "startedAt": instant(NOON)}
    assert desk.enroll("b", share=False)["behind"] == ours

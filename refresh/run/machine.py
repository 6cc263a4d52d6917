"""One run, from waiting for an idle model to its verdict, as a pure state machine.

The orchestrator does what `next_step` says and hands the answer to `advance`; all that a run knows is in its
`RunState`, which is also its input in the next generation. So every decision can be tested without an engine, and a
run that is restarted goes on where the queue says that it was.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import to_builtins

from refresh.failure.catalogue import failure
from refresh.failure.outcome import Outcome, judge_json, outcome_json
from refresh.history.adoption import service_clock
from refresh.history.rows import instant
from refresh.polling.schedule import next_wait
from refresh.run.state import RunState, replace
from refresh.run.waits import LOST_AFTER, PROBE_AFTER, began, wait_behind, wait_to_poll
from refresh.run.ways import failed, leave, not_read, over, read_well, time_of

MAX_TRIES = 3
"""How often a refresh that the service dropped, or a POST whose answer was lost, is tried before we say so."""
SETTLE_SECONDS = 2.0
"""Between look and POST, so that our refresh starts in a later second of the service's clock than the look and can be
told from what started before. A timer may fire a second early. Callers that arrive meanwhile still join."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """What to do next: call an activity or an operation of the queue, wait (seconds), or end."""

    kind: Literal["activity", "queue", "wait", "end"]
    name: str = ""
    input: Json | None = None
    seconds: float = 0


def next_step(state: RunState) -> Step:
    """What the run does now. Queue operations get the run's identity from the orchestrator."""
    if state.wait > 0:
        return Step("wait", seconds=state.wait)
    model = {"workspace_id": state.scope.get("workspace_id"), "dataset_id": state.dataset_id}
    trace = {"run": state.run, "generation": state.generation}
    match state.phase:
        case "claim":
            return Step("queue", "claim", {})
        case "look" | "reconcile":
            compare: Json = {"scope": state.scope, "before": None, "lost": None}
            if state.phase == "reconcile":
                compare.update(before=state.before, lost=state.lost if state.reason == "lost" else None)
            return Step("activity", "read_history", {**model, **trace, **compare})
        case "tell_queue":
            return Step("queue", "wait_behind", {"behind": state.blocked_by})
        case "close":
            return Step("queue", "close", {"permit": state.permit + 1, "before": state.before})
        case "post":
            post = {"permit": state.permit, "token": state.token, "scope": state.scope, "before": state.before}
            return Step("activity", "post_refresh", {**model, **trace, **post})
        case "record":
            known = {"refresh_id": state.refresh_id, "adopted": state.adopted, "posted_at": state.posted_at}
            return Step("queue", "record", {"permit": state.permit, **known})
        case "reopen":
            return Step("queue", "reopen", {"permit": state.permit})
        case "drop":
            return Step("queue", "drop", {"permit": state.permit, "gone": state.gone})
        case "cancel":
            return Step("activity", "cancel_refresh", {**model, **trace, "refresh_id": state.refresh_id})
        case "poll":
            enhanced = state.scope.get("refresh") is not None
            known = {"refresh_id": state.refresh_id, "posted_at": state.posted_at, "enhanced": enhanced}
            return Step("activity", "read_refresh", {**model, **trace, **known})
        case "finish":
            late_after = state.late_after if state.adopted else None
            return Step("queue", "finish", {"outcome": state.outcome, "late_after": late_after})
        case "start_next":
            return Step("activity", "start_run", {"dataset_id": state.dataset_id, **(state.next or {})})
        case "tell":
            return Step("activity", "wake_requests", {"wake": state.wake})
        case _:
            return Step("end")


def advance(state: RunState, answer: Json, now: datetime) -> RunState:
    """The run after its step was answered. `now` is the orchestration's own time (UTC)."""
    if state.wait > 0:
        # a fired timer means due, whatever the clock says
        return replace(state, wait=0)
    return HANDLERS[state.phase](state, answer, now)


def next_generation(state: RunState) -> RunState:
    """The state to continue as new with: the run first asks the queue whether it is still wanted."""
    if state.phase in ("start_next", "tell", "claim", "end"):
        return state
    return replace(state, phase="claim", after_claim=state.phase)


# ---- before the POST ----------------------------------------------------------------------------------------------


def _claimed(state: RunState, answer: Json, now: datetime) -> RunState:
    if not answer["go"]:
        return replace(state, phase="end")
    if state.after_claim:
        return replace(state, phase=state.after_claim, after_claim=None)
    state = replace(state, scope=answer["scope"], permit=answer["permit"])
    if not answer["closed"]:
        return replace(state, phase="look")
    state = replace(state, before=answer["before"], late_after=answer["before"]["read_at"])
    if answer["refresh_id"]:
        known = {"refresh_id": answer["refresh_id"], "adopted": answer["adopted"], "posted_at": answer["posted_at"]}
        known |= {"began_at": answer["posted_at"], "usual": answer["before"].get("usual", [])}
        # what an earlier life saw of the refresh is forgotten, so it gets the grace once more
        until = instant(now + timedelta(seconds=state.limits.grace))
        return replace(state, phase="cancel" if answer["cancel"] else "poll", before=None, until=until, **known)
    if answer["attempt_at"] is None:
        # nobody has used the permit, and now nobody can
        return replace(state, phase="reopen")
    # an earlier life of this run may have posted: its refresh is looked for before another one is made
    since = service_clock(answer["before"], answer["attempt_at"])
    return _reconcile(replace(state, lost={"since": since, "until": None}), "lost", now)


def _looked(state: RunState, answer: Json, now: datetime) -> RunState:
    if answer["kind"] != "history":
        return not_read(state, answer, now)
    state = read_well(state)
    blocker = answer["running"]
    if blocker is None:
        state = replace(state, blocked_by=None, blocked_since=None)
        return replace(state, phase="close", before=answer["before"], wait=SETTLE_SECONDS)
    if state.blocked_by is None or state.blocked_by["refreshId"] != blocker["refreshId"]:
        return replace(state, phase="tell_queue", blocked_by=blocker, blocked_since=instant(now))
    waited = now - time_of(state.blocked_since)
    if waited >= PROBE_AFTER:
        return replace(state, phase="close", before=answer["before"], blocked_since=instant(now), wait=SETTLE_SECONDS)
    return replace(state, wait=wait_behind(state, answer, waited))


def _queue_told(state: RunState, answer: Json, now: datetime) -> RunState:
    return replace(state, phase="look", wait=next_wait(0, state.limits)) if answer["go"] else leave(state, answer)


def _closed(state: RunState, answer: Json, now: datetime) -> RunState:
    if not answer["go"]:
        return leave(state, answer)
    before = state.before or {}
    # who joined since the claim may have added to the scope; what earlier refreshes took is of the scope without it
    scope = answer.get("scope", state.scope)
    usual = before.get("usual", []) if scope == state.scope else []
    known: Json = {"late_after": before.get("read_at"), "usual": usual, "scope": scope}
    return replace(state, phase="post", permit=state.permit + 1, **known)


def _posted(state: RunState, answer: Json, now: datetime) -> RunState:
    kind = answer["kind"]
    if kind in ("accepted", "appeared"):
        return _known(state, answer["refresh_id"], now, adopted=kind == "appeared")
    if kind in ("busy", "lost", "broken"):
        lost = {"since": answer.get("since"), "until": answer.get("until")}
        state = replace(state, lost_error=answer.get("error"), lost=lost)
        return _reconcile(state, "busy" if kind == "busy" else "lost", now)
    if kind == "blocked":
        return replace(state, phase="reopen", pause=state.limits.poll_min)
    if kind == "unwanted":
        return replace(state, phase="drop", gone=answer["gone"], pause=0)
    if kind == "stale":
        # the queue's state was read before it showed our permit, or another life has taken over: the claim tells
        return replace(state, phase="claim", after_claim="post", wait=state.limits.poll_min)
    # the history may well be readable while no refresh can be started, so this outage has a beginning of its own
    waits = not_read(replace(state, outage_since=state.post_failing_since), answer, now)
    if waits.phase == "finish":
        return waits
    return replace(waits, phase="reopen", pause=waits.wait, wait=0, post_failing_since=waits.outage_since)


def _reconcile(state: RunState, reason: str, now: datetime) -> RunState:
    until = instant(now + timedelta(seconds=state.limits.grace))
    return replace(state, phase="reconcile", reason=reason, phase_since=instant(now), until=until)


def _reconciled(state: RunState, answer: Json, now: datetime) -> RunState:
    """After a POST without a clear answer: a refresh that is new against what the history held is ours, or as good."""
    if answer["kind"] != "history":
        if answer["kind"] == "refused":
            return failed(state, answer["error"])
        return not_read(state, answer, now, budget=False)
    state = read_well(state)
    if answer["adoptable"]:
        return _known(state, answer["adoptable"], now, adopted=True)
    if answer["running"] and state.reason == "busy":
        return replace(state, phase="reopen", pause=state.limits.poll_min)
    # what was read may be old news by now: only a look from after the grace proves that nothing appeared
    if time_of(answer["before"]["read_at"]) < time_of(state.until):
        spent = (now - time_of(state.phase_since)).total_seconds()
        return replace(state, wait=next_wait(spent, state.limits))
    if state.reason == "busy":
        return replace(state, phase="reopen", pause=state.limits.poll_max)
    state = replace(state, lost_answers=state.lost_answers + 1, lost_since=state.lost_since or state.phase_since)
    outage = (now - time_of(state.lost_since)).total_seconds()
    if state.lost_answers >= MAX_TRIES and outage >= state.limits.outage:
        return failed(state, to_builtins(failure("AnswerLost", state.dataset_id, detail=state.lost_error)))
    return replace(state, phase="reopen", pause=state.limits.poll_min)


def _known(state: RunState, refresh_id: str, now: datetime, *, adopted: bool) -> RunState:
    state = replace(read_well(state), lost_since=None, lost_answers=0, blocked_by=None, blocked_since=None)
    state = replace(state, post_failing_since=None)
    until = instant(now + timedelta(seconds=state.limits.grace))
    known: Json = {"refresh_id": refresh_id, "posted_at": instant(now), "adopted": adopted, "until": until}
    return replace(state, phase="record", began_at=instant(now), **known)


def _reopened(state: RunState, answer: Json, now: datetime) -> RunState:
    if not answer["go"]:
        return leave(state, answer)
    cleared = replace(state, refresh_id=None, posted_at=None, adopted=False, before=None, late_after=None, gone=[])
    cleared = replace(cleared, began_at=None, usual=[], progress=None, seen=False, reason=None)
    return replace(cleared, phase="look", wait=state.pause, pause=0)


# ---- after the POST -----------------------------------------------------------------------------------------------


def _recorded(state: RunState, answer: Json, now: datetime) -> RunState:
    if not answer["go"]:
        return leave(state, answer)
    return replace(state, phase="tell", cancel=answer["cancel"], wake=answer["wake"], before=None)


def _cancelled(state: RunState, answer: Json, now: datetime) -> RunState:
    if answer["kind"] not in ("cancelled", "over", "refused") and state.failures < MAX_TRIES:
        return not_read(state, answer, now, budget=False)
    # its end is near now, however long earlier ones took
    return replace(state, phase="poll", cancel=False, usual=[], wait=state.limits.poll_min)


def _polled(state: RunState, answer: Json, now: datetime) -> RunState:
    posted = time_of(state.posted_at)
    spent = now - posted
    if answer["kind"] == "refused":
        # permission lost in the middle: the refresh goes on, so its verdict is still worth waiting for
        answer = {"kind": "unavailable", "error": answer["error"]["message"]}
    if answer["kind"] == "row":
        state = replace(read_well(state), seen=True, progress=answer.get("progress"))
        state = replace(state, began_at=began(state, answer["row"]))
        outcome = judge_json(answer["row"], state.dataset_id)
        if outcome is not None:
            return _judged(state, outcome, answer.get("failed_objects"))
    elif answer["kind"] == "absent":
        state = read_well(state)
        if answer.get("pushed_out"):
            # it ran, and how it ended nobody can know any more: that is no reason to run it again
            return _judged(state, _lost(state, "HistoryRolledOver"))
        # likewise: the answer may have been on its way for minutes
        if not state.seen and time_of(answer.get("read_at") or instant(now)) >= time_of(state.until):
            state = replace(state, drops=state.drops + 1)
            if state.drops >= MAX_TRIES:
                error = failure("RefreshDropped", state.dataset_id, refresh_id=state.refresh_id)
                return failed(state, to_builtins(error))
            return replace(state, phase="reopen", pause=state.limits.poll_min)
    else:
        state = not_read(state, answer, now, budget=False)
    if spent >= LOST_AFTER:
        return _judged(state, _lost(state, "RefreshNeverEnded"))
    return replace(state, wait=state.wait or wait_to_poll(state, now))


def _lost(state: RunState, code: str) -> Outcome:
    error = failure(code, state.dataset_id, refresh_id=state.refresh_id)
    return Outcome(status="OutcomeUnknown", refresh_id=state.refresh_id, error=error)


def _judged(state: RunState, outcome: Outcome, failed_objects: list[list[str | None]] | None = None) -> RunState:
    if state.adopted and outcome.status != "Completed":
        # not proven ours: it may satisfy a request, never fail it
        unproven = state.unproven + (state.reason == "lost")
        if unproven >= MAX_TRIES:
            # most probably all of them were ours, and one more would end as they did
            said = outcome.error.message if outcome.error else None
            error = failure("RefreshUnproven", state.dataset_id, detail=said, refresh_id=state.refresh_id)
            return failed(state, to_builtins(error))
        return replace(state, phase="reopen", pause=0, unproven=unproven)
    return over(state, {**outcome_json(outcome), "adopted": state.adopted, "failedObjects": failed_objects or []})


def _finished(state: RunState, answer: Json, now: datetime) -> RunState:
    state = replace(state, next=answer["next"], wake=answer["wake"])
    return replace(state, phase="start_next") if state.next else _next_started(state, {}, now)


def _next_started(state: RunState, answer: Json, now: datetime) -> RunState:
    return replace(state, phase="tell" if state.wake else "end")


def _told(state: RunState, answer: Json, now: datetime) -> RunState:
    if state.outcome is not None:
        return replace(state, phase="end", wake=[])
    return replace(state, phase="cancel" if state.cancel else "poll", wake=[], wait=state.limits.poll_min)


HANDLERS = {
    "claim": _claimed,
    "look": _looked,
    "tell_queue": _queue_told,
    "close": _closed,
    "post": _posted,
    "reconcile": _reconciled,
    "reopen": _reopened,
    "drop": _reopened,
    "record": _recorded,
    "cancel": _cancelled,
    "poll": _polled,
    "finish": _finished,
    "start_next": _next_started,
    "tell": _told,
}

"""The reason for a model's state, in one sentence: a pure function of its stored data and its queue."""

from collections.abc import Iterable
from datetime import timedelta

from refresh.models.freshness import durations
from refresh.models.state import Active, LastOutcome
from refresh.queue.state import Queue
from refresh.reporting.models import KnownModel
from refresh.run.status import RunStatus
from refresh.text import cut
from refresh.times import parse_time

MAX_CAUSE = 300
KINDS = {
    "Scheduled": "a scheduled refresh",
    "OnDemand": "an on-demand refresh",
    "ViaApi": "a refresh through the API",
    "ViaEnhancedApi": "an enhanced refresh",
    "ViaXmlaEndpoint": "a refresh through XMLA",
}
"""The names of Power BI's types of refreshes in sentences."""
MINUTE, HOUR, DAY = 60, 3600, 86400


def summary(model: KnownModel, active: Active | None, queue: Queue, run: RunStatus) -> str:
    """The sentence. `active`: the active run, if there is one. `run`: the status of that run, otherwise empty."""
    parts = [*_doing(model, active, queue, run), *_standing(model, idle=active is None)]
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '…')) else '.'}"


def span(seconds: float) -> str:
    """A duration in words."""
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * HOUR:
        return f"{seconds // MINUTE:.0f} min"
    if seconds < 2 * DAY:
        return f"{seconds // HOUR:.0f} h"
    return f"{seconds // DAY:.0f} days"


def _doing(model: KnownModel, active: Active | None, queue: Queue, run: RunStatus) -> Iterable[str]:
    """The current activity of the model."""
    if active is None:
        return
    if active.status == "Refreshing":
        yield _refreshing(model, active, run)
    elif run.waits_for_place is not None:
        place = run.waits_for_place
        ahead = f", behind {place.position} other run{'s' if place.position > 1 else ''}" if place.position else ""
        yield f"has waited {_for(model, place.since)} for a place in the capacity group {place.group}{ahead}"
    elif run.waits_for is not None:
        yield _behind(model, run)
    else:
        yield f"has waited {_for(model, active.since)} for its refresh to begin"
    if run.last_call_error is not None:
        yield f"the last call failed: {cut(run.last_call_error, MAX_CAUSE)}"
    behind = sum(len(other.members) for other in queue.runs[1:])
    if behind:
        yield f"{behind} more request{'s wait' if behind > 1 else ' waits'} for the next refresh"


def _refreshing(model: KnownModel, active: Active, run: RunStatus) -> str:
    text = f"refreshing for {_for(model, active.since)}"
    end, begun = parse_time(run.expected_end), parse_time(active.since)
    known_durations = durations(model.entry)
    # the run knows how long refreshes like its own took; the index knows only how long any refresh of the model took
    usual = (end - begun).total_seconds() if end and begun else known_durations.usual if known_durations else None
    if usual is None:
        return text
    over = (model.seconds_since(active.since) or 0.0) - usual
    excess = f", {span(over)} longer than usual" if over > max(MINUTE, usual / 4) else ""
    return f"{text} (usually {span(max(usual, 0.0))}){excess}"


def _behind(model: KnownModel, run: RunStatus) -> str:
    external = run.waits_for
    assert external is not None  # noqa: S101 - the caller has checked
    kind = KINDS.get(external.refresh_type or "", "another refresh")
    began = external.started_at or run.waits_since
    text = f"waits behind {kind} that began {_ago(model, began)}"
    if run.usual_wait_seconds is not None:
        text += f" and usually takes {span(run.usual_wait_seconds)}"
    return text


def _standing(model: KnownModel, *, idle: bool) -> Iterable[str]:
    """The freshness of the model. `idle`: nothing runs, so the sentence needs this part."""
    last, failures = model.entry.last, model.entry.failures
    if model.health == "overdue":
        yield f"overdue: {_expected(model)}"
    if last is not None and failures:
        yield _failing(model, last, failures)
    elif idle and model.health in ("ok", "unknown"):
        yield _fresh(model, last)


def _expected(model: KnownModel) -> str:
    every = f"a success is expected every {span((model.expected_every_hours or 0) * HOUR)}"
    age = model.success_age
    if age is not None:
        return f"{every}, and the last one was {span(age)} ago"
    return f"{every}, but there is none yet; the app first saw the model {_ago(model, model.entry.known_since)}"


def _failing(model: KnownModel, last: LastOutcome, failures: int) -> str:
    ago = _ago(model, last.at)
    if last.status == "Cancelled":
        failed = "a refresh failed" if failures == 1 else f"{failures} refreshes in a row failed"
        return f"{failed}; the most recent refresh was cancelled {ago}"
    cause = cut(last.message or last.code or last.status, MAX_CAUSE)
    if failures == 1:
        return f"the last refresh failed ({ago}): {cause}"
    return f"{failures} refreshes in a row failed, the latest {ago}: {cause}"


def _fresh(model: KnownModel, last: LastOutcome | None) -> str:
    success, known_durations = model.entry.success, durations(model.entry)
    if success is None:
        if last is None:
            return "no refresh has ended yet"
        return f"no refresh has loaded data yet; the last one ended {_ago(model, last.at)} as {last.status}"
    text = f"fresh: the last success was {_ago(model, success.ended_at)}"
    if last is not None and last.status == "Cancelled":
        text += f"; a refresh was cancelled {_ago(model, last.at)}"
    elif known_durations is not None:
        text += f"; refreshes usually take {span(known_durations.usual)}"
    if model.expected_every_hours is not None:
        age = timedelta(seconds=model.success_age or 0.0)
        remaining = timedelta(hours=model.expected_every_hours) - age
        text += f"; the next success is due in {span(remaining.total_seconds())}"
    return text


def _for(model: KnownModel, time: str | None) -> str:
    seconds = model.seconds_since(time)
    return "an unknown time" if seconds is None else span(seconds)


def _ago(model: KnownModel, time: str | None) -> str:
    seconds = model.seconds_since(time)
    return "an unknown time ago" if seconds is None else f"{span(seconds)} ago"

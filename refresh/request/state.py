"""All that a request knows: the input of each generation of its orchestration, and how it may end."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import to_builtins

from refresh.failure.catalogue import failure
from refresh.history.rows import instant
from refresh.polling.schedule import Limits, rest
from refresh.request.spec import Wish

SCHEMA = 1

SERVERS = ("own", "wider", "merged", "adopted")
"""What can have served a request: our refresh of just its wish or of more, or a refresh of somebody else."""

Json = dict[str, Any]
Reason = Literal["Cancelled", "TimedOut"]


@dataclass(frozen=True)
class RequestState:
    """A request between two turns. `token` names this life of it, the other two open its status and its cancel URI."""

    wish: Wish
    token: str
    read_token: str
    cancel_token: str
    requested_at: str
    recheck_seconds: float = 300
    limits: Limits = field(default_factory=Limits)
    turn: int = 0
    tick: bool = False
    """The last wait ended without news: time to see whether the active run is alive."""
    standing: Json = field(default_factory=dict)
    """What the queue last answered, as a custom status: an orchestration that continues as new starts without one."""
    round: int = 1
    """Which try this is: after a transient failure a request with retries left rests, then enrols again."""
    resting: Json | None = None
    """The failed ending of the round before, while the request rests."""

    @property
    def deadline(self) -> datetime:
        """When the caller will not wait any longer (UTC)."""
        return datetime.fromisoformat(self.requested_at) + timedelta(minutes=self.wish.timeout_minutes)

    @property
    def wake(self) -> str:
        """The name of the event that this turn waits for. Used once: a late event must not end a later wait."""
        return f"wake-{self.turn}"

    def next_turn(self) -> "RequestState":
        """The state of the next turn, with an event name of its own."""
        return replace(self, turn=self.turn + 1)

    def may_try_again(self, ending: Json, now: datetime) -> bool:
        """Whether the request rests and tries again: it failed, may well succeed later, and there is time."""
        error = ending.get("error") or {}
        if ending["status"] != "Failed" or not error.get("retryable") or self.round > self.wish.retries:
            return False
        return now + timedelta(seconds=rest(self.round, self.limits)) < self.deadline

    def at_rest(self, ending: Json) -> "RequestState":
        """The state in which the request rests after a failed round."""
        return replace(self, resting=ending, tick=False)

    def next_round(self) -> "RequestState":
        """The state of the next try."""
        return replace(self, resting=None, round=self.round + 1, standing={})

    def after(self, reason: str, standing: Json) -> "RequestState":
        """The state to continue with after a wait."""
        return replace(self, tick=reason == "tick", standing=standing)

    def to_json(self) -> Json:
        """Plain JSON, for the input of the orchestration."""
        return {"schema": SCHEMA, **vars(self), "wish": self.wish.to_json(), "limits": dict(vars(self.limits))}

    @classmethod
    def from_json(cls, value: Json) -> "RequestState":
        """The state that `to_json` wrote. Keys of a newer code are left out."""
        known = {key: value[key] for key in cls.__dataclass_fields__ if key in value}
        return cls(**{**known, "wish": Wish.from_json(value["wish"]), "limits": Limits(**value["limits"])})


def standing(view: Json) -> Json:
    """The custom status of a waiting request, from what the queue answered."""
    return {
        "status": phase_of(view["position"], view["refresh_id"]),
        "runId": view["run"],
        "generation": view["generation"],
        "position": view["position"],
        "sharedWith": view["shared_with"],
        "refreshId": view["refresh_id"],
        "startedAt": view["posted_at"],
        "waitsFor": view["behind"],
    }


def resting(state: RequestState, until: datetime) -> Json:
    """The custom status of a request that rests before it tries again."""
    error = (state.resting or {}).get("error") or {}
    return {
        "status": "Queued",
        "retry": {"round": state.round + 1, "at": instant(until), "after": error.get("code")},
        "lastReadError": error.get("message"),
    }


def phase_of(position: int, refresh_id: str | None) -> str:
    """What a request waits for: its turn, an idle model, or the end of its refresh."""
    if position:
        return "Queued"
    return "Refreshing" if refresh_id else "WaitingForIdle"


def ending_of_outcome(answer: Json) -> Json:
    """The end of a request whose run has ended: the run's verdict, as the queue kept it."""
    outcome = answer["outcome"]
    return {
        "status": outcome["status"],
        "error": outcome["error"],
        "runId": answer["run"],
        "refreshId": outcome["refreshId"],
        "sharedWith": answer["shared_with"],
        "servedBy": _server(answer),
        "startedAt": outcome["startedAt"],
        "endedAt": outcome["endedAt"],
    }


_FATES = {
    None: "which goes on",
    True: "which Power BI was asked to cancel",
    False: "which could not be cancelled",
}


def ending_without_verdict(reason: Reason, wish: Wish, left: Json, cancelled: bool | None) -> Json:
    """The end of a request that left its run: `left` is the queue's answer, `cancelled` what became of the refresh.

    None means that nobody tried to cancel it.
    """
    detail = left.get("detail", "it was not in the queue yet")
    if "position" in left:
        ahead, behind = left["position"], _behind(left.get("behind"))
        detail = {
            "Queued": f"it was in the queue behind {ahead} other run{'s' if ahead > 1 else ''}{behind}",
            "WaitingForIdle": f"it was waiting for the model to be idle{behind}",
            "Refreshing": f"refresh {left['refresh_id']} was running, {_FATES[cancelled]}",
        }[phase_of(ahead, left["refresh_id"])]
    if left.get("trouble"):
        detail += f"; Power BI said last: {left['trouble']}"
    error = failure("TimedOut" if reason == "TimedOut" else "RequestCancelled", wish.dataset_id, detail=detail)
    return {
        "status": reason,
        "error": to_builtins(error),
        "runId": left.get("run"),
        "refreshId": left.get("refresh_id"),
        "sharedWith": left.get("shared_with"),
        "startedAt": left.get("posted_at"),
    }


def _behind(refresh: Json | None) -> str:
    if refresh is None:
        return ""
    kind = f"{refresh['refreshType']} refresh" if refresh.get("refreshType") else "refresh"
    since = f" since {refresh['startedAt']}" if refresh.get("startedAt") else ""
    return f", with {kind} {refresh['refreshId']} running{since}"


def ending_of_nothing(wish: Wish, detail: str) -> Json:
    """The end of a request that cannot go on, through no fault of its caller's."""
    return {"status": "Failed", "error": to_builtins(failure("InternalError", wish.dataset_id, detail=detail))}


def _server(answer: Json) -> str | None:
    """Whose refresh served: the app's own (for just this wish, or for more), or one that appeared and was as good."""
    outcome = answer["outcome"]
    if outcome["refreshId"] is None:
        return None
    return "adopted" if outcome.get("adopted") else answer.get("served_by") or "own"

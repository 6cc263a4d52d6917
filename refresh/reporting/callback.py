"""The rules of callbacks: the allowed URIs, the body, and when to try again. Pure.

The body has the keys of the WebHook activity of Data Factory (`Output`, `Error`, `StatusCode`). `status` and the other
keys in lower case are for callers that read the body as it is, such as Logic Apps.
"""

from datetime import datetime, timedelta
from typing import Any, Literal, Self

from refresh.messages import ApiMessage, Message, replace
from refresh.reporting.status import StatusReport
from refresh.run.orders import ActivityFailure, NotDelivered
from refresh.times import TIMER_EARLY, time_of

PATIENCE = timedelta(days=1)
"""How long a callback is retried, counted from its first failed attempt."""
STORING = timedelta(minutes=5)
"""For this long after it was added, a callback tolerates that its request is not stored yet, or that the receiver is
not listening yet."""
LONGEST_PAUSE = 900.0
LOOKS = 3
"""The maximum number of times that a notified callback looks again if it does not see the end of its request yet: the
engine sends messages before it writes the state that statuses are read from."""
MAX_INCARNATIONS = 3
"""The maximum number of times that a callback is started if its orchestration keeps failing."""
GIVEN_KEYS = (
    "error",
    "id",
    "status",
    "workspaceId",
    "datasetId",
    "caller",
    "runId",
    "refreshId",
    "sharedWith",
    "servedBy",
    "requestedAt",
    "startedAt",
    "endedAt",
    "counts",
    "models",
)
"""The keys of a status that a callback contains. The other keys are for polling, or have no value at the end."""

Json = dict[str, Any]
Kind = Literal["delivered", "again", "refused", "gone"]
ABANDONED = "abandoned"
"""The output of a callback that will not be delivered."""


def body_of(report: StatusReport) -> Json:
    """The body of the POST: the end of a request, with the keys of its status."""
    output = {key: report.body[key] for key in GIVEN_KEYS if key in report.body}
    # the WebHook activity may ignore the case of keys: the key `error` next to `Error` could hide the error code
    others = {key: value for key, value in output.items() if key != "error"}
    body = {"StatusCode": str(report.http_status), "Output": output, **others}
    if error := report.body.get("error"):
        body["Error"] = {"ErrorCode": error["code"], "Message": error["message"]}
    return body


def kind_of(http_status: int) -> Kind:
    """The meaning of an answer to the POST. A redirect is not followed: the address it names was not checked.

    `again`: a later attempt may succeed. `refused`: no receiver is listening. A receiver may begin to listen later,
    because some callers listen only after they have received the answer to their own call. `gone`: the receiver rejects
    the callback permanently.
    """
    if 200 <= http_status < 300:
        return "delivered"
    if http_status in (404, 409):
        return "refused"
    return "again" if http_status in (408, 429) or http_status >= 500 else "gone"


class CallbackStatus(ApiMessage, frozen=True, kw_only=True):
    """The custom status of a callback. `state`: waiting, retrying, delivered or abandoned."""

    state: str
    failures: int = 0
    answer: str | None = None


class CallbackState(Message, frozen=True, kw_only=True):
    """A callback between two attempts: the input of each of its orchestrations."""

    request: str
    uri: str
    added_at: str
    first_pause: float
    failures: int = 0
    failing_since: str | None = None
    incarnation: int = 1
    looks: int = 0

    def after_notification(self) -> Self:
        """The state after the notification that the request has ended."""
        return replace(self, looks=LOOKS)

    def after_look(self) -> Self:
        """The state after a look that saw no end yet."""
        return replace(self, looks=self.looks - 1)

    def after_failure(self, now: datetime) -> Self:
        """The state after an attempt that failed."""
        return replace(self, failures=self.failures + 1, failing_since=self.failing_since or now.isoformat())

    def restarted(self) -> Self:
        """The state for a new start after the orchestration failed."""
        return replace(self, incarnation=self.incarnation + 1)

    def pause(self, requested: float | None) -> float:
        """Seconds until the next attempt: doubles, or as the receiver requests, up to a quarter of an hour.

        A requested pause is extended by TIMER_EARLY, because a timer may fire that much too early.
        """
        own = self.first_pause * 2 ** min(max(self.failures - 1, 0), 12)
        return float(min(max(own, requested + TIMER_EARLY.total_seconds() if requested else 0.0), LONGEST_PAUSE))

    def is_abandoned_after(self, answer: NotDelivered | ActivityFailure, now: datetime) -> bool:
        """Whether the callback is abandoned after this answer."""
        if self.failing_since is not None and now - time_of(self.failing_since) >= PATIENCE:
            return True
        if isinstance(answer, ActivityFailure):
            return False
        return answer.kind == "gone" or (answer.kind == "refused" and not self.may_be_early(now))

    def may_be_early(self, now: datetime) -> bool:
        """Whether it is possible that the request is not stored yet, or that the receiver is not listening yet."""
        return now - time_of(self.added_at) < STORING

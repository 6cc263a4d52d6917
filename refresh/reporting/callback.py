"""The call back to whoever asked to be told: where it may go, what it says, when it is tried again. Pure.

The body is that of the WebHook activity of Data Factory (`Output`, `Error`, `StatusCode`); `status` and its
neighbours are for callers that read whatever arrives, as Logic Apps do.
"""

from datetime import datetime, timedelta
from typing import Any, Literal, Self

from refresh.messages import Message, Shown, replace
from refresh.reporting.status import StatusReport
from refresh.run.orders import Broke, NotDelivered

PATIENCE = timedelta(days=1)
"""How long a callback is tried again, counted from the first attempt that failed."""
STORING = timedelta(minutes=5)
"""A callback is stored before its request, and perhaps before the other side listens: so long both may still come."""
LONGEST_PAUSE = 900.0
LOOKS = 3
"""How often a callback looks again that was told of an end and does not see it yet: the engine sends messages before
it writes what statuses are read from."""
MAX_INCARNATIONS = 3
"""How often a callback is started whose orchestration failed."""
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
)
"""What of a status is handed on; the rest is for pollers, or has nothing to say at the end."""

Json = dict[str, Any]
Kind = Literal["delivered", "again", "refused", "gone"]
ABANDONED = "abandoned"
"""The output of a callback that will not be delivered any more."""


def body_of(report: StatusReport) -> Json:
    """What is POSTed: the end of a request as its status tells it."""
    given = {key: report.body[key] for key in GIVEN_KEYS if key in report.body}
    # the WebHook activity may read keys whatever their case: an `error` beside `Error` could hide its code
    beside = {key: value for key, value in given.items() if key != "error"}
    body = {"StatusCode": str(report.http_status), "Output": given, **beside}
    if error := report.body.get("error"):
        body["Error"] = {"ErrorCode": error["code"], "Message": error["message"]}
    return body


def kind_of(http_status: int) -> Kind:
    """What an answer to the POST means. A redirect is not followed: it is no answer of whoever asked.

    `refused`: gone, or not there yet, for whoever waits may have to hear the answer to his own call first.
    """
    if 200 <= http_status < 300:
        return "delivered"
    if http_status in (404, 409):
        return "refused"
    return "again" if http_status in (408, 429) or http_status >= 500 else "gone"


class CallbackStatus(Shown, frozen=True, kw_only=True):
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

    def notified(self) -> Self:
        """The state after the notification that the request has ended."""
        return replace(self, looks=LOOKS)

    def looked(self) -> Self:
        """The state after a look that saw no end yet."""
        return replace(self, looks=self.looks - 1)

    def failed(self, now: datetime) -> Self:
        """The state after an attempt that was not delivered."""
        return replace(self, failures=self.failures + 1, failing_since=self.failing_since or now.isoformat())

    def revived(self) -> Self:
        """The state to start again with, after the orchestration failed."""
        return replace(self, incarnation=self.incarnation + 1)

    def pause(self, wanted: float | None) -> float:
        """Seconds until the next attempt: doubling, or what the receiver asked for, up to a quarter of an hour."""
        own = self.first_pause * 2 ** min(max(self.failures - 1, 0), 12)
        return float(min(max(own, wanted or 0.0), LONGEST_PAUSE))

    def final(self, answer: NotDelivered | Broke, now: datetime) -> bool:
        """Whether the callback is abandoned after this answer."""
        if self.failing_since is not None and now - datetime.fromisoformat(self.failing_since) >= PATIENCE:
            return True
        if isinstance(answer, Broke):
            return False
        return answer.kind == "gone" or (answer.kind == "refused" and not self.young(now))

    def young(self, now: datetime) -> bool:
        """Whether the request may not have been stored yet, or the receiver may not listen yet."""
        return now - datetime.fromisoformat(self.added_at) < STORING

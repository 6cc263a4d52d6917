"""The orders that orchestrations give to activities, and the answers.

Errors of Power BI are also answers: the run decides on their details, and an exception would lose them.
"""

from typing import Generic, Literal, TypeAlias, TypeVar

import msgspec

from refresh.capacity.answers import WaitsForPlace
from refresh.capacity.limits import CapacityLimit
from refresh.failure.catalogue import Failure, ModelNames
from refresh.history.look import ExternalRefresh, Look, LostWindow
from refresh.history.outcome import Outcome
from refresh.history.progress import Progress
from refresh.messages import Message
from refresh.queue.answers import Ended, Holder, Turn, WakeUp
from refresh.scope.scope import Scope

A = TypeVar("A")


class ModelRef(Message, frozen=True, kw_only=True):
    """A semantic model. Both ids are GUIDs in lower case."""

    workspace_id: str
    dataset_id: str


# ---- answers ---------------------------------------------------------------------------------------------------------


class Answer(Message, frozen=True, kw_only=True, tag_field="answer"):
    """An answer of an activity."""


class Throttled(Answer, frozen=True, kw_only=True, tag="throttled"):
    """Power BI throttles calls for this number of seconds; None if it gave no duration.

    `capacity`: the reason is that the capacity has reached its limits.
    """

    seconds: float | None = None
    error: str = ""
    capacity: bool = False


class Unavailable(Answer, frozen=True, kw_only=True, tag="unavailable"):
    """Power BI or the sign-in service answered with errors or could not be reached. Nothing was accepted."""

    error: str = ""


class Refused(Answer, frozen=True, kw_only=True, tag="refused"):
    """Power BI refused permanently; a person has to act."""

    failure: Failure


class ActivityFailure(Answer, frozen=True, kw_only=True, tag="broke"):
    """The activity itself failed: an exception of ours, or an answer that this code cannot read."""

    error: str = ""


class HistoryRead(Answer, frozen=True, kw_only=True, tag="history_read"):
    """`running` is the refresh that keeps the model busy. `look` is for comparison after a POST.

    `adoptable`: id of a refresh that is new since the `look` of the order and satisfies its scope. `durations`: seconds
    that refreshes like the running one took. `changed`: whether any refresh is new since the `look` of the order.
    `sole`: id of the only refresh that may be ours and is not proven to satisfy the scope; `sole_objects`: digest of
    its objects. `names`: the names of the model and its workspace, if they could be read. `capacity`: the limit for the
    workspace, by the current settings; None if there is none, and in answers to an order with a `look`.
    """

    look: Look
    running: ExternalRefresh | None = None
    adoptable: str | None = None
    durations: tuple[float, ...] = ()
    changed: bool = False
    sole: str | None = None
    sole_objects: str | None = None
    names: ModelNames = ModelNames()
    capacity: CapacityLimit | None = None


class Accepted(Answer, frozen=True, kw_only=True, tag="accepted"):
    """Power BI accepted the refresh."""

    refresh_id: str


class Appeared(Answer, frozen=True, kw_only=True, tag="appeared"):
    """Nothing was posted: a new refresh exists that satisfies the scope."""

    refresh_id: str


class Blocked(Answer, frozen=True, kw_only=True, tag="blocked"):
    """Nothing was posted: a new refresh is running that does not satisfy the scope."""


class Busy(Answer, frozen=True, kw_only=True, tag="busy"):
    """Power BI refused the POST, because another refresh is running."""


OTHER_EXECUTION = (
    "The call that starts the refresh may have been made twice; the other call may have started the refresh."
)
"""The error of `AnswerLost` if another execution of the order holds the permit."""


class AnswerLost(Answer, frozen=True, kw_only=True, tag="answer_lost"):
    """Either it is unknown whether the refresh was accepted, or another execution of this order holds the permit.

    `accepted`: Power BI accepted it (202) but returned no id.
    """

    error: str = ""
    window: LostWindow = LostWindow()
    accepted: bool = False


class Stale(Answer, frozen=True, kw_only=True, tag="stale"):
    """Nothing was posted: the queue does not permit it yet, or does not permit it any more."""


class Unwanted(Answer, frozen=True, kw_only=True, tag="unwanted"):
    """Nothing was posted: the orchestrations of all these requests have ended."""

    requests: tuple[str, ...]


class RefreshRead(Answer, frozen=True, kw_only=True, tag="refresh_read"):
    """The refresh as it was read. `outcome` is None while it runs; `began_at` is the service's start time.

    `objects`: digest of its tables and partitions.
    """

    began_at: str | None = None
    outcome: Outcome | None = None
    progress: Progress | None = None
    objects: str | None = None


class RefreshAbsent(Answer, frozen=True, kw_only=True, tag="refresh_absent"):
    """The refresh was not found at `read_at`. `rolled_over`: newer refreshes pushed it out of the history."""

    read_at: str
    rolled_over: bool = False


class CancelAccepted(Answer, frozen=True, kw_only=True, tag="cancel_accepted"):
    """Power BI will try to cancel the refresh."""


class AlreadyEnded(Answer, frozen=True, kw_only=True, tag="already_ended"):
    """The refresh had already ended."""


class RunRead(Answer, frozen=True, kw_only=True, tag="run_read"):
    """`alive`: the orchestration has not ended. `last_error`: the error of its last call; None after a success.

    `waits_for_place`: the position of the run in the line of its capacity group; None unless it waits for a place.
    """

    alive: bool
    last_error: str | None = None
    waits_for_place: WaitsForPlace | None = None


class Notified(Answer, frozen=True, kw_only=True, tag="notified"):
    """The number of events that were raised, or 1 if an instance was started."""

    count: int = 0


class Delivered(Answer, frozen=True, kw_only=True, tag="delivered"):
    """The receiver accepted the call. `response`: its answer as text."""

    response: str
    dataset_id: str | None = None
    caller: dict[str, str] = msgspec.field(default_factory=dict)


class NotDelivered(Answer, frozen=True, kw_only=True, tag="not_delivered"):
    """The receiver did not accept the call.

    `kind`: `again`, a later try may succeed; `refused`, no receiver is listening, but a receiver may begin to listen
    later; `gone`, no try can succeed. `seconds`: how long the receiver asked to wait.
    """

    kind: Literal["again", "refused", "gone"]
    response: str
    dataset_id: str | None = None
    caller: dict[str, str] = msgspec.field(default_factory=dict)
    seconds: float | None = None


class NotEnded(Answer, frozen=True, kw_only=True, tag="not_ended"):
    """The request has not ended, so there is nothing to deliver yet."""


class NoRequest(Answer, frozen=True, kw_only=True, tag="no_request"):
    """The request does not exist."""


Trouble: TypeAlias = Throttled | Unavailable | Refused | ActivityFailure
ReadHistoryAnswer: TypeAlias = HistoryRead | Trouble
PostAnswer: TypeAlias = Accepted | Appeared | Blocked | Busy | AnswerLost | Stale | Unwanted | Trouble
ReadRefreshAnswer: TypeAlias = RefreshRead | RefreshAbsent | Trouble
CancelAnswer: TypeAlias = CancelAccepted | AlreadyEnded | Trouble
CallBackAnswer: TypeAlias = Delivered | NotDelivered | NotEnded | NoRequest | ActivityFailure
NotifyAnswer: TypeAlias = Notified | ActivityFailure
ReadRunAnswer: TypeAlias = RunRead | ActivityFailure


class PostResult(Answer, frozen=True, kw_only=True, tag="post_result"):
    """The result of one execution of the order. Unless `result` is Accepted, AnswerLost or ActivityFailure, the
    execution has started no refresh."""

    execution: str
    result: PostAnswer


# ---- orders ----------------------------------------------------------------------------------------------------------


class Order(Message, Generic[A], frozen=True, kw_only=True, tag_field="order"):
    """An order to an activity, with an answer of type A."""


class ReadHistory(Order[ReadHistoryAnswer], frozen=True, kw_only=True, tag="read_history"):
    """Reads whether the model is idle. With `look`, also reads whether a refresh that satisfies `scope` appeared since
    then.

    `lost`: the window in which our own refresh may have begun; None if there is no such refresh. `objects`: digest of
    the objects of our last refresh with this scope.
    """

    model: ModelRef
    turn: Turn
    scope: Scope
    look: Look | None = None
    lost: LostWindow | None = None
    objects: str | None = None


class PostRefresh(Order[PostResult], frozen=True, kw_only=True, tag="post_refresh"):
    """Starts the refresh, if the queue permits it to this holder of the run."""

    model: ModelRef
    holder: Holder
    permit: int
    scope: Scope
    look: Look


class ReadRefresh(Order[ReadRefreshAnswer], frozen=True, kw_only=True, tag="read_refresh"):
    """Reads the state of the refresh."""

    model: ModelRef
    turn: Turn
    refresh_id: str
    enhanced: bool
    posted_at: str


class CancelRefresh(Order[CancelAnswer], frozen=True, kw_only=True, tag="cancel_refresh"):
    """Cancels our refresh."""

    model: ModelRef
    refresh_id: str


class StartRun(Order[NotifyAnswer], frozen=True, kw_only=True, tag="start_run"):
    """Starts an incarnation of a run."""

    dataset_id: str
    turn: Turn


class NotifyRequests(Order[NotifyAnswer], frozen=True, kw_only=True, tag="notify_requests"):
    """Raises the events that requests or runs wait for. `ended`: the outcome that each event carries, without
    `served_by`."""

    wake_ups: tuple[WakeUp, ...] = msgspec.field(name="wake")  # the stored key
    ended: Ended | None = None


class ReadRun(Order[ReadRunAnswer], frozen=True, kw_only=True, tag="read_run"):
    """Reads whether the orchestration of this incarnation is alive, and its last error."""

    turn: Turn


class NotifyCallbacks(Order[NotifyAnswer], frozen=True, kw_only=True, tag="notify_callbacks"):
    """Notifies the callbacks of a request that it has ended."""

    request: str


class NotifyBatch(Order[NotifyAnswer], frozen=True, kw_only=True, tag="notify_batch"):
    """Notifies a batch that the request of one of its models has ended."""

    batch: str
    request: str


class CallBack(Order[CallBackAnswer], frozen=True, kw_only=True, tag="call_back"):
    """POSTs the outcome of a request to a URI. The URI is a capability."""

    request: str
    uri: str

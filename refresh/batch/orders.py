"""The orders that a batch gives to activities, and the answers."""

from typing import Any, TypeAlias

from refresh.messages import Message
from refresh.request.spec import RequestSpec
from refresh.request.state import RequestOutcome
from refresh.run.orders import Answer, Broke, NotifyAnswer, Order, Refused, Throttled, Unavailable

# ---- answers ---------------------------------------------------------------------------------------------------------


class RequestSeen(Message, frozen=True, kw_only=True):
    """The request of a model, by the number of the model. It is active if it is neither ended nor `missing`."""

    number: int
    outcome: RequestOutcome | None = None
    missing: bool = False


class RequestsSeen(Answer, frozen=True, kw_only=True, tag="requests_seen"):
    """Those of the requests that have ended or are missing. `cancelled`: a caller cancelled the batch."""

    found: tuple[RequestSeen, ...] = ()
    cancelled: bool = False


class Settled(Answer, frozen=True, kw_only=True, tag="settled"):
    """The suspects that have a request."""

    alive: tuple[int, ...] = ()


class NotesRead(Answer, frozen=True, kw_only=True, tag="notes_read"):
    """`ended`: the stored state with the earlier end of this batch, if this is a second incarnation of it."""

    ended: Any = None
    cancelled: bool = False


class ModelsListed(Answer, frozen=True, kw_only=True, tag="models_listed"):
    """Dataset id and name of each refreshable model of a workspace. `more`: there are more than listed."""

    models: tuple[tuple[str, str], ...] = ()
    more: bool = False


ReadRequestsAnswer: TypeAlias = RequestsSeen | Broke
SettleAnswer: TypeAlias = Settled | Broke
ReadNotesAnswer: TypeAlias = NotesRead | Broke
ListModelsAnswer: TypeAlias = ModelsListed | Throttled | Unavailable | Refused | Broke

# ---- orders ----------------------------------------------------------------------------------------------------------


class Numbered(Message, frozen=True, kw_only=True):
    """The request of a model: the number of the model, its dataset, and the id of the request."""

    number: int
    dataset_id: str
    request: str


class ReadRequests(Order[ReadRequestsAnswer], frozen=True, kw_only=True, tag="read_requests"):
    """Reads the state of these requests, and whether the batch was cancelled."""

    batch: str
    requests: tuple[Numbered, ...] = ()


class NewRequest(Message, frozen=True, kw_only=True):
    """A request to start."""

    request: str
    spec: RequestSpec


class StartRequests(Order[NotifyAnswer], frozen=True, kw_only=True, tag="start_requests"):
    """Starts these requests, unless they exist. None of them gets a later deadline than the batch."""

    batch: str
    deadline: str
    starter: str
    requests: tuple[NewRequest, ...]


class Settle(Order[SettleAnswer], frozen=True, kw_only=True, tag="settle"):
    """Cancels these requests. Of the suspects it cancels those that exist; for the others the queue of the model stores
    a cancellation.
    """

    cancel: tuple[Numbered, ...] = ()
    suspects: tuple[Numbered, ...] = ()


class ReadNotes(Order[ReadNotesAnswer], frozen=True, kw_only=True, tag="read_notes"):
    """Reads whether this batch has ended before, or was cancelled."""

    batch: str


class KeepEnd(Order[NotifyAnswer], frozen=True, kw_only=True, tag="keep_end"):
    """Stores the outcome of the batch, for a second incarnation of it. `state`: as in `refresh.batch.stored`."""

    batch: str
    state: Any


class ListModels(Order[ListModelsAnswer], frozen=True, kw_only=True, tag="list_models"):
    """Lists the refreshable models of a workspace."""

    workspace_id: str


class NoteState(Message, frozen=True, kw_only=True):
    """The input of a note. `ended`: the final state."""

    batch: str
    at: str
    ended: Any = None

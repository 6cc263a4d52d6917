"""The orders that a batch gives to activities, and the answers."""

from typing import Any, TypeAlias

import msgspec

from refresh.messages import Message
from refresh.request.spec import RequestSpec
from refresh.request.state import RequestOutcome
from refresh.run.orders import ActivityFailure, Answer, NotifyAnswer, Order, Refused, Throttled, Unavailable

# ---- answers ---------------------------------------------------------------------------------------------------------


class RequestSeen(Message, frozen=True, kw_only=True):
    """The state of the request of model `number`. The request is active if it has no `outcome` and is not `missing`."""

    number: int
    outcome: RequestOutcome | None = None
    missing: bool = False


class RequestsSeen(Answer, frozen=True, kw_only=True, tag="requests_seen"):
    """The requests that have ended or are missing. `cancelled`: a caller cancelled the batch."""

    found: tuple[RequestSeen, ...] = ()
    cancelled: bool = False


class Settled(Answer, frozen=True, kw_only=True, tag="settled"):
    """`existing`: the numbers of the suspects whose requests exist."""

    existing: tuple[int, ...] = msgspec.field(default=(), name="alive")  # the stored key


class NotesRead(Answer, frozen=True, kw_only=True, tag="notes_read"):
    """`ended`: the stored final state, if an earlier incarnation of this batch has ended. `cancelled`: a caller
    cancelled it."""

    ended: Any = None
    cancelled: bool = False


class ModelsListed(Answer, frozen=True, kw_only=True, tag="models_listed"):
    """Dataset id and name of each refreshable model of a workspace. `more`: the workspace has more than these."""

    models: tuple[tuple[str, str], ...] = ()
    more: bool = False


ReadRequestsAnswer: TypeAlias = RequestsSeen | ActivityFailure
SettleAnswer: TypeAlias = Settled | ActivityFailure
ReadNotesAnswer: TypeAlias = NotesRead | ActivityFailure
ListModelsAnswer: TypeAlias = ModelsListed | Throttled | Unavailable | Refused | ActivityFailure

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
    """Cancels the requests of `cancel`, and those of `suspects` that exist. For a suspect without a request, the queue
    of the model stores a cancellation."""

    cancel: tuple[Numbered, ...] = ()
    suspects: tuple[Numbered, ...] = ()


class ReadNotes(Order[ReadNotesAnswer], frozen=True, kw_only=True, tag="read_notes"):
    """Reads whether an earlier incarnation of this batch has ended, and whether the batch was cancelled."""

    batch: str


class KeepEnd(Order[NotifyAnswer], frozen=True, kw_only=True, tag="keep_end"):
    """Stores the final state of the batch, in case the engine starts another incarnation. `state`: as in
    `refresh.batch.stored`."""

    batch: str
    state: Any


class ListModels(Order[ListModelsAnswer], frozen=True, kw_only=True, tag="list_models"):
    """Lists the refreshable models of a workspace."""

    workspace_id: str


class NoteState(Message, frozen=True, kw_only=True):
    """The input of a note. `ended`: the final state of the batch; None in the note of its cancellation."""

    batch: str
    at: str
    ended: Any = None

"""How orchestrators call activities and queues: typed orders go out, typed answers come in.

Never a `finally` or a bare `except` around a yield: they would run at the end of every episode.
"""

import logging
import warnings
from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import azure.durable_functions as df

from durable import names
from durable.codec import NotUnderstoodError, decode, encode
from refresh.queue.operations import AnyAnswer, NotUnderstood, Operation, name_of
from refresh.reporting.events import Event
from refresh.run import orders
from refresh.text import cut

O = TypeVar("O", bound=orders.Order)  # noqa: E741
A = TypeVar("A")
T = TypeVar("T")

Steps = Generator[Any, Any, T]
"""The steps of an orchestration: durable tasks go out, their results come in, T is returned."""

NOT_UNDERSTOOD_SECONDS = 30.0
"""Pause before an operation is sent again to a queue whose code is older: a rolling update takes minutes."""

log = logging.getLogger(__name__)

# A notification that comes together with the end of a history is handed to the next one, where no task waits for it any
# more. The SDK takes that for a fault and warns.
warnings.filterwarnings("ignore", "Potential duplicate Task completion", UserWarning)


@dataclass(frozen=True)
class Activity(Generic[O, A]):
    """An activity, the type of its orders, and that of its answers."""

    name: str
    order: type[O]
    answer: Any


READ_HISTORY: Activity[orders.ReadHistory, orders.ReadHistoryAnswer] = Activity(
    names.READ_HISTORY, orders.ReadHistory, orders.ReadHistoryAnswer
)
POST_REFRESH: Activity[orders.PostRefresh, orders.PostAnswer] = Activity(
    names.POST_REFRESH, orders.PostRefresh, orders.PostAnswer
)
READ_REFRESH: Activity[orders.ReadRefresh, orders.ReadRefreshAnswer] = Activity(
    names.READ_REFRESH, orders.ReadRefresh, orders.ReadRefreshAnswer
)
CANCEL_REFRESH: Activity[orders.CancelRefresh, orders.CancelAnswer] = Activity(
    names.CANCEL_REFRESH, orders.CancelRefresh, orders.CancelAnswer
)
START_RUN: Activity[orders.StartRun, orders.NotifyAnswer] = Activity(
    names.START_RUN, orders.StartRun, orders.NotifyAnswer
)
NOTIFY_REQUESTS: Activity[orders.NotifyRequests, orders.NotifyAnswer] = Activity(
    names.NOTIFY_REQUESTS, orders.NotifyRequests, orders.NotifyAnswer
)
READ_RUN: Activity[orders.ReadRun, orders.ReadRunAnswer] = Activity(
    names.READ_RUN, orders.ReadRun, orders.ReadRunAnswer
)
NOTIFY_CALLBACKS: Activity[orders.NotifyCallbacks, orders.NotifyAnswer] = Activity(
    names.NOTIFY_CALLBACKS, orders.NotifyCallbacks, orders.NotifyAnswer
)


def call(
    context: df.DurableOrchestrationContext, activity: Activity[O, A], order: O
) -> Generator[Any, Any, A | orders.Broke]:
    """The answer of an activity. An activity that raises, or whose answer cannot be read, answers `Broke`."""
    try:
        value = yield context.call_activity(activity.name, encode(order))
        answer: A = decode(value, activity.answer)
    except Exception as error:
        text = cut(str(error), 300)
        note(
            context,
            Event("activity.failed", logging.ERROR, instanceId=context.instance_id, activity=activity.name, error=text),
        )
        return orders.Broke(error=text)
    return answer


def ask(context: df.DurableOrchestrationContext, dataset_id: str, operation: Operation[A]) -> Generator[Any, Any, A]:
    """The answer of the dataset's queue to an operation.

    A queue whose code does not know the operation is asked again after a pause: it is being updated.
    """
    queue = df.EntityId(names.DATASET_QUEUE, dataset_id)
    while True:
        value = yield context.call_entity(queue, name_of(operation), encode(operation))
        try:
            answer: Any = decode(value, AnyAnswer)
        except NotUnderstoodError as error:
            answer = NotUnderstood()
            note(context, Event("queue.not_understood", logging.WARNING, datasetId=dataset_id, error=str(error)))
        if not isinstance(answer, NotUnderstood):
            return answer
        yield from sleep(context, NOT_UNDERSTOOD_SECONDS)


def sleep(context: df.DurableOrchestrationContext, seconds: float) -> Steps[None]:
    """Lets time pass, with a durable timer. It may fire a second early or some seconds late: fired means due."""
    yield context.create_timer(now(context) + timedelta(seconds=seconds))


def now(context: df.DurableOrchestrationContext) -> datetime:
    """The orchestration's own time (UTC)."""
    time: datetime = context.current_utc_datetime
    return time


def note(context: df.DurableOrchestrationContext, event: Event | None) -> None:
    """Logs an event, unless this episode only replays the moment in which it was written."""
    if event and not context.is_replaying:
        log.log(event.level, event.line())

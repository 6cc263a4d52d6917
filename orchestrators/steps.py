"""What the orchestrators share: calls of the queue and of activities, and logging that replay does not repeat."""

import logging
import warnings
from collections.abc import Generator
from typing import Any

import azure.durable_functions as df

from refresh.reporting.events import entry
from refresh.text import cut

Json = dict[str, Any]
Steps = Generator[Any, Any, Any]
"""The steps of an orchestration: durable tasks go out, their results come in."""

log = logging.getLogger("refresh")

# A wake-up that comes together with the end of a generation is handed to the next one, where nobody waits for it any
# more. The SDK takes that for a fault and warns.
warnings.filterwarnings("ignore", "Potential duplicate Task completion", UserWarning)


def queue(context: df.DurableOrchestrationContext, dataset_id: str, operation: str, arguments: Json) -> Any:
    """The task of one operation on the dataset's queue."""
    return context.call_entity(df.EntityId("dataset_queue", dataset_id), operation, arguments)


def try_activity(context: df.DurableOrchestrationContext, name: str, order: Json) -> Steps:
    """The answer of an activity. An activity that breaks answers too: `{"kind": "broken", "error": ...}`.

    Never a `finally` or a bare `except` around a yield: they would run at the end of every episode.
    """
    try:
        answer = yield context.call_activity(name, order)
    except Exception as error:
        text = cut(str(error), 300)
        note(
            context, entry("activity.failed", instance=context.instance_id, activity=name, error=text), logging.WARNING
        )
        return {"kind": "broken", "error": text}
    return answer


def note(context: df.DurableOrchestrationContext, line: str | None, level: int = logging.INFO) -> None:
    """Logs a line, unless this episode only replays the moment in which it was written."""
    if line and not context.is_replaying:
        log.log(level, line)

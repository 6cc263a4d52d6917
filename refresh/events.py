"""Events: one line of JSON in the log for each transition, so that a query can explain why a model did not refresh.

The keys are the same everywhere: `event`, `requestId`, `runId`, `incarnation`, `datasetId`, `modelName`, `workspaceId`,
`refreshId`, `caller`, `powerBiRequestId`. docs/operations.md lists the events.
"""

import json
import logging
from typing import Any

import msgspec


class Event:
    """One log line. Unknown facts (None, empty) are left out. Never pass tokens or URIs."""

    def __init__(self, name: str, level: int = logging.INFO, /, **facts: Any) -> None:
        self.name, self.level = name, level
        self.facts = {key: value for key, value in facts.items() if value not in (None, "", [], {}, ())}

    def about(self, **facts: Any) -> "Event":
        """The event with additional facts, such as ids that only the logging code knows. The event's own facts take
        precedence."""
        return Event(self.name, self.level, **{**facts, **self.facts})

    def line(self) -> str:
        """The event as one line of ASCII JSON: text from outside cannot break the line or change its direction."""
        return json.dumps(msgspec.to_builtins({"event": self.name, **self.facts}, enc_hook=str))

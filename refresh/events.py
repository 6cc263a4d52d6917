"""Events: what the log says of each transition, one line of JSON, so that a query can tell why a model did not refresh.

The keys are the same everywhere: `event`, `requestId`, `runId`, `incarnation`, `datasetId`, `modelName`, `workspaceId`,
`refreshId`, `caller`, `powerBiRequestId`. docs/operations.md lists the events.
"""

import json
import logging
from typing import Any

import msgspec


class Event:
    """One log line. Facts that are not known (None, empty) are left out; tokens and URIs are never among them."""

    def __init__(self, name: str, level: int = logging.INFO, /, **facts: Any) -> None:
        self.name, self.level = name, level
        self.facts = {key: value for key, value in facts.items() if value not in (None, "", [], {}, ())}

    def about(self, **facts: Any) -> "Event":
        """The event with further facts, for example the ids that only its sender knows."""
        return Event(self.name, self.level, **{**facts, **self.facts})

    def line(self) -> str:
        """The event as a line of JSON in ASCII: no character of a foreign text breaks a line or turns its direction."""
        return json.dumps(msgspec.to_builtins({"event": self.name, **self.facts}, enc_hook=str))

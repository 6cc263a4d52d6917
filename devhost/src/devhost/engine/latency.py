"""The delay of messages: none by default, or up to a few seconds as between instances on Azure.

With Azure Storage, a new message wakes the queue's reader only in the process that adds the message. Any other instance
looks at its queues at growing intervals, up to `maxQueuePollingInterval`. When HTTP functions and durable functions run
on different instances (Flex Consumption), every start, signal and event from a client can take that long.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta


class Latency:
    """Draws the delay of each message at random, uniformly between zero and a maximum, from a seed.

    `client`: maximum in seconds for messages of a durable client or of the management API, which can overtake each
    other. `internal`: maximum in seconds for messages between orchestrations, entities and activities; messages to one
    orchestration or entity keep their order. Both can be changed at any time and apply to messages sent afterwards.
    """

    def __init__(self, client: float = 0.0, internal: float = 0.0, seed: int = 0) -> None:
        self.client = client
        self.internal = internal
        self._random = random.Random(seed)  # noqa: S311
        self._last: dict[str, datetime] = {}

    def restore(self, target: str, due: datetime) -> None:
        """Takes into account an ordered message that was sent before a restart."""
        self._last[target] = max(due, self._last.get(target, due))

    def due(self, target: str, now: datetime, *, from_client: bool, ordered: bool) -> datetime | None:
        """When a message sent now arrives at `target`; None: with the next commit.

        `ordered` messages do not overtake earlier ordered messages to the same target.
        """
        longest = self.client if from_client else self.internal
        if not longest and not self._last:
            return None
        due = now + timedelta(seconds=self._random.uniform(0, longest)) if longest > 0 else None
        if from_client or not ordered:
            return due
        before = self._last.get(target)
        if before is not None and before <= now:
            del self._last[target]
        elif before is not None:
            due = max(due or before, before)
        if due is not None:
            self._last[target] = due
        return due

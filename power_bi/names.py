"""The names of models and workspaces. People know the names; callers send ids.

Best effort: a name that cannot be read is not shown. Each attempt to read it delays a refresh by at most CALL_SECONDS.
"""

import threading
from datetime import datetime, timedelta
from uuid import UUID

from power_bi import answers
from power_bi.errors import PowerBiError
from power_bi.throttle import Throttle
from power_bi.wire import Wire
from refresh import clock
from refresh.failure.catalogue import ModelNames
from refresh.text import cut

MAX_NAMES = 5000
"""The maximum number of cached names; beyond that, the oldest half is dropped, and read again when needed."""
ASK_AGAIN = timedelta(minutes=15)
"""How long the app waits before it asks again for a name that could not be read."""
CALL_SECONDS = 3.0
"""The maximum duration of an attempt to read a name."""
MAX_NAME = 200


class Names:
    """The names that this process knows. Safe to use from several threads."""

    def __init__(self, wire: Wire, throttle: Throttle) -> None:
        self._wire, self._throttle = wire, throttle
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}
        self._not_before: dict[str, datetime] = {}

    def known(self, workspace_id: UUID, dataset_id: UUID) -> ModelNames:
        """The names that are known without a call."""
        model, workspace = _paths(workspace_id, dataset_id)
        with self._lock:
            return ModelNames(model=self._known.get(model), workspace=self._known.get(workspace))

    def of(self, workspace_id: UUID, dataset_id: UUID) -> ModelNames:
        """The names, with a call for each name that is not known yet."""
        model, workspace = _paths(workspace_id, dataset_id)
        return ModelNames(model=self._name(model, str(dataset_id)), workspace=self._name(workspace, str(dataset_id)))

    def _name(self, path: str, dataset_id: str) -> str | None:
        with self._lock:
            name, pause = self._known.get(path), self._not_before.get(path)
            if name is not None or (pause is not None and clock.now() < pause):
                return name
            # set before the call, so that only one of several threads makes it
            self._not_before[path] = clock.now() + ASK_AGAIN
        name = self._read(path, dataset_id)
        with self._lock:
            if name:
                self._known[path] = name
                self._not_before.pop(path, None)
            for cache in (self._known, self._not_before):
                if len(cache) > MAX_NAMES:
                    for old in list(cache)[: MAX_NAMES // 2]:
                        del cache[old]
        return name

    def _read(self, path: str, dataset_id: str) -> str | None:
        try:
            self._throttle.check(dataset_id, "read a name")
            answer = self._wire.exchange("GET", path, None, "read a name", dataset_id, seconds=CALL_SECONDS)
        except PowerBiError:
            return None
        value = answers.json_of(answer.body) if answer.status == 200 else None
        name = value.get("name") if isinstance(value, dict) else None
        return cut(name, MAX_NAME) or None if isinstance(name, str) else None


def _paths(workspace_id: UUID, dataset_id: UUID) -> tuple[str, str]:
    # typed ids: no text of a caller is pasted into a path
    workspace = f"/v1.0/myorg/groups/{UUID(str(workspace_id))}"
    return f"{workspace}/datasets/{UUID(str(dataset_id))}", workspace

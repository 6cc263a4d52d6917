"""What the Power BI activities share: the model they speak of, what they found, and how they tell of errors.

Every activity takes one JSON object and answers one with a `kind`. Errors of Power BI are answers too: they are facts
for the run to decide on, and an exception would lose them on the way.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from msgspec import to_builtins

from power_bi.client import History, PowerBiClient
from power_bi.errors import Facts, PowerBiError, Refused, Throttled
from power_bi.service import configured_client
from refresh.history import adoption
from refresh.history.rows import RefreshRow, iso
from refresh.reporting.events import entry
from refresh.settings import current_settings

Json = dict[str, Any]

log = logging.getLogger("refresh")


@dataclass(frozen=True)
class Model:
    """A semantic model and the way to it. Its methods raise the errors of `power_bi.errors`."""

    workspace_id: UUID
    dataset_id: UUID
    client: PowerBiClient

    @classmethod
    def of(cls, order: Json) -> "Model":
        """The model an activity is asked about. Refused if its workspace is not among the allowed ones (any more)."""
        workspace_id, dataset_id = UUID(order["workspace_id"]), UUID(order["dataset_id"])
        if not current_settings().allows_workspace(workspace_id):
            raise Refused(Facts(operation="use the workspace", dataset_id=str(dataset_id)), "WorkspaceNotAllowed")
        return cls(workspace_id, dataset_id, configured_client())

    def history(self) -> History:
        """The newest refreshes of the model."""
        return self.client.history(self.workspace_id, self.dataset_id)

    def by_id(self, refresh_id: str) -> RefreshRow | None:
        """A refresh read by its id; None if this way does not know it."""
        return self.client.refresh(self.workspace_id, self.dataset_id, refresh_id)

    def adoptable(
        self, rows: Sequence[RefreshRow], before: Json, scope: Json, *, lost: Json | None
    ) -> RefreshRow | None:
        """A refresh that is new since `before` and does all that `scope` wishes.

        `lost`: our own may be among them, begun between `since` and `until` if they are known; None if it cannot.
        What has completed is best, then what began first: others can only have begun after ours.
        """
        options = scope["refresh"]
        found = adoption.new_rows(rows, before)
        direct_lake = adoption.is_direct_lake(rows, before)
        for row in sorted(found, key=lambda row: (row.state != "completed", iso(row.start))):
            ours = lost is not None and adoption.may_be_lost_one(row, lost)
            fits = adoption.may_cover(row, options, framing=direct_lake and ours)
            if not fits or row.state not in ("running", "completed"):
                continue
            if options is None:
                return row
            details = self.by_id(row.request_id)
            if details is not None and adoption.covers(details, options, probably_ours=ours):
                return row
        return None


def shown(row: RefreshRow) -> Json:
    """A refresh as a status shows it."""
    return {"refreshId": row.request_id, "refreshType": row.refresh_type, "startedAt": iso(row.start)}


def failed(error: PowerBiError, order: Json) -> Json:
    """The answer that tells of an error: `throttled`, `refused` for good, or `unavailable` for now."""
    log.warning(entry("power_bi.error", run=order.get("run"), dataset=order["dataset_id"], error=error.message))
    if isinstance(error, Throttled):
        return {"kind": "throttled", "seconds": error.retry_after_seconds, "error": error.message}
    if isinstance(error, Refused):
        return {"kind": "refused", "error": to_builtins(error.failure(order["dataset_id"]))}
    return {"kind": "unavailable", "error": error.message}

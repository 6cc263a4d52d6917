"""Shared by the Power BI activities: the model of an order, and the conversion of errors to answers."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from outbound.pools import POWER_BI, PoolBusyError
from power_bi.client import History, PowerBiClient
from power_bi.errors import Facts, PowerBiError
from power_bi.errors import Refused as RefusedByPowerBi
from power_bi.errors import Throttled as ThrottledByPowerBi
from power_bi.service import configured_client
from refresh.events import Event
from refresh.failure.catalogue import ModelNames
from refresh.history.adoption import candidates, covers, same_kind
from refresh.history.look import Look, LostWindow
from refresh.history.rows import RefreshRow
from refresh.pattern import Pattern
from refresh.run import orders
from refresh.scope.scope import Scope
from refresh.settings import current_settings

T = TypeVar("T")

CALL_SECONDS = 120.0
"""The time for all calls to Power BI within one `on_power_bi`. It is far below `functionTimeout` (host.json), at which
the host would end the whole process with all other work in it."""

CAPACITY_CODE = Pattern(r"(?i)capacity|FabricThrottled")
"""Codes of calls that were refused because the capacity, not the call rate, reached its limit."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """A semantic model with a client for it. Its methods block, and raise the errors of `power_bi.errors`."""

    workspace_id: UUID
    dataset_id: UUID
    client: PowerBiClient

    @classmethod
    def of(cls, model: orders.ModelRef) -> "Model":
        """The model of an order. Raises Refused if its workspace is not (or no longer) allowed."""
        workspace_id, dataset_id = UUID(model.workspace_id), UUID(model.dataset_id)
        if not current_settings().allows_workspace(workspace_id):
            raise RefusedByPowerBi(
                Facts(operation="use the workspace", dataset_id=str(dataset_id)), "WorkspaceNotAllowed"
            )
        return cls(workspace_id, dataset_id, configured_client())

    @property
    def known_names(self) -> ModelNames:
        """The names of the model and its workspace that this process knows, without a call."""
        return self.client.known_names(self.workspace_id, self.dataset_id)

    def names(self) -> ModelNames:
        """The names, with a call for each name that is not known yet. Never raises: a name may be missing."""
        return self.client.names(self.workspace_id, self.dataset_id)

    def history(self) -> History:
        """The newest refreshes of the model."""
        return self.client.history(self.workspace_id, self.dataset_id)

    def by_id(self, refresh_id: str) -> RefreshRow | None:
        """A refresh read by its id; None if Power BI does not find it by id."""
        return self.client.refresh(self.workspace_id, self.dataset_id, refresh_id)

    def adoptable(
        self, history: History, look: Look, scope: Scope, *, lost: LostWindow | None = None, known: str | None = None
    ) -> tuple[RefreshRow | None, list[RefreshRow]]:
        """A refresh that is new since the look and satisfies the scope, see `refresh.history.adoption`.

        The second value lists new refreshes, read by id, that may be ours but are not proven to satisfy the scope.
        """
        unproven = []
        for row, ours in candidates(history.rows, look, scope.refresh, lost):
            if scope.refresh is None:
                return row, []
            details = self.by_id(row.request_id)
            if details is not None and covers(details, scope.refresh, ours=ours, known=known):
                return row, []
            if details is not None and ours and same_kind(details, scope.refresh):
                unproven.append(details)
        return None, unproven


async def on_power_bi(
    order: orders.ModelRef, work: Callable[[Model], T], about: dict[str, object], seconds: float = CALL_SECONDS
) -> T | orders.Throttled | orders.Unavailable | orders.Refused:
    """The result of `work`, which runs on a thread for calls to Power BI; or the answer for an error.

    `about`: ids for the log line of an error. `seconds`: the time for the calls and for the wait for a thread.
    """
    try:
        return await POWER_BI.run(lambda: work(Model.of(order)), key=order.dataset_id, seconds=seconds)
    except PoolBusyError:
        return orders.Unavailable(error="Too many calls to Power BI are waiting.")
    except PowerBiError as error:
        facts = {"httpStatus": error.http_status, "powerBiRequestId": error.power_bi_request_id}
        event = Event("power_bi.error", logging.WARNING, **ids_of(order), **about, **facts, error=error.message)
        log.log(event.level, event.line())
        return trouble(error, order)


def ids_of(model: orders.ModelRef) -> dict[str, object]:
    """The ids of the model for a log line."""
    return {"datasetId": model.dataset_id, "workspaceId": model.workspace_id, "modelName": _known_names(model).model}


def _known_names(model: orders.ModelRef) -> ModelNames:
    return configured_client().known_names(UUID(model.workspace_id), UUID(model.dataset_id))


def trouble(error: PowerBiError, model: orders.ModelRef) -> orders.Throttled | orders.Unavailable | orders.Refused:
    """The answer for an error of Power BI."""
    if isinstance(error, ThrottledByPowerBi):
        capacity = bool(CAPACITY_CODE.search(error.service_code or ""))
        return orders.Throttled(seconds=error.retry_after_seconds, error=error.message, capacity=capacity)
    if isinstance(error, RefusedByPowerBi):
        return orders.Refused(failure=error.failure(model.dataset_id, _known_names(model)))
    return orders.Unavailable(error=error.message)

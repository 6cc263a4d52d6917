"""Whether any refresh of a model is running, for code that does not follow a refresh of its own."""

from uuid import UUID

from outbound.pools import POWER_BI, PoolBusyError
from power_bi.errors import TOKEN_CODES, PowerBiError, Refused
from power_bi.service import configured_client
from refresh import clock
from refresh.history import adoption

SECONDS = 60.0
NON_MODEL_CODES = (*TOKEN_CODES, "UnexpectedAnswer")
"""Codes of refusals that say nothing about the model: no token, or an answer that Power BI did not send."""


async def is_busy(workspace_id: str, dataset_id: str) -> bool | None:
    """Whether the history shows a running refresh; None if it cannot be read at the moment. Both ids are GUIDs.

    A model that does not exist, or that the app is not allowed to read (any more), is not busy.
    """

    def look() -> bool:
        history = configured_client().history(UUID(workspace_id), UUID(dataset_id))
        return adoption.blocker(history.rows, history.service_time or clock.now()) is not None

    try:
        return await POWER_BI.run(look, key=dataset_id, seconds=SECONDS)
    except Refused as error:
        return None if error.code in NON_MODEL_CODES else False
    except (PowerBiError, PoolBusyError):
        return None

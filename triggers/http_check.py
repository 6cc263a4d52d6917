"""POST /api/check: checks, without starting anything, whether a refresh of a model is possible."""

import asyncio
import logging
from dataclasses import replace
from typing import Any
from uuid import UUID

import azure.durable_functions as df
import azure.functions as func

from outbound.pools import POWER_BI, PoolBusyError
from power_bi.check import check_model, no_answer, not_allowed
from power_bi.service import configured_client
from refresh.events import Event
from refresh.request.reply import parse_reply
from refresh.request.spec import parse_spec
from refresh.request.values import BadRequestError
from refresh.settings import current_settings
from triggers.answers import answer
from triggers.routing import http_function

CHECK_SECONDS = 20.0
"""The limit is short because a person waits for the answer, and because gateways between the caller and the app have
shorter time-outs than the Power BI client."""

Json = dict[str, Any]

log = logging.getLogger(__name__)
bp = df.Blueprint()


@http_function(bp, route="check", methods=["POST"], engine=False)
async def http_check(req: func.HttpRequest) -> func.HttpResponse:
    """200 with `ok` and, if that is false, the `error` that a request would get; 400 for an invalid body.

    The body is that of a start. workspaceId and datasetId are enough; other keys are checked, too.
    """
    settings = current_settings()
    try:
        # a workspace that ALLOWED_WORKSPACES excludes is a result of the check, not an error in the body
        spec = parse_spec(req.get_body(), replace(settings, allowed_workspaces=frozenset()))
        parse_reply(req.get_body(), settings)
    except BadRequestError as problem:
        return answer(problem.to_json(), 400)
    workspace_id, dataset_id = UUID(spec.scope.workspace_id), UUID(spec.dataset_id)
    allowed = settings.allows_workspace(workspace_id)
    result = await _checked(workspace_id, dataset_id) if allowed else not_allowed(dataset_id)
    ids = {"datasetId": spec.dataset_id, "workspaceId": spec.scope.workspace_id}
    facts = {"modelName": result["modelName"], "code": result.get("error", {}).get("code")}
    log.info(Event("model.checked", **ids, **facts).line())
    return answer({**result, **ids}, 200)


async def _checked(workspace_id: UUID, dataset_id: UUID) -> Json:
    check = POWER_BI.run(
        lambda: check_model(configured_client(), workspace_id, dataset_id), key=str(dataset_id), seconds=CHECK_SECONDS
    )
    try:
        return await asyncio.wait_for(check, CHECK_SECONDS)
    except (TimeoutError, PoolBusyError):
        return no_answer(dataset_id, CHECK_SECONDS)

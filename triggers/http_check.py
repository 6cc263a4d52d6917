"""POST /api/check: what would become of a request, as far as that can be known without starting anything."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID

import azure.durable_functions as df
import azure.functions as func

from power_bi.check import check_model, no_answer, not_allowed
from power_bi.service import configured_client
from refresh.reporting.events import entry
from refresh.request.reply import parse_answering
from refresh.request.spec import BadRequestError, parse_wish
from refresh.settings import current_settings
from triggers.answers import answer
from triggers.auth import LEVEL, refusal

CHECK_SECONDS = 20.0
"""Somebody waits for the answer, and no gateway on the way is as patient as the client of Power BI."""
THREADS = ThreadPoolExecutor(4, thread_name_prefix="check")
"""Of its own: calls that hang must not take the threads that refreshes are started on."""

Json = dict[str, Any]

log = logging.getLogger("refresh")
bp = df.Blueprint()


@bp.route(route="check", methods=["POST"], auth_level=LEVEL)
async def http_check(req: func.HttpRequest) -> func.HttpResponse:
    """200 with `ok` and, if that is false, the `error` that a request would end with; 400 as a start would answer.

    The body is that of a start; workspaceId and datasetId are enough, other keys are checked too.
    """
    refused = refusal(req)
    if refused:
        return refused
    settings = current_settings()
    try:
        # the setting is a finding of the check, not a mistake in its body
        wish = parse_wish(req.get_body(), replace(settings, allowed_workspaces=frozenset()))
        parse_answering(req.get_body(), settings)
    except BadRequestError as problem:
        return answer(problem.to_json(), 400)
    workspace_id, dataset_id = UUID(wish.scope.workspace_id), UUID(wish.dataset_id)
    result = (
        await _checked(workspace_id, dataset_id) if settings.allows_workspace(workspace_id) else not_allowed(dataset_id)
    )
    code = result.get("error", {}).get("code")
    log.info(entry("model.checked", dataset=wish.dataset_id, workspace=wish.scope.workspace_id, code=code))
    return answer({**result, "workspaceId": wish.scope.workspace_id, "datasetId": wish.dataset_id}, 200)


async def _checked(workspace_id: UUID, dataset_id: UUID) -> Json:
    loop = asyncio.get_running_loop()
    call = loop.run_in_executor(THREADS, lambda: check_model(configured_client(), workspace_id, dataset_id))
    try:
        return await asyncio.wait_for(call, CHECK_SECONDS)
    except TimeoutError:
        return no_answer(dataset_id, CHECK_SECONDS)

"""Checks whether this app can read a model's refresh history: its permissions, as far as a check without a refresh can
tell."""

from typing import Any
from uuid import UUID

import msgspec

from power_bi.client import PowerBiClient
from power_bi.errors import TOKEN_CODES, PowerBiError
from refresh.clock import now
from refresh.failure.catalogue import Failure, ModelNames, failure
from refresh.history.adoption import blocker
from refresh.history.rows import RefreshRow
from refresh.times import iso

NOT_CHECKED = (
    "Only a refresh can show whether this identity may start one (role Contributor, Member or Admin), whether the "
    'credentials of the data sources are valid, and, if the body has "refresh", whether the workspace has a capacity.'
)

Json = dict[str, Any]


def check_model(client: PowerBiClient, workspace_id: UUID, dataset_id: UUID) -> Json:
    """The result: `ok`; `error` in the form of `failure`, if there is one; `checks`, each `passed`, `failed` or
    `unknown`.

    `lastRefresh` and `running`: the newest refresh, and the refresh that keeps the model busy. `modelName` and
    `workspaceName`: if they could be read. Each of these four can be None.
    """
    try:
        history = client.history(workspace_id, dataset_id)
    except PowerBiError as error:
        is_about_token = error.code in TOKEN_CODES
        checks = ("passed", "failed", "unknown") if is_about_token else ("passed", "passed", "failed")
        names = client.known_names(workspace_id, dataset_id)
        return {**_result(error.failure(str(dataset_id), names), *checks), **names.facts}
    last, running = next(iter(history.rows), None), blocker(history.rows, history.service_time or now())
    names = client.names(workspace_id, dataset_id)
    found = {**_result(None, "passed", "passed", "passed"), **names.facts}
    return {**found, "lastRefresh": _summary(last), "running": _summary(running)}


def no_answer(dataset_id: UUID, seconds: float) -> Json:
    """The result if no answer came in time."""
    error = failure("ServiceUnavailable", str(dataset_id), detail=f"no answer within {seconds:g} seconds")
    return _result(error, "passed", "unknown", "unknown")


def not_allowed(dataset_id: UUID) -> Json:
    """The result for a workspace that this app is not allowed to use: no call is made."""
    return _result(failure("WorkspaceNotAllowed", str(dataset_id)), "failed", "unknown", "unknown")


def _result(error: Failure | None, workspace: str, token: str, history: str) -> Json:
    return {
        **({"error": msgspec.to_builtins(error)} if error else {}),
        "ok": error is None,
        "checks": {"workspaceAllowed": workspace, "token": token, "history": history},
        "lastRefresh": None,
        "running": None,
        "notChecked": NOT_CHECKED,
        **ModelNames().facts,
    }


def _summary(row: RefreshRow | None) -> Json | None:
    if row is None:
        return None
    ended = {"startedAt": iso(row.start), "endedAt": iso(row.end)}
    return {"refreshId": row.request_id, "refreshType": row.refresh_type, "status": row.status, **ended}

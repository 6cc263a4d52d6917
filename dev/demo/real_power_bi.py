"""Reads the refresh history of a real model with the developer's own login, to check the outcome that a caller got."""

from __future__ import annotations

import logging
from typing import Any

import requests

from dev.demo.assessment import Refresh, parse_time
from power_bi.clouds import CLOUDS

SECONDS = 60


class HistoryUnreadable(Exception):  # noqa: N818
    """The history cannot be read with the developer's login; the message says why."""


def refreshes(cloud: str, workspace: str, dataset: str) -> list[Refresh]:
    """The refreshes in the model's history, at most 60. Raises HistoryUnreadable."""
    from azure.core.exceptions import AzureError
    from azure.identity import DefaultAzureCredential

    # azure.identity would log the whole text of the exception
    logging.getLogger("azure.identity").setLevel(logging.CRITICAL)
    home = CLOUDS[cloud]
    url = f"{home.api_url}/v1.0/myorg/groups/{workspace}/datasets/{dataset}/refreshes"
    try:
        with DefaultAzureCredential(authority=home.authority) as credential:
            token = credential.get_token(home.scope).token
        headers = {"Authorization": f"Bearer {token}"}
        answer = requests.get(url, headers=headers, timeout=SECONDS, allow_redirects=False)
        answer.raise_for_status()
        rows = answer.json()["value"]
    except AzureError as problem:
        raise HistoryUnreadable(f"no token for Power BI; run az login: {_first_line(problem)}") from None
    except (requests.RequestException, ValueError, KeyError) as problem:
        raise HistoryUnreadable(_first_line(problem)) from None
    return [refresh for row in rows if (refresh := of_row(row))]


def of_row(row: dict[str, Any]) -> Refresh | None:
    """A row of the history; None if it lacks an id or a start time."""
    start = parse_time(row.get("startTime"))
    if start is None or not row.get("requestId"):
        return None
    return Refresh(str(row["requestId"]), str(row.get("status")), start, parse_time(row.get("endTime")))


def _first_line(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}".splitlines()[0][:200]

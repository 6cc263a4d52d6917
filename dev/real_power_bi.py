"""Reads the refresh history of a real model with the developer's own login, to check what the app said of it."""

from __future__ import annotations

import logging
from typing import Any

import requests

from dev.verdicts import Truth, parse_time
from power_bi.clouds import CLOUDS

SECONDS = 60


class CannotAsk(Exception):  # noqa: N818
    """Power BI cannot be asked with this login; the message says why."""


def truths(cloud: str, workspace: str, dataset: str) -> list[Truth]:
    """The refreshes in the model's history, at most 60. Raises CannotAsk."""
    from azure.core.exceptions import AzureError
    from azure.identity import DefaultAzureCredential

    # it would log what the exception says, at length
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
        raise CannotAsk(f"no token for Power BI (az login?): {_first_line(problem)}") from None
    except (requests.RequestException, ValueError, KeyError) as problem:
        raise CannotAsk(_first_line(problem)) from None
    return [truth for row in rows if (truth := of_row(row))]


def of_row(row: dict[str, Any]) -> Truth | None:
    """A row of the history; None if it says too little."""
    start = parse_time(row.get("startTime"))
    if start is None or not row.get("requestId"):
        return None
    return Truth(str(row["requestId"]), str(row.get("status")), start, parse_time(row.get("endTime")))


def _first_line(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}".splitlines()[0][:200]

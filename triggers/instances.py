"""Requests as the engine keeps them, read through the durable client."""

import asyncio
import hmac
import re
from typing import Any

import azure.durable_functions as df
import requests

from refresh.reporting.stored import Found, parse

REQUEST_ID = re.compile(r"[0-9A-Za-z-]{1,80}", re.ASCII)
PAGE = 200
PAGE_SECONDS = 30.0

Json = dict[str, Any]


async def find_request(client: df.DurableOrchestrationClient, request_id: str) -> Found | None:
    """A request by its id; None if there is none."""
    if not REQUEST_ID.fullmatch(request_id):
        return None
    status = await client.get_status(request_id)
    return parse(status.to_json()) if status else None


def same(given: str | None, expected: str) -> bool:
    """Compares a token without telling by the time it takes how much of it was right."""
    return hmac.compare_digest((given or "").encode(), expected.encode())


async def list_requests(
    client: df.DurableOrchestrationClient, prefix: str, since: str | None, token: str, at_least: int
) -> tuple[list[Found], str]:
    """Requests whose ids begin with `prefix`, and the token to go on with (empty: that was all).

    The engine's list holds runs and queues too.
    """
    found: list[Found] = []
    while True:
        rows, token = await list_instances(client, prefix, since, token)
        found.extend(request for request in map(parse, rows) if request)
        if not token or len(found) >= at_least:
            return found, token


async def list_instances(
    client: df.DurableOrchestrationClient, prefix: str, since: str | None, token: str, statuses: str = ""
) -> tuple[list[Json], str]:
    """A page of the engine's list, and the token of the next one (empty: that was the last).

    `statuses`: the engine's words, separated by commas; empty means all.

    The SDK's own listing returns the first page only.
    """
    query = {"instanceIdPrefix": prefix, "createdTimeFrom": since, "runtimeStatus": statuses}
    return await asyncio.to_thread(_page, client, query, token)


def _page(client: df.DurableOrchestrationClient, query: dict[str, str | None], token: str) -> tuple[list[Json], str]:
    # the SDK has no public name for the address of the engine's API on this machine
    url = client._orchestration_bindings.rpc_base_url + "instances/"
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(
            url,
            params={"top": str(PAGE), "showInput": "true", **{key: value for key, value in query.items() if value}},
            headers={"x-ms-continuation-token": token} if token else {},
            timeout=PAGE_SECONDS,
        )
    answer.raise_for_status()
    return answer.json(), answer.headers.get("x-ms-continuation-token", "")

"""A page of the engine's list of instances, through its HTTP API: the SDK's own listing returns the first page only."""

from dataclasses import dataclass
from typing import Any

from durable.instance import Instance

PAGE_SECONDS = 30.0


@dataclass(frozen=True)
class Page:
    """Instances, and the continuation token for the next page; empty on the last page."""

    instances: list[Instance]
    continuation: str


def fetch_page(url: str, query: dict[str, str | None], continuation: str) -> tuple[list[dict[str, Any]], str]:
    """The rows of a page, and the continuation for the next one. Raises the exceptions of requests."""
    import requests  # imported here, because a cold start does not need it

    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(
            url,
            params={key: value for key, value in query.items() if value},
            headers={"x-ms-continuation-token": continuation} if continuation else {},
            timeout=PAGE_SECONDS,
        )
    answer.raise_for_status()
    return answer.json(), answer.headers.get("x-ms-continuation-token", "")

"""A Power BI service for the tests of the client: in this process, without sockets, with answers from the test."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from multidict import CIMultiDict

from outbound.exchange import Limits, Outgoing, Received
from power_bi.client import PowerBiClient

WORKSPACE = UUID("11111111-aaaa-bbbb-cccc-000000000001")
DATASET = UUID("22222222-aaaa-bbbb-cccc-000000000002")
REFRESH = "9b2a5aa3-6207-47f9-8520-ed61b24c8634"
PATH = f"/v1.0/myorg/groups/{WORKSPACE}/datasets/{DATASET}/refreshes"
URL = "https://api.powerbi.com"

Reply = tuple[int, Mapping[str, str], bytes]


def reply(status: int, body: Any = b"", **headers: str) -> Reply:
    """An answer. JSON values are encoded; `_` in names of headers means `-`."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, content


class Service:
    """A transport that returns the answers in turn, or raises them if they are exceptions. It records the requests."""

    def __init__(self, *answers: Reply | Received | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[Outgoing] = []
        self.limits: list[Limits] = []

    def __call__(self, request: Outgoing, limits: Limits) -> Received:
        """The next answer."""
        self.requests.append(request)
        self.limits.append(limits)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Received):
            return answer
        status, headers, body = answer
        return Received(status, CIMultiDict(headers), body)


class Tokens:
    """A token source: `token` always returns token-0, `renew` returns token-1, token-2, and so on."""

    def __init__(self) -> None:
        self.renewed: list[str] = []

    def token(self) -> str:
        """The first token."""
        return "token-0"

    def renew(self, rejected: str) -> str:
        """The next token."""
        self.renewed.append(rejected)
        return f"token-{len(self.renewed)}"


def client(*answers: Reply | Received | Exception, url: str = URL) -> tuple[PowerBiClient, Service]:
    """A client of a service that gives these answers."""
    service = Service(*answers)
    return PowerBiClient(url, Tokens(), transport=service), service

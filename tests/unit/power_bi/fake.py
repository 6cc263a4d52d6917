"""A Power BI service for the client's tests: in this process, no sockets, each answer as the test wants it."""

import io
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from power_bi.client import PowerBiClient

WORKSPACE = UUID("11111111-aaaa-bbbb-cccc-000000000001")
DATASET = UUID("22222222-aaaa-bbbb-cccc-000000000002")
REFRESH = "9b2a5aa3-6207-47f9-8520-ed61b24c8634"
PATH = f"/v1.0/myorg/groups/{WORKSPACE}/datasets/{DATASET}/refreshes"
URL = "https://api.powerbi.com"

Reply = tuple[int, Mapping[str, str], bytes]


def reply(status: int, body: Any = b"", **headers: str) -> Reply:
    """An answer; JSON values are encoded, `_` in header names stands for `-`."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, content


class Service(BaseAdapter):
    """Gives the answers in turn, raising those that are exceptions; keeps the requests."""

    def __init__(self, *answers: Reply | Exception) -> None:
        super().__init__()
        self.answers = list(answers)
        self.requests: list[requests.PreparedRequest] = []
        self.timeouts: list[object] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """The next answer."""
        self.requests.append(request)
        self.timeouts.append(kwargs["timeout"])
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code = answer[0]
        response.headers = CaseInsensitiveDict(answer[1])
        response.raw = io.BytesIO(answer[2])
        response.request, response.url = request, request.url or ""
        return response

    def close(self) -> None:
        """Nothing to close."""


class Tokens:
    """A token source that counts: token-0, and token-1 when that was rejected."""

    def __init__(self) -> None:
        self.renewed: list[str] = []

    def token(self) -> str:
        """The first."""
        return "token-0"

    def renew(self, rejected: str) -> str:
        """The next."""
        self.renewed.append(rejected)
        return f"token-{len(self.renewed)}"


def client(*answers: Reply | Exception, url: str = URL) -> tuple[PowerBiClient, Service]:
    """A client of a service that gives these answers."""
    service = Service(*answers)
    return PowerBiClient(url, Tokens(), transport=service), service

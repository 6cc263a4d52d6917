"""One HTTP exchange with Power BI: the token, the time-outs, what a failing network means. It never retries."""

import http.client
import json
import logging
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter
from requests.auth import AuthBase

from power_bi import answers
from power_bi.credentials import TokenSource
from power_bi.errors import AnswerLost, Facts, NotSent, PowerBiError
from refresh.settings import is_loopback

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
WHOLE_ANSWER_SECONDS = 60.0
"""The read time-out starts again with each byte; an answer that trickles is given up after this time."""
MAX_ANSWER_BYTES = 16 * 1024 * 1024

Json = dict[str, Any]

log = logging.getLogger("power_bi")

_NETWORK = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    UnicodeError,  # requests reads the Location of a redirect although it is told not to follow
)
_NO_CONNECTION = (
    requests.ConnectTimeout,
    requests.exceptions.ProxyError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.ProxyError,
    ssl.SSLCertVerificationError,
    ConnectionRefusedError,
    socket.gaierror,
)


@dataclass(frozen=True)
class Answer:
    """What came back, and to which call. Header names are case-insensitive."""

    method: str
    operation: str
    dataset_id: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    enhanced: bool = False
    """The call asked for options that only an enhanced refresh has."""

    @property
    def ok(self) -> bool:
        """True for a 2xx."""
        return 200 <= self.status < 300

    @property
    def facts(self) -> Facts:
        """What the answer tells an error."""
        facts = answers.facts_of(self.status, self.headers, self.body)
        return replace(facts, operation=self.operation, dataset_id=self.dataset_id)

    def error(self) -> PowerBiError:
        """The error that the answer means."""
        return answers.error_of(self.facts, self.method, enhanced=self.enhanced)


class Wire:
    """The way to one Power BI service, shared by all threads of the process.

    `api_url` must be https, plain http only for this machine; anything else is a ValueError. `transport` replaces
    the network.
    """

    def __init__(self, api_url: str, credential: TokenSource, transport: BaseAdapter | None) -> None:
        parts = urlsplit(api_url)
        local = is_loopback(api_url)
        if not parts.hostname or (parts.scheme != "https" and not (parts.scheme == "http" and local)):
            raise ValueError("The address of Power BI must be an https URL (http is allowed for this machine only).")
        self._url, self._host = api_url.rstrip("/"), parts.hostname
        self._credential = credential
        self._session = requests.Session()
        # a proxy is of no use on the way to this very machine
        self._session.trust_env = not local
        # nothing is kept between calls: a cookie could pin us to a part of the service that is failing
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        if transport is not None:
            self._session.mount("https://", transport)
            self._session.mount("http://", transport)

    def exchange(
        self,
        method: str,
        path: str,
        body: Json | None,
        operation: str,
        dataset_id: str,
        *,
        seconds: float = READ_SECONDS,
    ) -> Answer:
        """The answer to one call, whatever its status; `operation` is what errors say was tried.

        `seconds`: how long to wait for the first byte, and between bytes.

        An expired token is renewed once and the call repeated, a POST too: its refusal was certainly no acceptance.
        Raises NotSent, AnswerLost, or the errors of the token source.
        """
        try:
            token = self._credential.token()
            answer = self._once(method, path, body, token, operation, dataset_id, seconds)
            if answer.status in (401, 403) and answer.error().code == "TokenRejected":
                token = self._credential.renew(token)
                answer = self._once(method, path, body, token, operation, dataset_id, seconds)
        except PowerBiError as error:
            raise error.about(operation, dataset_id) from None
        return answer

    def _once(
        self, method: str, path: str, body: Json | None, token: str, operation: str, dataset_id: str, seconds: float
    ) -> Answer:
        began = time.monotonic()
        headers = {"Accept": "application/json"}
        if body is not None:
            # without it Power BI ignores the body, and refreshes the whole model with 202
            headers["Content-Type"] = "application/json"
        try:
            response = self._session.request(
                method,
                self._url + path,
                data=None if body is None else json.dumps(body).encode(),
                headers=headers,
                auth=_Bearer(token),
                timeout=(min(CONNECT_SECONDS, seconds), seconds),
                # the token is for the configured host only
                allow_redirects=False,
                stream=True,
            )
        except _NETWORK as error:
            raise self._failed(error) from None
        with response:
            content = self._content(response, method, began)
        took = (time.monotonic() - began) * 1000
        request_id = answers.request_id(response.headers)
        log.debug("%s %s: HTTP %d in %.0f ms, RequestId %s", method, path, response.status_code, took, request_id)
        enhanced = any(key != "notifyOption" for key in body or ())
        return Answer(method, operation, dataset_id, response.status_code, response.headers, content, enhanced)

    def _content(self, response: requests.Response, method: str, began: float) -> bytes:
        try:
            return b"".join(_chunks(response, began))
        except _NETWORK as error:
            if response.ok and method != "GET":
                # accepted is accepted: all that matters was in the headers
                return b""
            failed = self._failed(error)
            raise AnswerLost(replace(failed.facts, http_status=response.status_code)) from None

    def _failed(self, error: BaseException) -> PowerBiError:
        """What a network error means. Its text is not used: some quote the headers of the request, token included."""
        causes = list(_causes(error))
        words = " ".join(dict.fromkeys(type(cause).__name__ for cause in causes))
        facts = Facts(service_message=f"{self._host}, {words}")
        if any(isinstance(cause, _NO_CONNECTION) for cause in causes):
            return NotSent(facts)
        return AnswerLost(facts)


class _Bearer(AuthBase):
    """Sets the header by itself: without an `auth`, requests would put a password from ~/.netrc over it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _chunks(response: requests.Response, began: float) -> Iterator[bytes]:
    if response.raw is None:
        yield response.content
        return
    size = 0
    for chunk in response.iter_content(64 * 1024):
        size += len(chunk)
        if size > MAX_ANSWER_BYTES or time.monotonic() - began > WHOLE_ANSWER_SECONDS:
            raise requests.ReadTimeout
        yield chunk


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it wraps: requests keeps urllib3's error in `args`, urllib3 its own in `reason`."""
    pending, seen = [error], 0
    while pending and seen < 10:
        cause = pending.pop(0)
        seen += 1
        yield cause
        wrapped = (*cause.args, getattr(cause, "reason", None), getattr(cause, "original_error", None))
        pending.extend(inner for inner in wrapped if isinstance(inner, BaseException))

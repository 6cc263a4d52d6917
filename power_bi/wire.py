"""One call of Power BI: adds the token, applies the limits, and interprets network failures.

It repeats a call only if Power BI rejected the token.
"""

import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from outbound import deadline
from outbound.exchange import ExchangeError, Limits, NotSentError, Outgoing, Transport, exchange
from power_bi import answers
from power_bi.credentials import TokenSource
from power_bi.errors import AnswerLost, Facts, NotSent, PowerBiError
from refresh.settings import is_loopback

LIMITS = Limits(connect_seconds=10.0, silence_seconds=30.0, whole_seconds=60.0, body_bytes=16 * 1024 * 1024)
"""The answer about a refresh of a model with thousands of partitions has some megabytes."""

Json = dict[str, Any]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """An answer and the call that it belongs to. Header names are case-insensitive."""

    method: str
    operation: str
    dataset_id: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    enhanced: bool = False
    """The call used options that only an enhanced refresh has."""

    @property
    def ok(self) -> bool:
        """True for a 2xx."""
        return 200 <= self.status < 300

    @property
    def facts(self) -> Facts:
        """The facts for an error."""
        facts = answers.facts_of(self.status, self.headers, self.body)
        return replace(facts, operation=self.operation, dataset_id=self.dataset_id)

    def error(self) -> PowerBiError:
        """The error for this answer."""
        return answers.error_of(self.facts, self.method, enhanced=self.enhanced)


class Wire:
    """The connection to one Power BI service, shared by all threads of the process.

    `api_url` must be https (plain http only for this machine); otherwise ValueError. `transport` replaces the network.
    """

    def __init__(self, api_url: str, credential: TokenSource, transport: Transport | None = None) -> None:
        parts = urlsplit(api_url)
        local = is_loopback(api_url)
        if not parts.hostname or (parts.scheme != "https" and not (parts.scheme == "http" and local)):
            raise ValueError("The address of Power BI must be an https URL (http is only allowed for this machine).")
        self._url, self._host = api_url.rstrip("/"), parts.hostname
        self._credential = credential
        self._transport = transport or exchange

    def exchange(
        self,
        method: str,
        path: str,
        body: Json | None,
        operation: str,
        dataset_id: str,
        *,
        seconds: float = math.inf,
        limits: Limits = LIMITS,
    ) -> Answer:
        """The answer to one call, whatever its status; errors name the `operation` that was tried.

        `limits`: the limits of the exchange. `seconds`: a shorter time for the call than its limits and the deadline of
        the work allow. An expired token is renewed once and the call repeated, even a POST, because a call with a
        refused token was not accepted. Raises NotSent, AnswerLost, or the errors of the token source.
        """
        try:
            with deadline.within(seconds):
                token = self._credential.token()
                answer = self._attempt(method, path, body, token, operation, dataset_id, limits)
                if answer.status in (401, 403) and answer.error().code == "TokenRejected":
                    token = self._credential.renew(token)
                    answer = self._attempt(method, path, body, token, operation, dataset_id, limits)
        except PowerBiError as error:
            raise error.about(operation, dataset_id) from None
        return answer

    def _attempt(
        self, method: str, path: str, body: Json | None, token: str, operation: str, dataset_id: str, limits: Limits
    ) -> Answer:
        began = time.monotonic()
        headers = {"Accept": "application/json", "Authorization": f"Bearer {token}"}
        if body is not None:
            # without this header Power BI ignores the body and refreshes the whole model with 202
            headers["Content-Type"] = "application/json"
        content = None if body is None else json.dumps(body).encode()
        try:
            received = self._transport(Outgoing(method, self._url + path, headers, content), limits)
        except ExchangeError as error:
            facts = Facts(service_message=f"{self._host}, {error}")
            raise (NotSent if isinstance(error, NotSentError) else AnswerLost)(facts) from None
        took = (time.monotonic() - began) * 1000
        request_id = answers.request_id(received.headers)
        log.debug("%s %s: HTTP %d in %.0f ms, RequestId %s", method, path, received.status, took, request_id)
        enhanced = any(key != "notifyOption" for key in body or ())
        answer = Answer(method, operation, dataset_id, received.status, received.headers, received.body, enhanced)
        # only the headers of the answer to an accepted change are needed, so its body may be incomplete
        if received.incomplete_because and not (answer.ok and method != "GET"):
            raise AnswerLost(
                Facts(service_message=f"{self._host}, {received.incomplete_because}", http_status=received.status)
            )
        return answer

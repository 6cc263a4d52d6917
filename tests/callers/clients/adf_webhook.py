"""The WebHook activity: it makes one call with a callback address, then waits for one call to that address."""

import json
import secrets
from dataclasses import dataclass
from typing import Any, Protocol

from tests.callers.clients.adf_http import ActivityFailed, Call, Send, Token, proof, seconds_of
from tests.callers.clients.pace import Pace

Json = dict[str, Any]

ANSWER_SECONDS = 60.0
"""The seconds in which the first call must be answered, independently of `timeout`."""
DEFAULT_TIMEOUT = "00:10:00"


class Mailbox(Protocol):
    """The callback addresses of the service."""

    def address(self, name: str) -> str:
        """The URI of a new address."""

    def take(self, name: str, seconds: float) -> bytes | None:
        """Waits for the call to an address. Returns its body, or None if there was no call. Later calls are refused."""


@dataclass(frozen=True)
class WebHookActivity:
    """Runs the evaluated `typeProperties` of a WebHook activity."""

    send: Send
    token: Token
    pace: Pace
    mailbox: Mailbox
    wait_seconds: float = 60.0
    """The real seconds after which an activity times out, whatever its timeout: the tests cannot wait for hours."""

    def __call__(self, properties: Json) -> Json:
        """The output. Raises ActivityFailed if the call fails or the callback reports a failure."""
        assert properties["method"] == "POST"
        assert "Content-Type" in properties["headers"]
        seconds_of(properties.get("timeout", DEFAULT_TIMEOUT))
        body = json.loads(properties["body"])
        assert isinstance(body, dict)
        name = secrets.token_hex(8)
        body["callBackUri"] = self.mailbox.address(name)
        headers = {**properties["headers"], **proof(properties.get("authentication"), self.token)}
        answer = self.send(Call("POST", properties["url"], self.pace.limit(ANSWER_SECONDS), headers, json.dumps(body)))
        if not 200 <= answer.status < 300:
            raise ActivityFailed("2108", f"The answer to the webhook is '{answer.status}': '{answer.text}'")
        # according to the documentation, the activity also polls after a 202; it would then wait for two things
        assert not (answer.status == 202 and "location" in answer.headers), "a 202 with Location on the webhook route"
        called = self.mailbox.take(name, self.wait_seconds)
        if called is None:
            raise ActivityFailed("TimedOut", "The webhook got no callback in time.")
        return self._output(called, report=bool(properties.get("reportStatusOnCallBack")))

    def _output(self, called: bytes, *, report: bool) -> Json:
        try:
            body = json.loads(called)
        except ValueError:
            raise ActivityFailed("2001", "The body of the callback is not JSON.") from None
        if not isinstance(body, dict):
            raise ActivityFailed("2001", "The body of the callback is not a JSON object.")
        if report and int(body.get("StatusCode", 200)) >= 400:
            error = body.get("Error") or {}
            raise ActivityFailed(str(error.get("ErrorCode", "")), str(error.get("Message", "")))
        output = body.get("Output") if report else body
        return output if isinstance(output, dict) else {}

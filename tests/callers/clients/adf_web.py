"""The Web activity: one call. After a 202 with a Location it polls that address until the answer is not a 202."""

from dataclasses import dataclass
from typing import Any

from tests.callers.clients.adf_http import (
    CUT_SECONDS,
    WEB_BYTES,
    ActivityFailed,
    Answer,
    Call,
    Send,
    Token,
    json_object,
    proof,
    seconds_of,
)
from tests.callers.clients.pace import Pace

Json = dict[str, Any]

METHODS = ("GET", "POST", "PUT", "DELETE")
DEFAULT_ANSWER = "00:01:00"
MAX_ANSWER = 600.0
DEFAULT_LOOK_SECONDS = 15.0
"""The seconds between two polls if the answer has no Retry-After. The real value is not documented."""


@dataclass(frozen=True)
class WebActivity:
    """Runs the evaluated `typeProperties` of a Web activity."""

    send: Send
    token: Token
    pace: Pace

    def __call__(self, properties: Json, timeout: float) -> Json:
        """The output. Raises ActivityFailed for a missing answer, an error status, a wrong body, or the timeout."""
        method = properties["method"]
        assert method in METHODS, method
        end = self.pace.now() + timeout
        headers = {**properties.get("headers", {}), **proof(properties.get("authentication"), self.token)}
        answer = self._ask(Call(method, properties["url"], self._limit(properties), headers, properties.get("body")))
        while answer.status == 202 and "location" in answer.headers and not properties.get("turnOffAsync"):
            self.pace.wait(float(answer.headers.get("retry-after", DEFAULT_LOOK_SECONDS)))
            if self.pace.now() > end:
                raise ActivityFailed("2001", "The activity ran into its timeout.")
            # without the headers of the first call: it is not documented that they are sent again, so the address must
            # suffice
            answer = self._ask(Call("GET", answer.headers["location"], self._limit(properties)))
        return json_object(answer, "2001", "The response is not a JSON object.")

    def _limit(self, properties: Json) -> float:
        limit = seconds_of(properties.get("httpRequestTimeout", DEFAULT_ANSWER))
        assert limit <= MAX_ANSWER, limit
        return self.pace.limit(min(limit, CUT_SECONDS))

    def _ask(self, call: Call) -> Answer:
        answer = self.send(call)
        if not 200 <= answer.status < 300:
            status = f"{answer.status}"
            raise ActivityFailed(
                "2108", f"Invoking Web Activity failed with HttpStatusCode - '{status}', message - '{answer.text}'"
            )
        if len(answer.body) > WEB_BYTES:
            raise ActivityFailed("2001", "The response is larger than 4 MB.")
        return answer

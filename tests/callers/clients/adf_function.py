"""The Azure Function activity: one call to a function. It does not poll: a 202 is a success."""

from dataclasses import dataclass
from typing import Any

from tests.callers.clients.adf_http import CUT_SECONDS, ActivityFailed, Call, Send, Token, json_object
from tests.callers.clients.pace import Pace

Json = dict[str, Any]


@dataclass(frozen=True)
class FunctionActivity:
    """Runs the evaluated `typeProperties` of an Azure Function activity.

    `linked_services` has the `typeProperties` of the linked services by name, `secrets` the values of their secrets.
    """

    send: Send
    token: Token
    pace: Pace
    linked_services: dict[str, Json]
    secrets: dict[str, str]

    def __call__(self, properties: Json, linked_service: str) -> Json:
        """The output. Raises ActivityFailed if there is no answer, an error status or a body that is not a JSON
        object."""
        service, method, name = self.linked_services[linked_service], properties["method"], properties["functionName"]
        body = properties.get("body")
        assert (body is None) == (method in ("GET", "HEAD", "TRACE")), (
            "a body with GET, HEAD or TRACE, or a missing body"
        )
        headers = {**properties.get("headers", {}), **self._proof(service)}
        url = f"{service['functionAppUrl']}/api/{name}"
        answer = self.send(Call(method, url, self.pace.limit(CUT_SECONDS), headers, body))
        if not 200 <= answer.status < 300:
            message = f"Call to provided Azure function '{name}' failed with status-'{answer.status}' and message - "
            raise ActivityFailed("3608", f"{message}'{answer.text}'.")
        return json_object(answer, "3603", "Response Content is not a valid JObject.")

    def _proof(self, service: Json) -> dict[str, str]:
        if service.get("authentication") == "MSI":
            return {"Authorization": f"Bearer {self.token(service['resourceId'])}"}
        return {"x-functions-key": self.secrets[service["functionKey"]["secretName"]]}

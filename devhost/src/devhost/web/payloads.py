"""The URLs of the management API, for check-status bodies and for the JSON text of a durable client."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

WEBHOOKS = "/runtime/webhooks/durabletask"
RPC = "/durabletask"
CONNECTION = "Storage"


@dataclass(frozen=True, slots=True)
class Links:
    """Builds the URLs for one task hub. `base` is scheme, host and port."""

    hub: str
    code: str

    def of(self, base: str, instance_id: str, hub: str = "", connection: str = "") -> dict[str, str]:
        """The URLs with which to manage an instance."""
        query = f"taskHub={hub or self.hub}&connection={connection or CONNECTION}&code={self.code}"
        root = f"{base}{WEBHOOKS}/instances/{quote_plus(instance_id, safe='!*()')}"
        return {
            "id": instance_id,
            "statusQueryGetUri": f"{root}?{query}",
            "sendEventPostUri": f"{root}/raiseEvent/{{eventName}}?{query}",
            "terminatePostUri": f"{root}/terminate?reason={{text}}&{query}",
            "rewindPostUri": f"{root}/rewind?reason={{text}}&{query}",
            "purgeHistoryDeleteUri": f"{root}?{query}",
            "restartPostUri": f"{root}/restart?{query}",
            "suspendPostUri": f"{root}/suspend?reason={{text}}&{query}",
            "resumePostUri": f"{root}/resume?reason={{text}}&{query}",
        }

    def check_status(self, base: str, instance_id: str) -> dict[str, str]:
        """The body of a 202 of the management API. It has no rewind URL."""
        links = self.of(base, instance_id)
        del links["rewindPostUri"]
        return links

    def client_text(self, base: str, rpc_base: str, binding: Mapping[str, Any]) -> str:
        """The JSON text from which the SDK creates a durable client."""
        hub, connection = binding.get("taskHub") or "", binding.get("connectionName") or ""
        create = f"{base}{WEBHOOKS}/orchestrators/{{functionName}}[/{{instanceId}}]?"
        return json.dumps(
            {
                "taskHubName": hub or self.hub,
                "connectionName": connection or None,
                "creationUrls": {
                    "createNewInstancePostUri": f"{create}code={self.code}",
                    "createAndWaitOnNewInstancePostUri": (
                        f"{create}timeout={{timeoutInSeconds}}&pollingInterval={{intervalInSeconds}}&code={self.code}"
                    ),
                },
                "managementUrls": self.of(base, "INSTANCEID", hub, connection),
                "baseUrl": f"{base}{WEBHOOKS}",
                "requiredQueryStringParameters": f"code={self.code}",
                "rpcBaseUrl": f"{rpc_base}{RPC}/",
                "httpBaseUrl": None,
            }
        )

"""The calls of Power BI's REST API that a refresh needs. Each method makes one attempt, or two if Power BI rejects the
token of the first one; timers do the waiting.

Paths always have the `/groups/` form, the only one that app identities may use. For failures of the network or the
service every method raises the errors of `power_bi.errors` and no others. Source: Microsoft's reference of
refresh-dataset-in-group, get-refresh-history-in-group, get-refresh-execution-details-in-group, cancel-refresh-in-group.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from outbound.exchange import Limits, Transport
from power_bi import answers
from power_bi.credentials import TokenSource
from power_bi.errors import AnswerLost, Refused, Throttled
from power_bi.models import ListedModel, Models
from power_bi.names import Names
from power_bi.throttle import Throttle
from power_bi.wire import LIMITS, Answer, Wire
from refresh.failure.catalogue import ModelNames
from refresh.history.rows import RefreshRow, parse_details, parse_row

HISTORY_ROWS = 60
"""The number of rows that the service keeps for a frequently refreshed model, which is also its default."""
HISTORY_LIMITS = replace(LIMITS, body_bytes=1024 * 1024, cut=True)
"""Sixty rows have about 40 KB, or with long errors a few hundred KB. The rest of a longer answer is not read."""

Json = dict[str, Any]


@dataclass(frozen=True)
class History:
    """The newest refreshes of a model, newest first. `service_time` is the service's own clock (UTC)."""

    rows: tuple[RefreshRow, ...]
    service_time: datetime | None
    power_bi_request_id: str | None


@dataclass(frozen=True)
class Started:
    """An accepted refresh: its id (GUID in lower case), and the service's own clock (UTC)."""

    refresh_id: str
    service_time: datetime | None
    power_bi_request_id: str | None


class PowerBiClient:
    """A client for one Power BI service. Safe to use from several threads; keep one for the whole process.

    `api_url` must be https (plain http only for this machine); otherwise ValueError. `transport` replaces the network,
    so that tests can call a service in the same process.
    """

    def __init__(self, api_url: str, credential: TokenSource, *, transport: Transport | None = None) -> None:
        self._wire = Wire(api_url, credential, transport)
        self._throttle = Throttle()
        self._names = Names(self._wire, self._throttle)
        self._models = Models(self._wire, self._throttle)

    def names(self, workspace_id: UUID, dataset_id: UUID) -> ModelNames:
        """The names of the model and its workspace, if they can be read. Never raises for Power BI or the network.

        A process reads a name once. If it cannot be read, the next attempt is made after 15 minutes at the earliest. A
        call that reads both names takes at most six seconds, other calls take no time.
        """
        return self._names.of(workspace_id, dataset_id)

    def known_names(self, workspace_id: UUID, dataset_id: UUID) -> ModelNames:
        """The names that are known without a call; empty until `names` has read them."""
        return self._names.known(workspace_id, dataset_id)

    def models(self, workspace_id: UUID) -> Iterator[ListedModel]:
        """The models of a workspace that the app's identity may see, in no particular order."""
        return self._models.of(workspace_id)

    def history(self, workspace_id: UUID, dataset_id: UUID, top: int = HISTORY_ROWS) -> History:
        """The newest `top` refreshes of the model, whatever started them. A new refresh may be missing for a while."""
        answer = self._ask(
            "GET", "read the refresh history", workspace_id, dataset_id, f"?$top={int(top)}", limits=HISTORY_LIMITS
        )
        listed = answers.rows_in(answer.body, top) if answer.status == 200 else None
        if listed is None:
            raise answer.error()
        rows = tuple(row for row in map(parse_row, listed) if row is not None)
        return History(rows, answers.service_time(answer.headers), answers.request_id(answer.headers))

    def start(self, workspace_id: UUID, dataset_id: UUID, body: Json | None) -> Started:
        """Starts a refresh. `body` comes from `refresh.scope.body.refresh_body`; None is a standard refresh.

        Raises AnswerLost if the refresh may have been accepted: search the history then, never POST again.
        """
        answer = self._ask("POST", "start a refresh", workspace_id, dataset_id, body=body or {})
        if not answer.ok or (answer.status != 202 and answer.body.strip()):
            # an acceptance has no body; a 200 with a body comes from something else, such as a proxy
            raise answer.error()
        refresh_id = answers.refresh_id_of(answer.headers)
        if refresh_id is None:
            raise AnswerLost(replace(answer.facts, service_message="accepted, but without an id of the refresh"))
        return Started(refresh_id, answers.service_time(answer.headers), answers.request_id(answer.headers))

    def refresh(self, workspace_id: UUID, dataset_id: UUID, refresh_id: UUID | str) -> RefreshRow | None:
        """A refresh read by its id; None if Power BI does not find it by id, as can happen with standard refreshes.

        None does not prove that the refresh does not exist: a model that the app is not allowed to see can look the
        same.
        """
        tail = UUID(str(refresh_id))
        answer = self._ask("GET", "read the refresh", workspace_id, dataset_id, f"/{tail}")
        value = answers.json_of(answer.body)
        # the status is 202 while the refresh runs; a refresh has one of these two keys, an error body in a 200 has
        # neither
        if answer.status in (200, 202) and isinstance(value, dict) and ("status" in value or "extendedStatus" in value):
            return parse_details(value, str(tail))
        error = answer.error()
        # the answer for an unknown id, or for a kind of refresh that cannot be read by id, is not documented: it is 404
        # or 400
        unknown = (answer.status, error.code) in ((404, "ModelNotFound"), (400, "UnexpectedAnswer"))
        if unknown and not error.facts.page:
            return None
        raise error

    def cancel(self, workspace_id: UUID, dataset_id: UUID, refresh_id: UUID | str) -> bool:
        """Cancels an enhanced refresh: True if Power BI will try, False if the refresh has already ended.

        The cancellation takes effect later. The refresh may end by itself before that; only its row shows which of the
        two happened. Raises Refused (RefreshNotFound) for an id that Power BI does not know.
        """
        answer = self._ask("DELETE", "cancel the refresh", workspace_id, dataset_id, f"/{UUID(str(refresh_id))}")
        if answer.ok:
            return True
        error = answer.error()
        if answer.status == 409 or (answer.status == 400 and "cannot be cancel" in (error.service_message or "")):
            return False
        if (answer.status, error.code) == (404, "ModelNotFound"):
            raise Refused(error.facts, "RefreshNotFound")
        raise error

    def _ask(
        self,
        method: str,
        operation: str,
        workspace_id: UUID,
        dataset_id: UUID,
        tail: str = "",
        body: Json | None = None,
        limits: Limits = LIMITS,
    ) -> Answer:
        # typed ids: no text of a caller is pasted into a path
        path = f"/v1.0/myorg/groups/{UUID(str(workspace_id))}/datasets/{UUID(str(dataset_id))}/refreshes{tail}"
        # a cancel (DELETE) skips the throttle: it is only tried a few times, and a caller waits for it
        if method != "DELETE":
            self._throttle.check(str(dataset_id), operation)
        answer = self._wire.exchange(method, path, body, operation, str(dataset_id), limits=limits)
        if not answer.ok and isinstance(error := answer.error(), Throttled):
            self._throttle.keep(str(dataset_id), error)
        return answer

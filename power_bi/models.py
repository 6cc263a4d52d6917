"""The models of a workspace (GET /groups/{id}/datasets).

Microsoft's reference documents no paging. If the service does page, it uses `@odata.nextLink`. Only the query of that
address is used, with our own path, because the app must not call the host in it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from power_bi import answers
from power_bi.errors import Throttled
from power_bi.throttle import Throttle
from power_bi.wire import Wire
from refresh.ids import parse_guid

MAX_PAGES = 20
_QUERY = re.compile(r"[A-Za-z0-9$%&=._~+:-]{1,2000}", re.ASCII)


@dataclass(frozen=True)
class ListedModel:
    """A model of a workspace: its id (GUID in lower case), its name, and whether Power BI calls it refreshable."""

    dataset_id: str
    name: str
    refreshable: bool


class Models:
    """Lists models. Safe to use from several threads."""

    def __init__(self, wire: Wire, throttle: Throttle) -> None:
        self._wire, self._throttle = wire, throttle

    def of(self, workspace_id: UUID) -> Iterator[ListedModel]:
        """The models of a workspace, page by page, at most MAX_PAGES. Raises the errors of `power_bi.errors`."""
        path, key, operation = (
            f"/v1.0/myorg/groups/{UUID(str(workspace_id))}/datasets",
            str(workspace_id),
            "list models",
        )
        query = ""
        for _ in range(MAX_PAGES):
            self._throttle.check(key, operation)
            answer = self._wire.exchange("GET", path + query, None, operation, "")
            value = answers.json_of(answer.body) if answer.status == 200 else None
            rows = value.get("value") if isinstance(value, dict) else None
            if not isinstance(value, dict) or not isinstance(rows, list):
                error = answer.error()
                if isinstance(error, Throttled):
                    self._throttle.keep(key, error)
                raise error
            yield from filter(None, map(_model, rows))
            query = _next_query(value.get("@odata.nextLink"))
            if not query:
                return


def _model(row: Any) -> ListedModel | None:
    dataset_id = parse_guid(row.get("id")) if isinstance(row, dict) else None
    if dataset_id is None:
        return None
    name = row.get("name")
    return ListedModel(dataset_id, name if isinstance(name, str) else "", row.get("isRefreshable") is True)


def _next_query(link: object) -> str:
    query = urlsplit(link).query if isinstance(link, str) else ""
    return f"?{query}" if _QUERY.fullmatch(query) else ""

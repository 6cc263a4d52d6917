"""Pages of the list: newest first over all pages, whatever the order of the engine and its times of creation."""

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable.codec import encode
from durable.engine import Page
from durable.instance import Instance
from refresh.request.spec import RequestSpec
from refresh.request.state import RequestState
from refresh.request.values import BadRequestError
from refresh.scope.scope import Scope
from refresh.times import instant, parse_time, time_of
from triggers import http_list
from triggers.http_list import Filters, requests_before
from triggers.list_pages import LIFETIME, PAGE_REQUESTS, Place, decode_continuation, encode_continuation

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
MODEL = "22222222-aaaa-bbbb-cccc-000000000001"
ALL = Filters(None, None, frozenset())
SECRET = b"secret"


@dataclass
class Engine:
    """The list of an engine, in an order that means nothing."""

    instances: list[Instance]
    read: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def list_all(self, prefix: str, **query: Any) -> Any:
        """Instances created in a period, in no order."""
        self.asked.append(query)
        since, until = query["since"], query["until"]
        for instance in random.Random(len(self.asked)).sample(self.instances, len(self.instances)):
            created = parse_time(instance.created)
            assert created is not None
            fits = instance.id.startswith(prefix) and since <= created and (until is None or created <= until)
            if fits and (not query["statuses"] or instance.status in query["statuses"]):
                self.read += 1
                yield instance


def request(number: int, asked: datetime, created: datetime | None = None, **more: Any) -> Instance:
    """A request, as the engine lists it; created when it was asked for, or later."""
    spec = RequestSpec(dataset_id=MODEL, scope=Scope(workspace_id=MODEL))
    state = RequestState(
        spec=spec, token="t", read_token="r", cancel_token="c", requested_at=instant(asked)
    )
    # the engine shows whole seconds
    born = instant((created or asked).replace(microsecond=0))
    more = {"status": "Running", **more}
    return Instance(id=f"{MODEL.replace('-', '')}-{number:05}", name="refresh_request", input=encode(state), created=born, **more)


def pages(engine: Engine, filters: Filters = ALL, now: datetime = NOW) -> list[list[str]]:
    """The ids of each page, followed to the end."""
    found, before = [], None
    while True:
        page, before = asyncio.run(requests_before(engine, filters, before, now))  # type: ignore[arg-type]
        found.append([listed.request.id for listed in page])
        if before is None:
            return found


def newest_first(instances: Iterable[Instance]) -> list[str]:
    """The ids by the time that was asked at."""
    return [each.id for each in sorted(instances, key=lambda each: (each.input["requestedAt"], each.id), reverse=True)]


def estate(count: int, seed: int, over: timedelta) -> list[Instance]:
    """Requests of some time, of which each continued as new until some time later, and what else the engine has."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        asked = NOW - over * chance.random()
        lived = min(timedelta(minutes=chance.expovariate(1 / 60)), LIFETIME, NOW - asked)
        found.append(request(number, asked, asked + lived * chance.random()))
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("over", [timedelta(minutes=1), timedelta(hours=9), timedelta(days=3), timedelta(days=400)])
def test_newest_first_holds_over_all_pages(over: timedelta, seed: int) -> None:
    """Of 230 requests page 1 has the newest 50, and each request is on one page."""
    instances = estate(230, seed, over)
    found = pages(Engine(instances))
    assert [len(page) for page in found] == [50, 50, 50, 50, 30]
    assert [name for page in found for name in page] == newest_first(instances)

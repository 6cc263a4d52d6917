"""The pages of the list are newest first, for any order of the engine and any times of creation."""

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable.codec import encode
from durable.instance import Instance
from refresh.request.spec import RequestSpec
from refresh.request.state import RequestState
from refresh.request.values import BadRequestError
from refresh.scope.scope import Scope
from refresh.times import instant, parse_time
from triggers import http_list
from triggers.http_list import Filters, requests_before
from triggers.list_pages import LIFETIME, PAGE_REQUESTS, Place, decode_continuation, encode_continuation

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
MODEL = "22222222-aaaa-bbbb-cccc-000000000001"
ALL = Filters(None, None, frozenset())
SECRET = b"secret"


@dataclass
class Engine:
    """The list of an engine, in a random order."""

    instances: list[Instance]
    read: int = 0
    queries: list[dict[str, Any]] = field(default_factory=list)

    async def list_all(self, prefix: str, **query: Any) -> Any:
        """The instances that were created in a period, in a random order."""
        self.queries.append(query)
        since, until = query["since"], query["until"]
        for instance in random.Random(len(self.queries)).sample(self.instances, len(self.instances)):  # noqa: S311
            created = parse_time(instance.created)
            assert created is not None
            fits = instance.id.startswith(prefix) and since <= created and (until is None or created <= until)
            if fits and (not query["statuses"] or instance.status in query["statuses"]):
                self.read += 1
                yield instance


def request(number: int, accepted: datetime, created: datetime | None = None, **more: Any) -> Instance:
    """A request in the engine's list. Its instance was created when it was accepted, or later."""
    spec = RequestSpec(dataset_id=MODEL, scope=Scope(workspace_id=MODEL))
    state = RequestState(spec=spec, token="t", read_token="r", cancel_token="c", requested_at=instant(accepted))
    # the times of the engine are in whole seconds
    created_at = instant((created or accepted).replace(microsecond=0))
    more = {"status": "Running", **more}
    return Instance(
        id=f"{MODEL.replace('-', '')}-{number:05}",
        name="refresh_request",
        input=encode(state),
        created=created_at,
        **more,
    )


def pages(engine: Engine, filters: Filters = ALL, now: datetime = NOW) -> list[list[str]]:
    """The ids on each page, from the first page to the last."""
    found, before = [], None
    while True:
        page, before = asyncio.run(requests_before(engine, filters, before, now))  # type: ignore[arg-type]
        found.append([listed.request.id for listed in page])
        if before is None:
            return found


def newest_first(instances: Iterable[Instance]) -> list[str]:
    """The ids by the time of acceptance."""
    return [each.id for each in sorted(instances, key=lambda each: (each.input["requested_at"], each.id), reverse=True)]


def requests_over(count: int, seed: int, over: timedelta) -> list[Instance]:
    """Requests that were accepted over some time. Each of them continued as new for some time afterwards."""
    chance = random.Random(seed)  # noqa: S311 - the same requests each time
    found = []
    for number in range(count):
        accepted = NOW - over * chance.random()
        duration = min(timedelta(minutes=chance.expovariate(1 / 60)), LIFETIME, NOW - accepted)
        found.append(request(number, accepted, accepted + duration * chance.random()))
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("over", [timedelta(minutes=1), timedelta(hours=9), timedelta(days=3), timedelta(days=400)])
def test_newest_first_holds_over_all_pages(over: timedelta, seed: int) -> None:
    """Of 230 requests, the first page has the newest 50, and each request is on exactly one page."""
    instances = requests_over(230, seed, over)
    found = pages(Engine(instances))
    assert [len(page) for page in found] == [50, 50, 50, 50, 30]
    assert [name for page in found for name in page] == newest_first(instances)


@pytest.mark.parametrize("count", [0, 1, PAGE_REQUESTS, PAGE_REQUESTS + 1])
def test_the_last_page_has_no_continuation(count: int) -> None:
    """For any number of requests, the last page has no continuation, and no page is empty."""
    instances = requests_over(count, 1, timedelta(days=2))
    assert [name for page in pages(Engine(instances)) for name in page] == newest_first(instances)
    assert len(pages(Engine(instances))) == max(1, -(-count // PAGE_REQUESTS))


def test_requests_of_the_same_time_are_on_one_page_each() -> None:
    """If a page ends within a burst of requests, each of them is still on exactly one page."""
    instances = [request(number, NOW) for number in range(3 * PAGE_REQUESTS)]
    assert [name for page in pages(Engine(instances)) for name in page] == newest_first(instances)


def test_a_request_past_its_deadline_is_on_a_page() -> None:
    """The app was stopped for a month. The request then continued as new once more, long past its deadline."""
    old = request(999, NOW - timedelta(days=30), NOW)
    instances = [*requests_over(120, 1, timedelta(days=20)), old]
    found = [name for page in pages(Engine(instances)) for name in page]
    assert sorted(found) == sorted(each.id for each in instances)
    found.remove(old.id)
    assert found == newest_first(instances[:-1])


def test_since_is_the_time_of_acceptance() -> None:
    """`since` is compared with the time of acceptance, not with the engine's creation time, which is later."""
    since = NOW - timedelta(hours=5)
    instances = [request(number, NOW - timedelta(hours=number), NOW) for number in range(10)]
    engine = Engine(instances)
    (page,) = pages(engine, Filters(None, since, frozenset()))
    assert page == newest_first(instances)[:6]
    assert min(query["since"] for query in engine.queries) == since - timedelta(minutes=1)


def test_the_engine_filters_by_status() -> None:
    """The engine filters by status, so ended instances, which are the majority, are not read."""
    instances = [request(number, NOW, status="Completed" if number % 10 else "Running") for number in range(100)]
    engine = Engine(instances)
    (page,) = pages(engine, Filters(None, None, frozenset({"queued"})))
    assert (len(page), engine.read) == (10, 10)


@pytest.mark.parametrize(
    ("dataset_id", "target", "advice"),
    [
        (None, "datasetId", 'Filter by "datasetId", or send a later time as "since".'),
        (MODEL.replace("-", ""), "since", 'Send a later time as "since".'),
    ],
)
def test_the_advice_for_too_many_instances_is_new(
    monkeypatch: pytest.MonkeyPatch, dataset_id: str | None, target: str, advice: str
) -> None:
    """A caller that already filters by model is not told to do so."""
    monkeypatch.setattr(http_list, "MAX_ROWS", 1)
    engine = Engine([request(number, NOW) for number in range(10)])
    with pytest.raises(BadRequestError) as problem:
        pages(engine, Filters(dataset_id, None, frozenset()))
    assert (problem.value.target, str(problem.value).endswith(f" {advice}")) == (target, True)


@pytest.mark.parametrize("read", [1, 50])
def test_the_number_of_reads_is_limited(monkeypatch: pytest.MonkeyPatch, read: int) -> None:
    """At the limit, the page has only rows that are certain. If there are none, the caller is told to filter by
    model."""
    monkeypatch.setattr(http_list, "MAX_ROWS", read)
    old = [request(number, NOW - timedelta(hours=3)) for number in range(100)]
    new = [request(number, NOW) for number in range(100, 120)]
    if read == 1:
        with pytest.raises(BadRequestError) as problem:
            pages(Engine(old + new))
        assert problem.value.target == "datasetId"
    else:
        page, in_progress = asyncio.run(http_list.requests_before(Engine(old + new), ALL, None, NOW))  # type: ignore[arg-type]
        assert [listed.request.id for listed in page] == newest_first(new)
        assert in_progress == Place(instant(NOW - timedelta(hours=1)))


def test_a_page_reads_no_more_than_it_needs() -> None:
    """Of ten thousand requests, the first page reads only the instances of an hour."""
    instances = [request(number, NOW - timedelta(minutes=number)) for number in range(10_000)]
    engine = Engine(instances)
    asyncio.run(http_list.requests_before(engine, ALL, None, NOW))  # type: ignore[arg-type]
    assert engine.read < 65


CONTINUATION = encode_continuation(Place(instant(NOW), f"{MODEL}-1"), ALL.text, SECRET)


def test_a_continuation_is_read_again() -> None:
    """A continuation can be decoded, and used in a URL without escapes."""
    assert decode_continuation(CONTINUATION, ALL.text, SECRET) == Place(instant(NOW), f"{MODEL}-1")
    assert CONTINUATION.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "continuation",
    ["a", "AAAA", CONTINUATION[:-1], CONTINUATION + "A", CONTINUATION + "=", CONTINUATION[:9] + "!" + CONTINUATION[9:],
     "B" + CONTINUATION[1:], CONTINUATION.lower(), "ä", "\ud800", "x" * 5000,
     encode_continuation(Place("yesterday", "x"), ALL.text, SECRET)],
)  # fmt: skip
def test_a_forged_continuation_is_refused(continuation: str) -> None:
    """A continuation that the app did not issue is refused, whatever its content is."""
    with pytest.raises(BadRequestError) as problem:
        decode_continuation(continuation, ALL.text, SECRET)
    assert problem.value.target == "continuation"


@pytest.mark.parametrize(
    ("filters", "secret"),
    [(Filters(MODEL, None, frozenset()), SECRET), (Filters(None, NOW, frozenset()), SECRET),
     (Filters(None, None, frozenset({"failed"})), SECRET), (ALL, b"another")],
)  # fmt: skip
def test_a_continuation_belongs_to_its_list(filters: Filters, secret: bytes) -> None:
    """A continuation is invalid with other filters, or after the app's key has changed."""
    with pytest.raises(BadRequestError):
        decode_continuation(CONTINUATION, filters.text, secret)

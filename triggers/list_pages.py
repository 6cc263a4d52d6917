"""Pages of the list of requests, newest first: their order, their continuation, and how far back to search.

The engine lists instances in its own order and only filters by creation time, which each continue-as-new resets. But an
instance of a request is never created before the request was sent, and a request continues as new until its deadline at
the latest. So all requests sent at or after a time T are among the instances created at or after T, and those sent
before a time K are among the instances created before K plus the longest deadline. A page reads such windows of time,
each older and longer than the one before, until no older window can contain a request that belongs on the page.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from heapq import nlargest
from operator import attrgetter

from durable.instance import Instance
from refresh.request.spec import MAX_TIMEOUT_MINUTES
from refresh.request.stored import StoredRequest
from refresh.request.values import BadRequestError
from refresh.times import instant, parse_time, time_of

PAGE_REQUESTS = 50
"""Requests on a page."""
LIFETIME = timedelta(minutes=MAX_TIMEOUT_MINUTES, hours=1)
"""The longest time from a request's start to its last continue-as-new, if the app is not stopped in between."""
CLOCKS = timedelta(minutes=1)
"""The largest difference between the clocks of the app's hosts."""
FIRST_WINDOW = timedelta(hours=1)
GROWTH = 24
WINDOWS = 3
"""The number of windows of growing length: an hour, a day, 24 days. After these, one window has everything older."""
SIGNATURE_BYTES = 16
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
"""Every request is newer than this."""


@dataclass(frozen=True, order=True)
class Place:
    """The place of a request in the list; places are ordered from old to new. `at` has the form of `instant`.

    A place without a request is older than all requests of that time.
    """

    at: str
    request: str = ""


@dataclass(frozen=True)
class Window:
    """Instances created from `after` to `until`. Once this window and those before it have been read, every request
    since `complete_from` is known."""

    after: datetime
    until: datetime | None
    complete_from: str


@dataclass(frozen=True)
class Listed:
    """A request and its place in the list."""

    place: Place
    request: StoredRequest


def place_of(request: StoredRequest, instance: Instance) -> Place:
    """The place of a request, from the time when it was sent.

    If the app was stopped for long, a request can last beyond its deadline, and the windows for the time at which it
    was sent would miss it. So the list orders such a request by a later time: LIFETIME before its last continue-as-new.
    """
    requested_at, created = request.state.requested_at, parse_time(instance.created)
    return Place(max(requested_at, instant(created - LIFETIME)) if created else requested_at, request.id)


def windows(before: Place | None, since: datetime | None, now: datetime) -> Iterator[Window]:
    """The windows in which to search for requests before a place (None: all), newest window first."""
    begin = time_of(before.at) if before else now
    floor, length = since or EARLIEST, FIRST_WINDOW
    # instances created later belong to newer requests, which earlier pages have shown
    until = begin + LIFETIME + CLOCKS if before else None
    for number in range(WINDOWS + 1):
        after = max(begin - length, floor) if number < WINDOWS else floor
        yield Window(after - CLOCKS, until, instant(after))
        if after == floor:
            return
        # neighbouring windows overlap: the time of a request and the creation time of its instance come from different
        # clocks
        begin, until, length = after, after + CLOCKS, length * GROWTH


class Newest:
    """The newest requests before a place (None: all) among the added ones. Keeps only as many as a page needs."""

    def __init__(self, before: Place | None) -> None:
        self._before = before
        self._found: dict[str, Listed] = {}

    def add(self, place: Place, request: StoredRequest) -> None:
        """Adds a request. A request that is listed twice, because it continued as new in between, counts once."""
        if self._before is None or place < self._before:
            self._found.setdefault(request.id, Listed(place, request))
        if len(self._found) > 4 * PAGE_REQUESTS:
            self._found = {listed.request.id: listed for listed in self._sorted()}

    def page(self, complete_from: str) -> list[Listed]:
        """The requests at or after a time, newest first; at most one page."""
        return [listed for listed in self._sorted() if listed.place.at >= complete_from][:PAGE_REQUESTS]

    def more_than_a_page(self, complete_from: str) -> bool:
        """Whether the requests at or after a time fill more than one page."""
        return sum(listed.place.at >= complete_from for listed in self._found.values()) > PAGE_REQUESTS

    def _sorted(self) -> list[Listed]:
        return nlargest(PAGE_REQUESTS + 1, self._found.values(), key=attrgetter("place"))


def encode_continuation(place: Place, filters: str, secret: bytes) -> str:
    """The place of a page's last request as a signed text for callers. `filters`: the filters of the list, as text."""
    text = f"{place.at} {place.request}"
    return urlsafe_b64encode(_signature(text, filters, secret) + text.encode()).decode().rstrip("=")


def decode_continuation(continuation: str, filters: str, secret: bytes) -> Place:
    """The place in a continuation that a caller sends.

    Raises BadRequestError unless `encode_continuation` created it with these filters and this secret.
    """
    try:
        value = urlsafe_b64decode(continuation + "=" * (-len(continuation) % 4))
        at, _, request = value[SIGNATURE_BYTES:].decode("ascii").partition(" ")
        place = Place(at, request)
        if parse_time(at) and hmac.compare_digest(encode_continuation(place, filters, secret), continuation):
            return place
    except ValueError:  # binascii.Error and UnicodeError are ValueErrors
        pass
    message = '"continuation" must come from an earlier answer with the same "datasetId", "since" and "status".'
    raise BadRequestError(message, "continuation")


def _signature(text: str, filters: str, secret: bytes) -> bytes:
    return hmac.digest(secret, f"list {filters} {text}".encode(), sha256)[:SIGNATURE_BYTES]

"""Pages of the list of requests, newest first: their order, their continuation, and how far back a page is looked for.

The engine lists instances in an order of its own and filters by its time of creation only, which each continue-as-new
resets. But a request is never created before it was asked for, and it continues as new for no longer than its deadline.
So all requests that were asked for at or after a time T are among the instances created at or after T, and those that
were asked for before a time K are among those created before K plus the longest deadline. A page reads such windows of
time, each older and longer than the one before, until it has enough requests that no older window can precede.
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
"""From the time that a request is asked for to its last continue-as-new, in an app that is not stopped meanwhile."""
CLOCKS = timedelta(minutes=1)
"""By how much the clocks of the app's hosts may differ."""
FIRST_WINDOW = timedelta(hours=1)
GROWTH = 24
WINDOWS = 3
"""Windows of growing length: an hour, a day, 24 days; then all that is older."""
SIGNATURE_BYTES = 16
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
"""No request is older."""


@dataclass(frozen=True, order=True)
class Place:
    """Where a request stands in the list: the newest has the greatest. `at` as `instant` writes it.

    Without a request it is the place behind all requests of that time.
    """

    at: str
    request: str = ""


@dataclass(frozen=True)
class Window:
    """Instances created from `after` to `until`. Then all requests from `complete_from` on have been read."""

    after: datetime
    until: datetime | None
    complete_from: str


@dataclass(frozen=True)
class Listed:
    """A request and its place in the list."""

    place: Place
    request: StoredRequest


def place_of(request: StoredRequest, instance: Instance) -> Place:
    """By the time that it was asked for.

    If the app was stopped for long, a request may live beyond its deadline. It is listed as if it had been asked for
    just long enough before it last continued as new.
    """
    asked, created = request.state.requested_at, parse_time(instance.created)
    return Place(max(asked, instant(created - LIFETIME)) if created else asked, request.id)


def windows(before: Place | None, since: datetime | None, now: datetime) -> Iterator[Window]:
    """The windows in which the requests before a place (None: all) are looked for, the newest one first."""
    begin = time_of(before.at) if before else now
    floor, length = since or EARLIEST, FIRST_WINDOW
    # what was created later belongs to a request that comes after the place
    until = begin + LIFETIME + CLOCKS if before else None
    for number in range(WINDOWS + 1):
        after = max(begin - length, floor) if number < WINDOWS else floor
        yield Window(after - CLOCKS, until, instant(after))
        if after == floor:
            return
        # the margin is read twice: creation and clock are those of different hosts
        begin, until, length = after, after + CLOCKS, length * GROWTH


class Newest:
    """The newest requests before a place (None: all) among those that are added. Keeps no more than a page needs."""

    def __init__(self, before: Place | None) -> None:
        self._before = before
        self._found: dict[str, Listed] = {}

    def add(self, place: Place, request: StoredRequest) -> None:
        """Takes a request in. One that comes twice, because it continued as new meanwhile, counts once."""
        if self._before is None or place < self._before:
            self._found.setdefault(request.id, Listed(place, request))
        if len(self._found) > 4 * PAGE_REQUESTS:
            self._found = {listed.request.id: listed for listed in self._sorted()}

    def page(self, complete_from: str) -> list[Listed]:
        """At most a page of those at or after a time, newest first."""
        return [listed for listed in self._sorted() if listed.place.at >= complete_from][:PAGE_REQUESTS]

    def more_than_a_page(self, complete_from: str) -> bool:
        """Whether a page of those at or after a time is full, and another one follows."""
        return sum(listed.place.at >= complete_from for listed in self._found.values()) > PAGE_REQUESTS

    def _sorted(self) -> list[Listed]:
        return nlargest(PAGE_REQUESTS + 1, self._found.values(), key=attrgetter("place"))


def encode_continuation(place: Place, filters: str, secret: bytes) -> str:
    """The place of the last request of a page as callers get it. `filters`: what was asked for, as a text."""
    text = f"{place.at} {place.request}"
    return urlsafe_b64encode(_signature(text, filters, secret) + text.encode()).decode().rstrip("=")


def decode_continuation(continuation: str, filters: str, secret: bytes) -> Place:
    """The place in what a caller hands in.

    Raises BadRequestError for anything that `encode_continuation` did not make with these filters and this secret.
    """
    try:
        value = urlsafe_b64decode(continuation + "=" * (-len(continuation) % 4))
        at, _, request = value[SIGNATURE_BYTES:].decode("ascii").partition(" ")
        place = Place(at, request)
        if parse_time(at) and hmac.compare_digest(encode_continuation(place, filters, secret), continuation):
            return place
    except ValueError:  # binascii.Error and UnicodeError are such
        pass
    message = "continuation must be that of an earlier answer, with the same datasetId, since and status."
    raise BadRequestError(message, "continuation")


def _signature(text: str, filters: str, secret: bytes) -> bytes:
    return hmac.digest(secret, f"list {filters} {text}".encode(), sha256)[:SIGNATURE_BYTES]

"""Reads that fail because a large value was rewritten at the same time.

Azure Storage keeps a text of more than 60 KB (UTF-16, about 30,000 characters) in a blob and the blob's name in the
instance's row. A rewrite creates a new blob and deletes the old one. A reader that has read the row just before the
rewrite asks for a blob that no longer exists, and the engine answers 500.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from devhost.engine.model import Entity, Instance
from devhost.engine.text import to_text

_LARGEST_IN_ROW = 60 * 1024
"""Bytes; longer texts are stored in blobs (DurableTask.AzureStorage)."""
_CLEARLY_SMALL = _LARGEST_IN_ROW // 8
"""Characters; a shorter text fits the row even if each character is escaped and takes four bytes."""


class BlobReads:
    """Tracks which values were rewritten since the last read, and decides whether a read fails.

    `rate` is the probability, from 0 (never) to 1, that the first read after a rewrite fails; it can be changed at any
    time. The draw comes from `seed`; with a rate of 1 exactly the first read after each rewrite fails.
    """

    def __init__(self, rate: float = 0.0, seed: int = 0) -> None:
        self.rate = rate
        self._random = random.Random(seed)  # noqa: S311
        self._in_blobs: dict[tuple[str, str], str] = {}
        self._rewritten: set[tuple[str, str]] = set()
        self._large: set[str] = set()
        """The instances and entities that have had a large value. Only their values have to be compared when they are
        written."""

    def written(self, key: str, thing: Instance | Entity | None) -> None:
        """Records that the row of an instance or entity was written, or deleted if `thing` is None."""
        if key not in self._large and _small(thing):
            return
        for part, text in _parts(thing):
            place = (key, part)
            before = self._in_blobs.get(place)
            # Each batch gives the row of an entity a new blob, even if its state has not changed.
            if before is not None and (isinstance(thing, Entity) or before != text):
                self._rewritten.add(place)
            if thing is None:
                self._rewritten.discard(place)
            if text is not None and in_blob(thing, text):
                self._in_blobs[place] = text
            else:
                self._in_blobs.pop(place, None)
        self._large.add(key)
        if thing is None:
            self._large.discard(key)

    def loaded(self, things: Iterable[Instance | Entity]) -> None:
        """Records the contents of the rows at the start."""
        for thing in things:
            self.written(thing.id, thing)
        self._rewritten.clear()

    def fails(self, key: str, *, with_input: bool) -> bool:
        """Whether a read of an instance or entity fails now. A read fetches the output and, on request, the input."""
        if not self.rate:
            return False
        read = {(key, "output"), (key, "input")} if with_input else {(key, "output")}
        rewritten = read & self._rewritten
        self._rewritten -= rewritten
        return bool(rewritten) and self._random.random() < self.rate


def in_blob(thing: Instance | Entity | None, text: str) -> bool:
    """Whether Azure Storage would keep a text of an instance (for an entity: its state) in a blob."""
    if len(text) <= _CLEARLY_SMALL:
        return False
    # The row of an entity contains its state as a JSON string within JSON.
    whole = to_text(text) if isinstance(thing, Entity) else text
    return len(whole.encode("utf-16-le", "surrogatepass")) > _LARGEST_IN_ROW


def _small(thing: Instance | Entity | None) -> bool:
    if isinstance(thing, Instance):
        return len(thing.input or "") <= _CLEARLY_SMALL and len(thing.output or "") <= _CLEARLY_SMALL
    return thing is None or len(thing.state or "") <= _CLEARLY_SMALL


def _parts(thing: Instance | Entity | None) -> Iterator[tuple[str, str | None]]:
    if isinstance(thing, Entity):
        yield "input", thing.state
    else:
        yield "input", thing.input if thing is not None else None
        yield "output", thing.output if thing is not None else None

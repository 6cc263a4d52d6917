"""The scopes of a queue, each stored once, in a form that stays small with thousands of objects.

A scope consists of a frame (everything but the objects) and a set of objects. The table numbers the objects of its
scopes; a set of objects is an integer in which each object has one bit. So a union is one `|`, whatever the number of
objects, and a scope of 1,000 objects takes 250 characters.
"""

from collections.abc import Iterable
from functools import cached_property
from itertools import accumulate, compress
from typing import NamedTuple, TypeVar

import msgspec

from refresh.messages import replace
from refresh.scope.scope import Scope, TableRef, canonical_objects

T = TypeVar("T")

_BIT_VALUES = bytes.maketrans(b"01", b"\x00\x01")


class Extent(msgspec.Struct, frozen=True, array_like=True):
    """A scope in terms of a ScopeTable. Without objects: the whole model, or a standard refresh.

    `digits`: the set of objects in hexadecimal, without trailing zeros. `zeros`: the number of those zeros.
    """

    frame: int
    digits: str = ""
    zeros: int = 0

    @property
    def objects(self) -> int:
        """The set of objects as bits."""
        return int(self.digits, 16) << (4 * self.zeros) if self.digits else 0


def extent_of(frame: int, objects: int) -> Extent:
    """The extent with this set of objects."""
    digits = f"{objects:x}" if objects else ""
    short = digits.rstrip("0")
    return Extent(frame, short, len(digits) - len(short))


class Partitions(NamedTuple):
    """The partitions among the objects. `of_table`: the partitions of each table that is itself an object."""

    all: int
    tables: int
    of_table: dict[int, list[int]]

    def inside(self, objects: int) -> int:
        """The partitions of each table that is itself in this set. A table does not count if only partitions of it are
        in the set."""
        whole = compress(range(self.tables.bit_length()), flags_of(objects & self.tables))
        return bits_of(number for table in whole for number in self.of_table[table])


class ScopeTable(msgspec.Struct, kw_only=True, omit_defaults=True, dict=True):
    """Frames (scopes without objects), objects (table, or table and partition), and extents. None: a free place."""

    frames: list[Scope | None] = msgspec.field(default_factory=list)
    objects: list[tuple[str, ...]] = msgspec.field(default_factory=list)
    extents: list[Extent | None] = msgspec.field(default_factory=list)

    def copy(self) -> "ScopeTable":
        """A copy that can be changed without changing this table."""
        return ScopeTable(frames=self.frames[:], objects=self.objects[:], extents=self.extents[:])

    def frame(self, extent: Extent) -> Scope:
        """The scope of an extent without its objects."""
        frame = self.frames[extent.frame]
        assert frame is not None  # noqa: S101 - only frames that no extent uses are freed
        return frame

    def extent(self, place: int) -> Extent:
        """The extent at this place."""
        extent = self.extents[place]
        assert extent is not None  # noqa: S101 - only places that no run or member refers to are freed
        return extent

    def put(self, extent: Extent) -> int:
        """Stores an extent, and returns its place."""
        return put(self.extents, extent)

    def take_in(self, scope: Scope) -> Extent:
        """Stores the frame and the objects of a scope, and returns the scope in terms of this table."""
        options = scope.refresh
        if options is None or not options.objects:
            return Extent(put(self.frames, scope))
        frame = put(self.frames, replace(scope, refresh=replace(options, objects=())))
        numbers = {entry: number for number, entry in enumerate(self.objects)}
        mine = []
        for ref in canonical_objects(options.objects):
            entry = (ref.table,) if ref.partition is None else (ref.table, ref.partition)
            number = numbers.get(entry)
            if number is None:
                number = numbers[entry] = len(self.objects)
                self.objects.append(entry)
                self.__dict__.pop("partitions", None)
            mine.append(number)
        return extent_of(frame, bits_of(mine))

    def scope(self, extent: Extent) -> Scope:
        """The scope that an extent stands for."""
        frame = self.frame(extent)
        if frame.refresh is None or not extent.digits:
            return frame
        entries = compress(self.objects, flags_of(extent.objects))
        objects = canonical_objects(tuple(TableRef(*entry) for entry in entries))
        return replace(frame, refresh=replace(frame.refresh, objects=objects))

    @cached_property
    def partitions(self) -> Partitions:
        """The partitions among the objects."""
        numbers = {entry[0]: number for number, entry in enumerate(self.objects) if len(entry) == 1}
        everything, of_table = list[int](), dict[int, list[int]]()
        for number, entry in enumerate(self.objects):
            if len(entry) > 1:
                everything.append(number)
                if entry[0] in numbers:
                    of_table.setdefault(numbers[entry[0]], []).append(number)
        return Partitions(bits_of(everything), bits_of(of_table), of_table)

    @property
    def used(self) -> int:
        """The objects that at least one extent contains."""
        objects = 0
        for extent in self.extents:
            if extent is not None:
                objects |= extent.objects
        return objects

    def free_unused(self, used: set[int]) -> None:
        """Frees the places of unused extents, and the frames and objects that only they needed."""
        free_unused(self.extents, used)
        free_unused(self.frames, {extent.frame for extent in self.extents if extent is not None})
        objects = self.used
        if objects.bit_count() * 2 < len(self.objects):
            self._renumber(objects)

    def _renumber(self, used: int) -> None:
        """Removes the objects that no extent contains."""
        flags = flags_of(used) + bytes(len(self.objects) - used.bit_length())
        before = [0, *accumulate(flags)]
        for place, extent in enumerate(self.extents):
            if extent is not None and extent.digits:
                start = 4 * extent.zeros
                bits = f"{int(extent.digits, 16):b}"[::-1]
                remaining = "".join(compress(bits, flags[start : start + len(bits)]))
                self.extents[place] = extent_of(extent.frame, int(remaining[::-1], 2) << before[start])
        self.objects = list(compress(self.objects, flags))
        self.__dict__.pop("partitions", None)


def put(places: list[T | None], value: T) -> int:
    """Stores a value in a list without duplicates, and returns its place: the first free place, or a new one. A value
    that is already there keeps its place."""
    try:
        return places.index(value)
    except ValueError:
        pass
    try:
        place = places.index(None)
    except ValueError:
        places.append(value)
        return len(places) - 1
    places[place] = value
    return place


def free_unused(places: list[T | None], used: set[int]) -> None:
    """Frees unused places."""
    for place in range(len(places)):
        if place not in used:
            places[place] = None
    while places and places[-1] is None:
        places.pop()


def bits_of(numbers: Iterable[int]) -> int:
    """The set of these objects as bits."""
    found = [*numbers]
    flags = bytearray(max(found) // 8 + 1 if found else 0)
    for number in found:
        flags[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(flags, "little")


def flags_of(objects: int) -> bytes:
    """A byte of 0 or 1 for each object, the first one first."""
    return f"{objects:b}"[::-1].encode().translate(_BIT_VALUES) if objects else b""

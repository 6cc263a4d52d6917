"""The faults of the platform that can be switched on, on the command line or while the devhost runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devhost.engine import BlobReads, Latency


class BadFaults(Exception):  # noqa: N818
    """The faults are invalid; the message says why."""


@dataclass(frozen=True, slots=True)
class Faults:
    """The values of all faults; by default there are none. Raises BadFaults.

    `latency`, `internal_latency`: maximum delays in seconds (see `engine.latency`); `blob_reads_fail`: a probability
    (see `engine.blobs`); `seed`: the seed of the random draws.
    """

    latency: float = 0.0
    internal_latency: float = 0.0
    blob_reads_fail: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("latency", "internal_latency"):
            if not 0 <= getattr(self, name) <= _LONGEST:
                raise BadFaults(f"{name} must be a number of seconds from 0 to {_LONGEST}, not {getattr(self, name)}")
        if not 0 <= self.blob_reads_fail <= 1:
            raise BadFaults(f"blob_reads_fail must be a probability from 0 to 1, not {self.blob_reads_fail}")


_LONGEST = 3600
_NAMES = ("latency", "internalLatency", "blobReadsFail")


class FaultControl:
    """Reads and changes the faults of an engine. Use it on the thread of the engine, after the engine was started."""

    def __init__(self, faults: Faults) -> None:
        self.latency = Latency(faults.latency, faults.internal_latency, faults.seed)
        self.blob_reads = BlobReads(faults.blob_reads_fail, faults.seed)

    def report(self) -> dict[str, float]:
        return {
            "latency": self.latency.client,
            "internalLatency": self.latency.internal,
            "blobReadsFail": self.blob_reads.rate,
        }

    def change(self, body: bytes) -> dict[str, float]:
        """Changes the faults that a JSON object contains; returns all faults. Raises BadFaults."""
        values = {**self.report(), **_numbers(body)}
        faults = Faults(values["latency"], values["internalLatency"], values["blobReadsFail"])
        self.latency.client, self.latency.internal = faults.latency, faults.internal_latency
        self.blob_reads.rate = faults.blob_reads_fail
        return self.report()


def _numbers(body: bytes) -> Mapping[str, float]:
    try:
        values: Any = json.loads(body)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise BadFaults("the body must be a JSON object")
    for name, value in values.items():
        if name not in _NAMES:
            raise BadFaults(f"there is no fault {name!r}; the faults are {', '.join(_NAMES)}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadFaults(f"{name} must be a number, not {value!r}")
    return {name: float(value) for name, value in values.items()}

"""The durable engine of the devhost: its rules and its state. It has no clock, thread or socket.

A driver uses `Engine` and `Hub`; `MemoryStore` or `SqliteStore` stores the state. `devhost.runner` drives the engine in
real time. A simulation drives the same engine with its own time and order.
"""

from devhost.engine.actions import HTTP_ACTIVITY
from devhost.engine.blobs import BlobReads
from devhost.engine.core import Engine
from devhost.engine.hub import Hub, Query
from devhost.engine.latency import Latency
from devhost.engine.model import Call, Functions, Item, Outcome, Raised, Returned
from devhost.engine.refusals import Refused
from devhost.engine.sqlite_store import SqliteStore, StateInUse
from devhost.engine.store import MemoryStore, Store
from devhost.engine.times import exact, whole_seconds
from devhost.engine.versions import Versioning

__all__ = [
    "HTTP_ACTIVITY",
    "BlobReads",
    "Call",
    "Engine",
    "Functions",
    "Hub",
    "Item",
    "Latency",
    "MemoryStore",
    "Outcome",
    "Query",
    "Raised",
    "Refused",
    "Returned",
    "SqliteStore",
    "StateInUse",
    "Store",
    "Versioning",
    "exact",
    "whole_seconds",
]

"""The scope: what a refresh does, which decides which requests can share it."""

from hashlib import sha256
from typing import Literal

import msgspec

from refresh.messages import Message

RefreshType = Literal["Full", "ClearValues", "Calculate", "DataOnly", "Automatic", "Defragment"]
CommitMode = Literal["Transactional", "PartialBatch"]
NotifyOption = Literal["NoNotification", "MailOnFailure", "MailOnCompletion"]


class TableRef(msgspec.Struct, frozen=True, omit_defaults=True, order=True):
    """A table of a model, or one of its partitions, with Power BI's names."""

    table: str
    partition: str | None = None


class RefreshOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The options of an enhanced refresh in canonical form, as `refresh.scope.options` returns them.

    Keys are written as Power BI spells them. None means Power BI's default. `objects` is empty for the whole model,
    otherwise sorted and without duplicates.
    """

    type: RefreshType = "Full"
    commit_mode: CommitMode | None = None
    max_parallelism: int | None = None
    retry_count: int | None = None
    objects: tuple[TableRef, ...] = ()
    apply_refresh_policy: bool | None = None
    effective_date: str | None = None
    timeout: str | None = None

    @property
    def whole_model(self) -> bool:
        """Whether the refresh covers the whole model."""
        return not self.objects


class Scope(Message, frozen=True, kw_only=True):
    """The part of a request that says what the refresh does. Requests with equal scopes can share one refresh.

    `workspace_id` is a GUID in lower case; `refresh` is None for a standard refresh.
    """

    workspace_id: str
    refresh: RefreshOptions | None = None
    notify_option: NotifyOption = "NoNotification"

    @property
    def enhanced(self) -> bool:
        """Whether the refresh is an enhanced one, which can be read by id and cancelled."""
        return self.refresh is not None


def canonical_objects(objects: tuple[TableRef, ...]) -> tuple[TableRef, ...]:
    """The same objects, sorted, without duplicates, and without partitions of tables that are listed as a whole."""
    whole = {entry.table for entry in objects if entry.partition is None}
    remaining = {entry for entry in objects if entry.partition is None or entry.table not in whole}
    return tuple(sorted(remaining, key=lambda entry: (entry.table, entry.partition or "")))


def fingerprint(scope: Scope) -> str:
    """A short digest of a scope: equal scopes have equal digests."""
    return sha256(msgspec.json.encode(scope, order="deterministic")).hexdigest()[:8]

"""Orchestration versions: which instances this host runs.

An instance keeps the version it was started with. A host has a version of its own (`defaultVersion` in host.json) and a
rule for instances of other versions. The rule also decides what happens to the instances that the host does not run:
they wait, or they fail.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal

MatchStrategy = Literal["None", "Strict", "CurrentOrOlder"]
FailureStrategy = Literal["Reject", "Fail"]
MISMATCH = "VersionMismatch: Orchestration version did not comply with Worker Versioning"
"""The output of an instance that fails because of its version."""

_NUMBERS = re.compile(r"\d+(\.\d+){1,3}", re.ASCII)


@dataclass(slots=True)
class Versioning:
    """The version of a host and its rule for instances of other versions.

    `match`: "CurrentOrOlder" runs instances of the host's version and of older versions, "Strict" only instances of the
    host's version, "None" all instances. `failure`: what happens to the instances that the host does not run: "Reject"
    leaves them and their messages until another host runs them; "Fail" fails them.
    """

    default: str | None = None
    match: MatchStrategy = "CurrentOrOlder"
    failure: FailureStrategy = "Reject"

    def runs(self, version: str | None) -> bool:
        """Whether the host runs instances of a version. `version` is None for instances that were started without
        one."""
        if self.match == "Strict":
            return (version or "") == (self.default or "")
        return self.match == "None" or compare(version, self.default) <= 0


@functools.lru_cache(256)
def compare(one: str | None, other: str | None) -> int:
    """A number below zero if `one` is older than `other`, zero if they are the same, above zero if `one` is newer.

    The rules are those of DurableTask.Core. An instance without a version is older than every version. Versions of two
    to four numbers ("1.10") are compared as numbers, and a missing part is older than an existing part (1.0 before
    1.0.0). All other versions ("2", "v3") are compared as case-insensitive texts, so that "10" comes before "9".
    """
    one, other = (one or "").strip(), (other or "").strip()
    if not one or not other:
        return bool(one) - bool(other)
    if _NUMBERS.fullmatch(one) and _NUMBERS.fullmatch(other):
        numbers, others = ([int(n) for n in v.split(".")] for v in (one, other))
        return (numbers > others) - (numbers < others)
    return (one.upper() > other.upper()) - (one.upper() < other.upper())

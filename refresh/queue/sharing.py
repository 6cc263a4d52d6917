"""Which refresh may serve which wish: the rules by which requests of a queue share runs. Pure, about scopes as JSON.

A scope is what `refresh.request.spec.Scope` writes: workspace_id, refresh (the options of an enhanced refresh in
canonical form, or None for a standard one), notify_option.

* Equal scopes share a run.
* A refresh of the whole model serves a *narrower* wish, for some of its objects, that does the same to them: type,
  commit mode, refresh policy and effective date are equal. How fast, how often tried and how long (maxParallelism,
  retryCount, timeout) may differ.
* Two partial wishes whose other options are all equal are *merged* into one run with all their objects.

All others stand alone: whole models with different options; a whole model behind a partial wish that came first (to
widen that one would make hours of minutes); different commit modes. A standard refresh neither serves an enhanced wish
nor is served by one: it takes other options and cannot be cancelled.
"""

from collections.abc import Iterable
from typing import Any

from refresh.request.options import MAX_OBJECTS

Json = dict[str, Any]

_WHAT = {"type": "Full", "commitMode": "Transactional", "applyRefreshPolicy": True, "effectiveDate": None}
"""The options that decide what a refresh does to its objects, with Power BI's defaults."""


def serves(wide: Json, narrow: Json) -> bool:
    """Whether a refresh of the scope `wide` does all that `narrow` wishes."""
    if wide == narrow:
        return True
    ours, theirs = wide["refresh"], narrow["refresh"]
    if not _same_kind(wide, narrow) or "objects" not in theirs:
        return False
    if "objects" not in ours:
        return all(ours.get(key, usual) == theirs.get(key, usual) for key, usual in _WHAT.items())
    return _same_otherwise(ours, theirs) and all(_holds(ours["objects"], entry) for entry in theirs["objects"])


def merged(first: Json, second: Json) -> Json | None:
    """The scope that serves two partial ones; None if they cannot be one refresh."""
    ours, theirs = first["refresh"], second["refresh"]
    if not _same_kind(first, second) or "objects" not in ours or "objects" not in theirs:
        return None
    if not _same_otherwise(ours, theirs):
        return None
    objects = list(ours["objects"])
    objects += [entry for entry in theirs["objects"] if not _holds(objects, entry)]
    whole = {entry["table"] for entry in objects if "partition" not in entry}
    objects = [entry for entry in objects if "partition" not in entry or entry["table"] not in whole]
    # the service counts objects too, and none of the two may fail because of the other
    return None if len(objects) > MAX_OBJECTS else {**first, "refresh": {**ours, "objects": objects}}


def together(scopes: Iterable[Json]) -> Json | None:
    """The narrowest scope known to serve all of these; None if they have none in common, or there are none."""
    found: Json | None = None
    seen: list[Json] = []
    for scope in scopes:
        if scope in seen:
            continue
        seen.append(scope)
        if found is None or serves(scope, found):
            found = scope
        elif not serves(found, scope):
            found = merged(found, scope)
            if found is None:
                return None
    return found


def spared(narrow: Json | None, outcome: Json) -> bool:
    """Whether a failure is nothing to a request whose scope was only a part of the run's (None: it was all of it).

    It counts only if its own objects failed, or if Power BI never got to the objects: then it would fail alone too.
    """
    if narrow is None or outcome["status"] == "Completed" or outcome["status"] == "OutcomeUnknown":
        return False
    error = outcome.get("error") or {}
    if outcome.get("refreshId") is None:
        # a refusal of the options may be about the others' objects; all else would be the same for one alone
        return bool(error.get("code") == "InvalidRefreshRequest")
    failed = [tuple(entry) for entry in outcome.get("failedObjects") or ()]
    if error.get("table"):
        failed.append((error["table"], error.get("partition")))
    return not any(_touches(entry, *found) for entry in narrow["refresh"]["objects"] for found in failed)


def _same_kind(first: Json, second: Json) -> bool:
    """Both enhanced, of one workspace, and with the same mails."""
    if first["refresh"] is None or second["refresh"] is None:
        return False
    return all(first[key] == second[key] for key in ("workspace_id", "notify_option"))


def _same_otherwise(ours: Json, theirs: Json) -> bool:
    """All options but the objects are equal."""
    return {**ours, "objects": None} == {**theirs, "objects": None}


def _holds(objects: list[Json], entry: Json) -> bool:
    """Whether these objects hold the table or partition; a table without partition is all of it."""
    return any(known in (entry, {"table": entry["table"]}) for known in objects)


def _touches(entry: Json, table: str, partition: str | None) -> bool:
    """Whether what failed is, or is a part of, or holds what was wished."""
    parts = (entry.get("partition"), partition)
    return entry["table"] == table and (None in parts or parts[0] == parts[1])

"""How values change on their way through inputs, results, states and outputs."""

from __future__ import annotations

from typing import Any

from devhost_tests.recording import HOOK, World, scenario

VALUES: dict[str, Any] = {
    "date_z": {"t": "2026-11-24T10:00:00Z"},
    "date_zeros": {"t": "2026-11-24T10:00:00.1230000Z"},
    "date_micro": {"t": "2026-11-24T10:00:00.123456Z"},
    "date_offset": {"t": "2026-11-24T10:00:00+02:00"},
    "date_naive": {"t": "2026-11-24T10:00:00"},
    "date_only_text": "2026-11-24T10:00:00.1200000Z",
    "floats": [1.0, 0.1, 1e21, 1e-9, -0.0],
    "integers": [2**53 + 1, 2**63 - 1, 2**63, 10**30],
    "unicode": {"ä": "日本語 \u0000 \u2028 😀 </script>"},
    "quotes": 'a "quoted" \\ text',
    "json_text": '{"inner": 1}',
    "number_text": "0123",
    "guid_text": "DDDDDDDD-0000-4000-8000-00000000000D".lower(),
    "deep": {"a": [{"b": [{"c": [None, True, {}, []]}]}]},
    "type_key": {"$type": "System.String", "$id": "1", "$ref": "2", "a": 1},
    "order": {"z": 1, "a": 2, "m": 3},
    "empty_text": "",
    "number": 0,
    "none": None,
    "false": False,
}


@scenario
def values_through(w: World) -> None:
    """A value as input, activity input and result, custom status and output."""
    ids = {k: w.start("EchoInput", v, id=k) for k, v in VALUES.items()}
    for k, i in ids.items():
        w.end(i, label=f"value {k}", timeout=20)


@scenario
def values_in_entities(w: World) -> None:
    for k, v in VALUES.items():
        if k in ("none", "false", "number", "empty_text"):
            continue
        i = w.start("EntityState", {"key": w.id(k), "state": v}, id=f"e-{k}")
        w.end(i, label=f"entity state {k}", timeout=20)
        w.call("GET", f"{HOOK}/entities/counter/{w.id(k)}", label=f"GET entity {k}")


@scenario
def returns(w: World) -> None:
    for k in ("none", "zero", "empty", "false", "list", "object", "text", "number"):
        i = w.start("Returns", k, id=k)
        w.end(i, label=f"returns {k}")


@scenario
def sizes(w: World) -> None:
    for n in (1000, 40000, 100000, 3000000):
        i = w.start("Big", n, id=f"b{n}")
        b = w.until(i, timeout=60)
        w.note(
            f"output of {n} characters",
            {
                "runtimeStatus": b.get("runtimeStatus"),
                "length": len(str(b.get("output"))),
                "head": str(b.get("output"))[:80],
            },
        )
    for n in (8000, 8190, 8193, 20000):
        i = w.start("BigStatus", n, id=f"s{n}")
        b = w.until(i, timeout=15)
        w.note(
            f"custom status of {n} characters",
            {
                "runtimeStatus": (b.get("still") or b).get("runtimeStatus"),
                "output": str((b.get("still") or b).get("output"))[:400],
                "length": len(str((b.get("still") or b).get("customStatus"))),
            },
        )

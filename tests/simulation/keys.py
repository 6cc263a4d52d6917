"""Callers with idempotency keys in the simulated world: who asked under which key, and what each was answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

Json = dict[str, Any]

MOST_TRIES = 4
TRY_AGAIN_SECONDS = 30.0


@dataclass
class Asked:
    """One POST under a key. `id` is None where the answer names no request (409, 503)."""

    at: datetime
    dataset_id: str
    key: str
    scope: Json
    code: int
    id: str | None
    repeated: bool


def scope_of(wish: Json) -> Json:
    """The part of a wish that a key stands for; Power BI's default is written down, as the app does it."""
    refresh = wish.get("refresh")
    return {"refresh": refresh and {"type": "full", **refresh}}

"""Function keys: not checked by default, as in Core Tools; checked as on Azure with `--keys`."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of this host. If `checked` is False, every request is allowed."""

    host: str
    master: str
    system: str
    """The key `durabletask_extension`, which is part of the URLs of the management API."""
    checked: bool

    @classmethod
    def load(
        cls, value: Callable[[str], str | None], keep: Callable[[str, str], None], *, system: str | None, checked: bool
    ) -> Keys:
        """The stored keys; missing ones are generated and stored. `system` replaces the management key."""

        def key(name: str) -> str:
            stored = value(name)
            if stored is None:
                stored = secrets.token_urlsafe(32)
                keep(name, stored)
            return stored

        return cls(key("key.host"), key("key.master"), system or key("key.system"), checked)

    def may_call(self, level: str, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        """Whether a request may call a function of an authorization level."""
        allowed = {"ANONYMOUS": None, "FUNCTION": (self.host, self.master)}.get(level.upper(), (self.master,))
        return not self.checked or allowed is None or self._has(allowed, headers, query)

    def may_manage(self, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        """Whether a request may use the management API; function and host keys do not allow it."""
        return not self.checked or self._has((self.system, self.master), headers, query)

    @staticmethod
    def _has(allowed: tuple[str, ...], headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        code = headers.get("x-functions-key") or query.get("code") or ""
        return any(hmac.compare_digest(code.encode(), key.encode()) for key in allowed)

"""The JSON body of the POST to Power BI."""

from typing import Any

import msgspec

from refresh.scope.scope import NotifyOption, RefreshOptions


def refresh_body(options: RefreshOptions | None, notify_option: NotifyOption = "NoNotification") -> dict[str, Any]:
    """The body. Without options a standard refresh, which every capacity runs.

    Its notifyOption is always sent: the reference calls it required, and app identities may send NoNotification.
    With options an enhanced refresh, from which the documentation excludes notifyOption; its type is always explicit.
    """
    if options is None:
        return {"notifyOption": notify_option}
    body: dict[str, Any] = msgspec.to_builtins(options)
    return {**body, "type": options.type}

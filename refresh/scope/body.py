"""The JSON body of the POST to Power BI."""

from typing import Any

import msgspec

from refresh.scope.scope import NotifyOption, RefreshOptions


def refresh_body(options: RefreshOptions | None, notify_option: NotifyOption = "NoNotification") -> dict[str, Any]:
    """The body. Without options it requests a standard refresh, which every capacity can run.

    A standard refresh always sends notifyOption: the reference calls it required, and app identities may send
    NoNotification. With options the body requests an enhanced refresh, for which the documentation excludes
    notifyOption; its type is always explicit.
    """
    if options is None:
        return {"notifyOption": notify_option}
    body: dict[str, Any] = msgspec.to_builtins(options)
    return {**body, "type": options.type}

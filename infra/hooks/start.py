"""Waits until a new app is ready. Before its roles take effect, its host does not run, or /api/health answers 503."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable

WAIT_SECONDS = 600.0
"""A role assignment takes up to ten minutes: learn.microsoft.com/azure/role-based-access-control/troubleshooting."""
PAUSE_SECONDS = 15.0
ANSWER_SECONDS = 30.0
NOT_FOUND = 404
"""Before the host knows the functions of a new app, the platform answers with this status."""


def health(url: str) -> int | None:
    """The HTTP status of `/api/health`; None without an answer."""
    try:
        with urllib.request.urlopen(f"{url}/api/health", timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - an https address
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, http.client.HTTPException, ValueError):
        return None


def wait(
    look: Callable[[], int | None],
    show: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Returns when the app is ready, after about ten minutes at the latest, or after Ctrl-C. Shows why it waits."""
    end = clock() + WAIT_SECONDS
    status = look()
    if is_ready(status):
        return
    reason = "does not answer" if status is None else f"answers {status}"
    show(
        f"The app {reason}. After a first deployment this is normal for up to ten minutes, until its roles take "
        "effect. If this is not a first deployment, press Ctrl-C and read /api/health.\n"
        f"The script reads /api/health every {PAUSE_SECONDS:.0f} seconds for up to {WAIT_SECONDS / 60:.0f} minutes ..."
    )
    try:
        while not is_ready(status) and clock() < end:
            sleep(PAUSE_SECONDS)
            status = look()
    except KeyboardInterrupt:
        show("The wait was interrupted; the smoke test says what is wrong.")
        return
    show("The app answers." if is_ready(status) else "The app is still not available; the smoke test says why.")


def is_ready(status: int | None) -> bool:
    """True if the host runs, has the functions of the app, and their checks do not fail."""
    return status is not None and status < 500 and status != NOT_FOUND

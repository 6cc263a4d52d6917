#!/usr/bin/env python3
"""Refreshes a Power BI semantic model through the refresh service, waits for the outcome, and exits with a code for it.

One file for Python 3.9 or newer that uses only the standard library: copy it to where it is needed. The README.md in
its folder has examples.

Exit codes: 0 Completed, 1 Failed, 2 invalid arguments or refused request, 3 Cancelled, 4 TimedOut, 5 OutcomeUnknown,
6 Terminated, 7 the service cannot be reached or gave an unexpected answer, 130 interrupted.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple

Json = dict[str, Any]

EXIT_CODES = {"Completed": 0, "Failed": 1, "Cancelled": 3, "TimedOut": 4, "OutcomeUnknown": 5, "Terminated": 6}
REFUSED, UNREACHABLE, INTERRUPTED = 2, 7, 130
CALL_SECONDS, IDENTITY_SECONDS = 60.0, 10.0
CANCEL_MINUTES = 0.25
MAX_BYTES = 1_000_000
RETRIED = (408, 429, 500, 502, 503, 504)
POLL_SECONDS, MAX_POLL_SECONDS = 5.0, 60.0
REPEAT_SECONDS = 60.0  # after this time an unchanged status is printed again: a log then shows that the command waits
KEY, TOKEN = "REFRESH_KEY", "REFRESH_TOKEN"
IMDS = "http://169.254.169.254/metadata/identity/oauth2/token"
_PROGRESS = [sys.stdout]
"""Where progress is printed: the standard output. With --json it is the standard error, so that the standard output has
only the JSON."""
SUMMARY_KEYS = ("id", "status", "refreshId", "requestedAt", "startedAt", "endedAt", "servedBy", "sharedWith", "error")


class StopError(Exception):
    """Ends the command with an exit code and a message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Answer(NamedTuple):
    """An answer of a server; `body` is empty if it is not a JSON object."""

    status: int
    headers: Message
    body: Json


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Does not follow redirects: that would send the key to another address. A redirect is an unexpected answer."""

    def redirect_request(self, *_: object) -> None:
        return None


def call(request: urllib.request.Request, seconds: float = CALL_SECONDS, *, proxies: bool = True) -> Answer:
    """The answer to a request. Raises OSError if there is no answer, ValueError if it is too large."""
    handlers = [_NoRedirect()] if proxies else [_NoRedirect(), urllib.request.ProxyHandler({})]
    try:
        response = urllib.request.build_opener(*handlers).open(request, timeout=seconds)
    except urllib.error.HTTPError as problem:
        response = problem
    with response:
        content = response.read(MAX_BYTES + 1)
        status, headers = response.getcode(), response.headers
    if len(content) > MAX_BYTES:
        raise ValueError("the answer is too large")
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    return Answer(status, headers, value if isinstance(value, dict) else {})


def call_with_retries(request: urllib.request.Request, outage_minutes: float) -> Answer:
    """The answer to a call, which is repeated while its failure is transient, for at most `outage_minutes`.

    The pause is that of the header Retry-After; without the header it doubles from one to 30 seconds. Raises StopError.
    """
    end, pause = time.monotonic() + 60 * outage_minutes, 1.0
    while True:
        headers = Message()
        try:
            answer = call(request)
            if answer.status not in RETRIED:
                return answer
            problem = f"answers HTTP {answer.status}: {error_message(answer.body)}".rstrip(": .")
            headers = answer.headers
        except (OSError, ValueError, http.client.HTTPException) as error:
            problem = f"does not answer ({getattr(error, 'reason', '') or error or type(error).__name__})"
        seconds = _retry_after(headers, pause)
        if time.monotonic() + seconds > end:
            raise StopError(UNREACHABLE, f"The refresh service {problem}")
        say(f"the refresh service {problem}; next attempt in {seconds:.0f} s")
        time.sleep(seconds)
        pause = pause if "Retry-After" in headers else min(2 * pause, 30.0)


def _retry_after(headers: Message, otherwise: float) -> float:
    """The seconds of the header Retry-After, at least one; `otherwise` if it has no number."""
    try:
        return max(float(headers.get("Retry-After") or otherwise), 1.0)
    except ValueError:
        return otherwise


# ---- authentication ----


def credentials(options: argparse.Namespace) -> dict[str, str]:
    """The headers that authenticate the start. Raises StopError."""
    method = options.auth
    if method == "auto":
        method = _automatic(options)
    if method == "none":
        return {}
    if method == "key":
        return {"x-functions-key": _variable(KEY)}
    if method == "token":
        return {"Authorization": f"Bearer {_variable(TOKEN)}"}
    if not options.audience:
        raise StopError(
            REFUSED, f"--auth {method} needs --audience, such as api://CLIENT_ID of the service's registration."
        )
    source = {"managed-identity": _managed_identity, "service-principal": _service_principal, "az": _az}[method]
    try:
        token = source(options.audience)
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as problem:
        raise StopError(REFUSED, f"No token from {method}: {type(problem).__name__} {problem}") from None
    return {"Authorization": f"Bearer {token}"}


def _automatic(options: argparse.Namespace) -> str:
    """The method for --auth auto: a key or a token from the environment, else the first configured source of tokens."""
    if os.environ.get(KEY):
        return "key"
    if os.environ.get(TOKEN):
        return "token"
    if not options.audience:
        if _loopback(options.url):
            return "none"
        raise StopError(
            REFUSED, f"Set the environment variable {KEY} to a function key, or pass --audience for a token."
        )
    if os.environ.get("AZURE_CLIENT_SECRET"):
        return "service-principal"
    if os.environ.get("IDENTITY_ENDPOINT") or not shutil.which("az"):
        return "managed-identity"
    return "az"


def _managed_identity(audience: str) -> str:
    """A token of a managed identity: from the endpoint of App Service and similar services, else from the metadata
    service of a virtual machine."""
    query = {"resource": audience}
    if os.environ.get("AZURE_CLIENT_ID"):
        query["client_id"] = os.environ["AZURE_CLIENT_ID"]
    endpoint, secret = os.environ.get("IDENTITY_ENDPOINT"), os.environ.get("IDENTITY_HEADER")
    if endpoint and secret:
        url, version, headers = endpoint, "2019-08-01", {"X-IDENTITY-HEADER": secret}
    else:
        url, version, headers = IMDS, "2018-02-01", {"Metadata": "true"}
    query["api-version"] = version
    request = urllib.request.Request(f"{url}?{urllib.parse.urlencode(query)}", headers=headers)
    return _token(request, IDENTITY_SECONDS, proxies=False)  # both addresses are on this machine


def _service_principal(audience: str) -> str:
    """A token of the service principal in AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET. For other clouds,
    set AZURE_AUTHORITY_HOST."""
    authority = os.environ.get("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com").rstrip("/")
    form = {
        "grant_type": "client_credentials",
        "client_id": os.environ["AZURE_CLIENT_ID"],
        "client_secret": os.environ["AZURE_CLIENT_SECRET"],
        "scope": f"{audience.rstrip('/')}/.default",
    }
    url = f"{authority}/{urllib.parse.quote(os.environ['AZURE_TENANT_ID'], safe='')}/oauth2/v2.0/token"
    return _token(urllib.request.Request(url, urllib.parse.urlencode(form).encode()))


def _az(audience: str) -> str:
    command = [shutil.which("az") or "az", "account", "get-access-token", "--resource", audience, "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise ValueError(done.stderr.strip()[:500])
    return str(json.loads(done.stdout)["accessToken"])


def _token(request: urllib.request.Request, seconds: float = CALL_SECONDS, *, proxies: bool = True) -> str:
    """The token in the answer to a request. The request is repeated if the source is busy or does not answer.

    If a source on this machine (`proxies` False) does not answer, it counts as absent, and the request is not repeated.
    """
    for pause in (1.0, 2.0, 4.0, 8.0, 0.0):
        headers = Message()
        try:
            answer = call(request, seconds, proxies=proxies)
            if answer.status not in RETRIED or not pause:
                break
            headers = answer.headers
        except OSError:
            if not proxies or not pause:
                raise
        time.sleep(min(_retry_after(headers, pause), MAX_POLL_SECONDS))
    body = answer.body
    if answer.status != 200 or not body.get("access_token"):
        raise ValueError(f"HTTP {answer.status} {str(body.get('error_description') or body.get('error') or '')[:500]}")
    return str(body["access_token"])


def _variable(name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise StopError(REFUSED, f"The environment variable {name} is not set.")
    return value


# ---- the refresh ----


def run(options: argparse.Namespace) -> Json:
    """Starts the refresh, waits, and returns the final status of the request. Raises StopError."""
    headers = {"Content-Type": "application/json", **credentials(options)}
    start = start_body(options)
    try:
        answer = call_with_retries(_post(f"{options.url}/api/refreshes", start, headers), options.outage_minutes)
    except KeyboardInterrupt:
        known = {name: start[name] for name in ("datasetId", "idempotencyKey")}
        cancel = _post(f"{options.url}/api/refreshes/cancel", known, headers)
        otherwise = "The request may have been accepted; if so, it continues."
        raise StopError(INTERRUPTED, _interrupted(cancel, options, otherwise)) from None
    status, body = answer.status, answer.body
    if status in (200, 424) and body.get("status") in EXIT_CODES:
        return body  # the request of this idempotency key had already ended
    if status != 202 or not body.get("statusUri"):
        hint = " Check the function key, or --audience and AUTH_MODE of the service." if status in (401, 403) else ""
        code = REFUSED if 400 <= status < 500 else UNREACHABLE
        raise StopError(code, f"Not accepted: HTTP {status} {error_message(body)}{hint}")
    say(f"request {body.get('id')} accepted")
    try:
        return wait(str(body["statusUri"]), answer.headers, options.outage_minutes)
    except KeyboardInterrupt:
        cancel = urllib.request.Request(str(body.get("cancelUri")), method="DELETE")
        raise StopError(INTERRUPTED, _interrupted(cancel, options, "The request continues.")) from None


def _post(url: str, body: Json, headers: dict[str, str]) -> urllib.request.Request:
    return urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")


def _interrupted(cancel: urllib.request.Request, options: argparse.Namespace, otherwise: str) -> str:
    """Cancels the request if --cancel-on-interrupt is set. Returns the closing message."""
    if not options.cancel_on_interrupt:
        return f"Interrupted. {otherwise} With --cancel-on-interrupt it would have been cancelled."
    try:
        answer = call_with_retries(cancel, CANCEL_MINUTES)
    except StopError as stop:
        return f"Interrupted. The request could not be cancelled: {stop}"
    if answer.status == 404:
        return "Interrupted. No request had been accepted."
    if answer.status not in (200, 202):
        return f"Interrupted. The request could not be cancelled: HTTP {answer.status} {error_message(answer.body)}"
    return f"Interrupted. The request {'is being cancelled' if answer.status == 202 else 'had already ended'}."


def start_body(options: argparse.Namespace) -> Json:
    """The body of the start. All calls of one run of the command have its idempotency key, so they are one request."""
    body = {
        "workspaceId": options.workspace,
        "datasetId": options.dataset,
        "idempotencyKey": options.idempotency_key or str(uuid.uuid4()),
        "caller": dict(options.caller or [("command", "refresh_model.py")]),
        "refresh": options.refresh,
        "timeoutMinutes": options.timeout_minutes,
        "onTimeout": options.on_timeout,
        "retries": options.retries,
    }
    return {name: value for name, value in body.items() if value is not None}


def wait(status_uri: str, headers: Message, outage_minutes: float) -> Json:
    """Polls until the request has ended. The URI contains a token, so it is never printed."""
    previous, printed = "", 0.0
    while True:
        time.sleep(min(_retry_after(headers, POLL_SECONDS), MAX_POLL_SECONDS))
        answer = call_with_retries(urllib.request.Request(status_uri), outage_minutes)
        body, headers = answer.body, answer.headers
        if answer.status in (200, 424) and body.get("status") in EXIT_CODES:
            return body
        if answer.status != 202:
            raise StopError(UNREACHABLE, f"Unexpected status answer: HTTP {answer.status} {error_message(body)}")
        line = describe(body)
        if line != previous or time.monotonic() - printed >= REPEAT_SECONDS:
            say(line)
            previous, printed = line, time.monotonic()


def describe(body: Json) -> str:
    """A status in one line: position in the queue, expected end, processed objects."""
    parts = [str(body.get("status"))]
    if body.get("position"):
        parts.append(f"{body['position']} ahead in the queue")
    if body.get("expectedEnd"):
        parts.append(f"expected end {body['expectedEnd']}")
    progress = body.get("progress")
    if isinstance(progress, dict):
        completed = (progress.get("byStatus") or {}).get("Completed", 0)
        parts.append(f"{completed} of {progress.get('objects')} objects")
    return ", ".join(parts)


def error_message(body: Json) -> str:
    error = body.get("error")
    return str(error.get("message", "")) if isinstance(error, dict) else str(error or "")


# ---- output ----


def say(text: str) -> None:
    """Prints a line of progress, in which text from the service cannot start a logging command of GitHub or Azure
    DevOps."""
    print(f"{time.strftime('%H:%M:%S')}  {_plain(text)}", flush=True, file=_PROGRESS[0])


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("##vso[", "## vso[").replace("##[", "## [")


def check_output(path: str | None) -> None:
    """Raises StopError if the file of --output cannot be written: no refresh must start whose status would be lost.

    An existing file stays as it is, and no new one remains.
    """
    if not path:
        return
    file = Path(path)
    try:
        if file.exists() and not file.is_file() and not file.is_dir():
            return  # a device or a pipe, such as /dev/stdout
        new = not os.path.lexists(path)
        file.open("a", encoding="utf-8").close()
        if new:
            file.unlink()
    except (OSError, ValueError) as problem:
        message = f"The file of --output cannot be written: {problem}. No refresh was requested."
        raise StopError(REFUSED, message) from None


def write(name: str, path: str, text: str, mode: str = "w") -> None:
    """Writes a file. If that fails, only prints a message: the exit code has to be that of the outcome."""
    try:
        with Path(path).open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as problem:
        print(f"refresh_model: {name} could not be written: {problem}", file=sys.stderr, flush=True)


def report(status: Json) -> int:
    """Prints the outcome, passes it to GitHub or Azure DevOps if one of them runs this, and returns the exit code."""
    outcome, message = str(status["status"]), error_message(status)
    say(f"{outcome}{': ' + message if message else ''}")
    outputs = {
        "status": outcome,
        "request-id": status.get("id"),
        "refresh-id": status.get("refreshId"),
        "error": message,
    }
    if os.environ.get("GITHUB_OUTPUT"):
        lines = "".join(f"{name}={_plain(str(value or ''))}\n" for name, value in outputs.items())
        write("the file of GITHUB_OUTPUT", os.environ["GITHUB_OUTPUT"], lines, "a")
    if outcome != "Completed":
        if os.environ.get("GITHUB_ACTIONS"):
            text = _plain(message).replace("%", "%25")
            print(f"::error title=Refresh {outcome}::{text}", flush=True, file=_PROGRESS[0])
        if os.environ.get("TF_BUILD"):
            print(f"##vso[task.logissue type=error]Refresh {outcome}: {_plain(message)}", flush=True, file=_PROGRESS[0])
    return EXIT_CODES[outcome]


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = parse(arguments)
    _PROGRESS[0] = sys.stderr if options.json else sys.stdout
    if threading.current_thread() is threading.main_thread():  # only this thread may set a handler
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        check_output(options.output)
        status = run(options)
        summary = json.dumps({name: status.get(name) for name in SUMMARY_KEYS}, indent=2)
        if options.output:
            write("the file of --output", options.output, f"{summary}\n")
        code = report(status)
        if options.json:
            print(summary, flush=True)
        return code
    except StopError as stop:
        print(f"refresh_model: {_plain(str(stop))}", file=sys.stderr, flush=True)
        return stop.code
    except KeyboardInterrupt:
        print("refresh_model: Interrupted.", file=sys.stderr, flush=True)
        return INTERRUPTED


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parses the arguments. Secrets are not arguments, because other users of a machine can see a process's
    arguments."""
    parser = argparse.ArgumentParser(
        prog="refresh_model.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--url", required=True, type=_url, help="address of the refresh service: https://NAME.azurewebsites.net")
    add("--workspace", required=True, type=_guid, metavar="GUID", help="workspace of the semantic model")
    add("--dataset", required=True, type=_guid, metavar="GUID", help="the semantic model")
    add("--refresh", type=_object, metavar="JSON", help='options of an enhanced refresh, such as \'{"type": "full"}\'')
    add("--timeout-minutes", type=float, metavar="N", help="deadline for queue and refresh together (default 660)")
    add("--on-timeout", choices=("leave", "cancel"), help="at the deadline: leave the refresh running, or cancel it")
    add("--retries", type=int, metavar="N", help="retries by the service after a transient failure (default 0)")
    add("--idempotency-key", metavar="KEY", help="repeated starts with one key are one request (default: a random key)")
    add("--caller", action="append", type=_pair, metavar="NAME=VALUE", help="shown in status and log; repeatable")
    methods = ("auto", "key", "token", "managed-identity", "service-principal", "az", "none")
    add("--auth", choices=methods, default="auto", help=f"default auto: {KEY}, {TOKEN}, else a token for --audience")
    add("--audience", help="audience of the service's app registration: api://CLIENT_ID")
    add("--cancel-on-interrupt", action="store_true", help="cancel the request on Ctrl-C or SIGTERM")
    add(
        "--outage-minutes", type=float, default=15.0, metavar="N", help="how long to retry calls that fail (default 15)"
    )
    add("--output", metavar="FILE", help="write the final status to a JSON file")
    add("--json", action="store_true", help="print the final status as JSON, and progress to the standard error")
    return parser.parse_args(arguments)


def _loopback(url: str) -> bool:
    return urllib.parse.urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


def _url(text: str) -> str:
    parts = urllib.parse.urlsplit(text)
    if (
        not parts.hostname
        or parts.query
        or not (parts.scheme == "https" or (parts.scheme == "http" and _loopback(text)))
    ):
        raise argparse.ArgumentTypeError("must be an https address (http only on this machine), without a query")
    return text.rstrip("/")


def _guid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a GUID") from None


def _object(text: str) -> Json:
    try:
        value = json.loads(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(f"not JSON: {problem}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("must be a JSON object")
    return value


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


if __name__ == "__main__":
    sys.exit(main())

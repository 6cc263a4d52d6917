"""What a caller of the refresh service must not get wrong: deadline, idempotency key, cancelling, secrets, retries."""

import re
from collections.abc import Iterator
from typing import Any

from dev.logic_apps.durations import seconds_of
from dev.logic_apps.expressions import Access, Call, ExpressionError, Node, parse_text, walk
from dev.logic_apps.lint_expressions import calls_of, first_text
from dev.logic_apps.tree import Action, Json, actions_of, texts_of

START = re.compile(r"/refreshes/?$")
CANCEL = re.compile(r"/refreshes/cancel/?$")
KEY_IN_URL = re.compile(r"[?&](code|key|sig|token|x-functions-key)=", re.IGNORECASE)
DEFAULT_TIMEOUT_MINUTES = 660
SECRET_HEADERS = ("x-functions-key", "authorization", "ocp-apim-subscription-key")


def check_service(definition: Json, secrets: set[str]) -> Iterator[str]:
    """Problems with calls of the service; `secrets` are the parameters that hold one."""
    for action in actions_of(definition):
        for place, call in _http_calls(action):
            yield from _check_secrets(place, call, secrets)
        if _needs_hiding(action, secrets) and "inputs" not in _secured(action):
            yield f"{action.path}.runtimeConfiguration.secureData: its inputs hold a secret and must be secured"
        for place, call in _http_calls(action):
            if START.search(_uri(call)) and call.get("method") == "POST":
                yield from _check_start(action, place, call)
        if action.kind == "HttpWebhook":
            yield from _check_webhook(action)


def _check_start(action: Action, place: str, call: Json) -> Iterator[str]:
    body = call.get("body")
    body = body if isinstance(body, dict) else {}
    limit = seconds_of(action.body.get("limit", {}).get("timeout"))
    minutes = body.get("timeoutMinutes", DEFAULT_TIMEOUT_MINUTES)
    if limit is None:
        yield f"{action.path}.limit.timeout: without one nobody knows how long the action waits"
    elif isinstance(minutes, bool) or not isinstance(minutes, int | float):
        yield f"{place}.body.timeoutMinutes: must be a number, so that limit.timeout can be held against it"
    elif limit <= minutes * 60:
        yield f"{action.path}.limit.timeout: must be above timeoutMinutes ({minutes:g}), or its sentence never arrives"
    if action.body.get("operationOptions") == "DisableAsyncPattern":
        yield f"{action.path}.operationOptions: DisableAsyncPattern takes the 202 for the end"
    yield from _check_key_and_retries(action, place, call, body)


def _check_key_and_retries(action: Action, place: str, call: Json, body: Json) -> Iterator[str]:
    key = body.get("idempotencyKey", call.get("headers", {}).get("Idempotency-Key"))
    retries = call.get("retryPolicy")
    kind = retries.get("type") if isinstance(retries, dict) else "by default"
    if key is None:
        if kind != "none":
            yield f"{place}: retried {kind} without an idempotencyKey: a lost answer starts a second refresh"
        return
    if retries is None or kind == "none":
        yield f"{place}.retryPolicy: with an idempotencyKey it is safe to retry; write down how often"
    if not _names_the_run(key):
        yield f"{place}.body.idempotencyKey: must hold workflow().run.name, or the next run gets this one's verdict"
    for loop in action.loops:
        if not any(call.name == "item" or first_text(call) == loop for call in _calls_with_items(key)):
            yield f"{place}.body.idempotencyKey: must hold a part of the item of {loop}, or all items are one request"


def _check_webhook(action: Action) -> Iterator[str]:
    start, cancel = (action.inputs.get(part) for part in ("subscribe", "unsubscribe"))
    if not isinstance(start, dict) or not isinstance(cancel, dict) or not START.search(_uri(start)):
        return
    asked, taken_back = start.get("body"), cancel.get("body")
    asked = asked if isinstance(asked, dict) else {}
    if not any(call.name == "listcallbackurl" for _, call in calls_of(asked.get("callBackUri"))):
        yield f"{action.path}.inputs.subscribe.body.callBackUri: must be @{{listCallbackUrl()}}, or nobody calls back"
    if not CANCEL.search(_uri(cancel)) or cancel.get("method") != "POST":
        yield f"{action.path}.inputs.unsubscribe: must POST to /api/refreshes/cancel"
    wanted = {key: asked.get(key) for key in ("datasetId", "idempotencyKey")}
    if taken_back != wanted:
        yield f"{action.path}.inputs.unsubscribe.body: must be datasetId and idempotencyKey of subscribe, no more"


def _check_secrets(place: str, call: Json, secrets: set[str]) -> Iterator[str]:
    for part in ("uri", "queries", "body"):
        for path, found in calls_of(call.get(part), f"{place}.{part}"):
            if found.name == "parameters" and first_text(found) in secrets:
                yield f"{path}: a key in an address or a body ends up in logs; send it as a header"
    if KEY_IN_URL.search(_uri(call)):
        yield f"{place}.uri: holds a key; send it as a header"
    queries = call.get("queries")
    for name in queries if isinstance(queries, dict) else ():
        if KEY_IN_URL.search(f"?{name}="):
            yield f"{place}.queries.{name}: a key in an address ends up in logs; send it as a header"
    uri = _uri(call)
    if not uri.startswith(("https://", "@")):
        yield f"{place}.uri: must begin with https:// or an expression"
    headers = call.get("headers")
    for name, value in headers.items() if isinstance(headers, dict) else ():
        if name.lower() in SECRET_HEADERS and not any(True for _ in calls_of(value)):
            yield f"{place}.headers.{name}: a secret is written into the definition; make it a parameter"


def _needs_hiding(action: Action, secrets: set[str]) -> bool:
    """Whether its inputs show a secret: a parameter that holds one, or the address that answers in our place."""
    return any(
        call.name == "listcallbackurl" or (call.name == "parameters" and first_text(call) in secrets)
        for _, call in calls_of(action.body.get("inputs"))
    )


def _secured(action: Action) -> list[str]:
    runtime = action.body.get("runtimeConfiguration")
    secure = runtime.get("secureData", {}).get("properties", []) if isinstance(runtime, dict) else []
    return secure if isinstance(secure, list) else []


def _http_calls(action: Action) -> Iterator[tuple[str, Json]]:
    if action.kind == "Http":
        yield f"{action.path}.inputs", action.inputs
    elif action.kind == "HttpWebhook":
        for part in ("subscribe", "unsubscribe"):
            if isinstance(action.inputs.get(part), dict):
                yield f"{action.path}.inputs.{part}", action.inputs[part]


def _uri(call: Json) -> str:
    uri = call.get("uri")
    return uri if isinstance(uri, str) else ""


def _nodes(value: Any) -> Iterator[Node]:
    for _, text in texts_of(value):
        try:
            yield from walk(parse_text(text))
        except ExpressionError:
            continue


def _names_the_run(value: Any) -> bool:
    """workflow().run.name, with or without `?`, in brackets or after dots."""
    return any(isinstance(node, Access) and _path_of(node) == ["workflow()", "run", "name"] for node in _nodes(value))


def _path_of(node: Node) -> list[str]:
    if isinstance(node, Access):
        return [*_path_of(node.target), str(getattr(node.key, "value", "?"))]
    return [f"{node.name}()"] if isinstance(node, Call) else ["?"]


def _calls_with_items(value: Any) -> Iterator[Call]:
    for node in _nodes(value):
        if isinstance(node, Call) and node.name in ("item", "items", "iterationindexes"):
            yield node

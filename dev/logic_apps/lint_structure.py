"""What the reference of trigger and action types demands of any workflow definition: types, keys, order, places."""

from collections.abc import Iterator
from typing import Any

from dev.logic_apps.durations import seconds_of
from dev.logic_apps.tree import LOOPS, Action, Json, actions_of, groups_of

SCHEMA = "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#"
DEFINITION_KEYS = {"$schema", "contentVersion", "parameters", "triggers", "actions", "outputs", "staticResults"}
ACTION_KEYS = {
    "type", "kind", "inputs", "runAfter", "limit", "runtimeConfiguration", "operationOptions", "description",
    "metadata", "trackedProperties", "correlation",
}  # fmt: skip
OWN_KEYS = {
    "Foreach": {"foreach", "actions"},
    "Until": {"expression", "actions"},
    "If": {"expression", "actions", "else"},
    "Switch": {"expression", "cases", "default"},
    "Scope": {"actions"},
}
NEEDED_INPUTS: dict[str, tuple[str, ...]] = {
    "Http": ("method", "uri"),
    "HttpWebhook": ("subscribe", "unsubscribe"),
    "Response": ("statusCode",),
    "Terminate": ("runStatus",),
    "InitializeVariable": ("variables",),
    "SetVariable": ("name", "value"),
    "AppendToArrayVariable": ("name", "value"),
    "AppendToStringVariable": ("name", "value"),
    "IncrementVariable": ("name",),
    "DecrementVariable": ("name",),
    "Select": ("from", "select"),
    "Query": ("from", "where"),
    "Join": ("from", "joinWith"),
    "ParseJson": ("content", "schema"),
    "Table": ("format", "from"),
    "Workflow": ("host",),
    "Function": ("function",),
    "ApiConnection": ("host", "method", "path"),
    "ApiConnectionWebhook": ("host", "body"),
    "Compose": (),
    "Wait": (),
    "Expression": (),
    "JavaScriptCode": ("code",),
    "ServiceProvider": ("parameters", "serviceProviderConfiguration"),
}
TRIGGERS = {"Request", "Recurrence", "Http", "HttpWebhook", "ApiConnection", "ApiConnectionWebhook", "ServiceProvider"}
STATUSES = ("Succeeded", "Failed", "Skipped", "TimedOut")
METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")
CALL_KEYS = {"method", "uri", "headers", "queries", "body", "authentication", "retryPolicy", "cookie"}
RETRY_TYPES = ("none", "fixed", "exponential")
SECURE = ("inputs", "outputs")
TOP_LEVEL_ONLY = ("InitializeVariable",)
NOT_IN_LOOPS = ("Terminate", "Response")


def check_structure(definition: Json) -> Iterator[str]:
    """Problems, each with the path of where it is."""
    for key in definition.keys() - DEFINITION_KEYS:
        yield f"{key}: no key of a definition"
    if definition.get("$schema") != SCHEMA:
        yield f"$schema: must be {SCHEMA}"
    triggers = definition.get("triggers")
    if not isinstance(triggers, dict) or not triggers:
        yield "triggers: a workflow needs a trigger"
    else:
        for name, trigger in triggers.items():
            if not isinstance(trigger, dict) or trigger.get("type") not in TRIGGERS:
                yield f"triggers.{name}.type: must be one of {', '.join(sorted(TRIGGERS))}"
    if not isinstance(definition.get("actions"), dict) or not definition["actions"]:
        yield "actions: a workflow needs an action"
        return
    seen: set[str] = set()
    for action in actions_of(definition):
        if action.name in seen:
            yield f"{action.path}: the name is used twice, and names count for the whole workflow"
        seen.add(action.name)
        yield from _check_action(action)
    yield from _check_order(definition, "")


def _check_action(action: Action) -> Iterator[str]:
    body, kind = action.body, action.kind
    if kind not in NEEDED_INPUTS and kind not in OWN_KEYS:
        yield f"{action.path}.type: {kind or 'missing'} is no type of an action"
        return
    for key in body.keys() - ACTION_KEYS - OWN_KEYS.get(kind, set()):
        yield f"{action.path}.{key}: no key of an action of type {kind}"
    for key in sorted(OWN_KEYS.get(kind, set()) - {"else", "default"} - body.keys()):
        yield f"{action.path}.{key}: {kind} needs it"
    for key in NEEDED_INPUTS.get(kind, ()):
        if key not in action.inputs:
            yield f"{action.path}.inputs.{key}: {kind} needs it"
    if kind in TOP_LEVEL_ONLY and action.within:
        yield f"{action.path}: {kind} stands at the top level only"
    if kind in NOT_IN_LOOPS and action.loops:
        yield f"{action.path}: {kind} cannot stand in a loop"
    yield from _check_settings(action)
    if kind == "Http":
        yield from _check_call(f"{action.path}.inputs", action.inputs)
    if kind == "HttpWebhook":
        yield from _check_call(f"{action.path}.inputs.subscribe", action.inputs.get("subscribe"))
        unsubscribe = action.inputs.get("unsubscribe")
        yield from _check_call(f"{action.path}.inputs.unsubscribe", unsubscribe)
        if isinstance(unsubscribe, dict) and "retryPolicy" in unsubscribe:
            yield f"{action.path}.inputs.unsubscribe.retryPolicy: only subscribe has one"
    if kind == "Terminate":
        yield from _check_terminate(action)


def _check_settings(action: Action) -> Iterator[str]:
    limit = action.body.get("limit", {})
    timeout = limit.get("timeout") if isinstance(limit, dict) else limit
    if "limit" in action.body and action.kind not in LOOPS and seconds_of(timeout) is None:
        yield f"{action.path}.limit.timeout: must be a duration such as PT12H"
    runtime = action.body.get("runtimeConfiguration", {})
    repetitions = runtime.get("concurrency", {}).get("repetitions", 1) if isinstance(runtime, dict) else None
    if not isinstance(repetitions, int) or not 1 <= repetitions <= 50:
        yield f"{action.path}.runtimeConfiguration.concurrency.repetitions: must be 1 to 50"
    secure = runtime.get("secureData", {}).get("properties", []) if isinstance(runtime, dict) else None
    if not isinstance(secure, list) or any(part not in SECURE for part in secure):
        yield f"{action.path}.runtimeConfiguration.secureData.properties: a list of {' and '.join(SECURE)}"


def _check_call(path: str, call: Any) -> Iterator[str]:
    if not isinstance(call, dict):
        yield f"{path}: must be an object with method and uri"
        return
    for key in call.keys() - CALL_KEYS:
        yield f"{path}.{key}: no key of an HTTP call"
    if call.get("method") not in METHODS:
        yield f"{path}.method: must be one of {', '.join(METHODS)}"
    if not call.get("uri"):
        yield f"{path}.uri: is missing"
    if call.get("method") == "GET" and "body" in call:
        yield f"{path}.body: a GET has none"
    policy = call.get("retryPolicy")
    if policy is None:
        return
    kind = policy.get("type") if isinstance(policy, dict) else None
    if kind not in RETRY_TYPES:
        yield f"{path}.retryPolicy.type: must be one of {', '.join(RETRY_TYPES)}"
    elif kind != "none":
        count, interval = policy.get("count"), seconds_of(policy.get("interval"))
        if not isinstance(count, int) or not 1 <= count <= 90:
            yield f"{path}.retryPolicy.count: must be 1 to 90"
        if interval is None or not 5 <= interval <= 86_400:
            yield f"{path}.retryPolicy.interval: must be PT5S to P1D"


def _check_terminate(action: Action) -> Iterator[str]:
    status = action.inputs.get("runStatus")
    if status not in ("Failed", "Cancelled", "Succeeded"):
        yield f"{action.path}.inputs.runStatus: must be Failed, Cancelled or Succeeded"
    if status == "Failed" and not action.inputs.get("runError", {}).get("message"):
        yield f"{action.path}.inputs.runError.message: says nothing to whoever finds the failed run"
    if status != "Failed" and "runError" in action.inputs:
        yield f"{action.path}.inputs.runError: counts only for Failed"


def _check_order(body: Json, path: str) -> Iterator[str]:
    """runAfter names actions beside it, with statuses that exist, and some action is the first; in all groups."""
    for place, group in groups_of(body, path):
        after = {name: inner.get("runAfter", {}) for name, inner in group.items() if isinstance(inner, dict)}
        for name, others in after.items():
            where = f"{place}.{name}.runAfter"
            if not isinstance(others, dict):
                yield f"{where}: must be an object of names with lists of statuses"
                continue
            for other, statuses in others.items():
                if other not in group:
                    yield f"{where}: no action {other} stands beside it"
                if not isinstance(statuses, list) or not statuses:
                    yield f"{where}.{other}: must be a list of statuses"
                elif any(status not in STATUSES for status in statuses):
                    yield f"{where}.{other}: statuses are {', '.join(STATUSES)}"
        if not _can_be_ordered({name: set(others) & set(group) for name, others in after.items()}):
            yield f"{place}: actions run after one another in a circle"
        for name, inner in group.items():
            if isinstance(inner, dict):
                yield from _check_order(inner, f"{place}.{name}")


def _can_be_ordered(after: dict[str, set[str]]) -> bool:
    left = dict(after)
    while left:
        ready = [name for name, others in left.items() if not others & left.keys()]
        if not ready:
            return False
        for name in ready:
            del left[name]
    return True

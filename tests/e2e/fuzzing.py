"""Sends requests that the app's description allows or forbids, and compares every answer with the description."""

from __future__ import annotations

import copy
import re
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import events, from_schema

from refresh.request.callback_uri import MAX_URI_CHARACTERS
from refresh.request.reply import MAX_WAIT_SECONDS
from refresh.request.spec import MAX_KEY
from refresh.scope.options import WITHOUT_POLICY
from refresh.times import parse_time
from triggers.openapi.bodies import CONTINUATION_PATTERN
from triggers.openapi.description import FUNCTION_KEY, describe

SEED = 20260331
SPELLED = re.compile(r"(?i)-?[0-9]+(\.[0-9]+)?|true|false")
"""Texts that are numbers or booleans."""
TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
"""The form of the format `date-time`."""
KEY_HEADER = "Idempotency-Key"
CHECKS = {
    # the platform answers 404, not 405, to a method that a route does not have
    "unsupported_method": {"enabled": False}
}

# requests must not depend on answers, which contain random ids
_FIXED: Any = {"extra-data-sources": {"responses": False}}
PHASES: dict[str, dict[str, Any]] = {
    "examples": {},
    "coverage": {"unexpected-methods": [], **_FIXED},
    "fuzzing": {"error-feedback": {"enabled": False}, **_FIXED},
    "stateful": {},
}

Json = dict[str, Any]
Mode = Literal["positive", "negative"]


@dataclass
class Findings:
    """The results of a run: `answers` by operation and status, `wrong` as sentences.

    `accepted` are ids of requests, `checked` those of models that were only checked.
    """

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)
    checked: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def seen(self) -> dict[str, set[int]]:
        """The status codes of each operation's answers."""
        labels = {label for label, _ in self.answers}
        return {name: {status for label, status in self.answers if label == name} for name in labels}


def strict(document: Json) -> Json:
    """The document with answers closed to additional keys: callers must tolerate these, but each must be described."""
    document = copy.deepcopy(document)
    _close(document["components"]["schemas"])
    return document


def only(document: Json, path: str) -> Json:
    """The document with only this path."""
    return {**document, "paths": {path: document["paths"][path]}}


def without_start_of_batches(document: Json) -> Json:
    """The document without POST /batches: no schema can express that a name in `dependsOn` exists.

    tests/unit/refresh/batch/test_spec.py has a table of refusals, and `test_fuzz` compares good answers with the
    description.
    """
    return {**document, "paths": {path: item for path, item in document["paths"].items() if path != "/batches"}}


def plain(document: Json) -> Json:
    """The document without the rules between keys of a body, and without the values that these rules are about.

    Boundary values are generated for one key at a time, which such rules would prevent.
    """
    document = copy.deepcopy(document)
    schemas = document["components"]["schemas"]
    for schema, keys in (("RefreshRequest", ("notifyOption", "onTimeout")), ("RefreshOptions", ("commitMode",))):
        for rule in ("allOf", "if", "then"):
            schemas[schema].pop(rule, None)
        for key in keys:
            del schemas[schema]["properties"][key]["enum"][1:]
    return document


def fuzz(base: str, key: str | None, mode: Mode, examples: int, document: Json | None = None) -> Findings:
    """Fuzzes the app at `base` (without `/api`), by its description unless another `document` is given.

    First it sends the boundary values of every key and parameter, then `examples` random calls of each operation. The
    calls are the same in every run. With the `mode` positive it sends what the document allows, with negative what the
    document forbids.
    """
    document = strict(document or without_start_of_batches(describe({"url": f"{base}/api"}, (FUNCTION_KEY,))))
    findings = Findings()
    for phase, described in (("coverage", plain(document)), ("fuzzing", document)):
        config = schemathesis.Config.from_dict(
            {
                "seed": SEED,
                "headers": {"x-functions-key": key} if key else {},
                "checks": CHECKS,
                "generation": {"mode": mode, "max-examples": examples, "deterministic": True, "database": "none"},
                "phases": {name: {**PHASES[name], "enabled": name == phase} for name in PHASES},
            }
        )
        schema = schemathesis.openapi.from_dict(described, config=config)
        schema.config.update(base_url=f"{base}/api")
        schema.hook(filter_case)
        schema.hook(map_case)
        for event in from_schema(schema).execute():
            if isinstance(event, events.ScenarioFinished):
                _read(event, findings)
            elif isinstance(event, events.NonFatalError):
                findings.wrong.append(event.info.format())
            elif isinstance(event, events.FatalError):
                findings.wrong.append(repr(event.exception))
    return findings


def filter_case(context: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Removes cases in which the answer of the app can rightly differ from that in the description.

    A parameter without a value counts as absent: the platform does not pass it to the app. The app also accepts numbers
    and booleans as texts; the description does not say so, because tools would then offer callers a choice. A wait
    together with a callback is refused, but `map_case` makes both keys harmless. A time may have the format of a time
    and still be one that the app cannot represent: a leap second, or a time in one of the years 0, 1 and 9999.
    """
    query = case.query or {}
    if any(value == "" for value in query.values()):
        return False
    since = query.get("since")
    if isinstance(since, str) and TIME.fullmatch(since) and parse_time(since) is None:
        return False
    if _spelled_as_text(case.body) or _waits_and_is_called_back(case.body):
        return False
    # this can only occur if the rules between keys are left out, see `plain`
    return _body_is_bad(case) or not _contradicts_itself(case.body)


def _contradicts_itself(body: object) -> bool:
    options = body.get("refresh") if isinstance(body, dict) else None
    if not isinstance(options, dict):
        return False
    policy, dated = options.get("applyRefreshPolicy"), "effectiveDate" in options
    named = any("partition" in entry for entry in options.get("objects") or ())
    without = named or options.get("type") in WITHOUT_POLICY
    return (without and (policy is True or dated)) or (policy is False and dated)


def _waits_and_is_called_back(body: object) -> bool:
    if not isinstance(body, dict):
        return False
    wait, uri = body.get("waitSeconds"), body.get("callBackUri")
    return isinstance(uri, str) and isinstance(wait, int | float) and wait > 0


def _spelled_as_text(body: object) -> bool:
    if not isinstance(body, dict):
        return False
    given = [body.get(key) for key in ("timeoutMinutes", "waitSeconds", "retries", "share")]
    options = body.get("refresh")
    if isinstance(options, dict):
        given += [options.get(key) for key in ("maxParallelism", "retryCount", "applyRefreshPolicy")]
    return any(isinstance(value, str) and SPELLED.fullmatch(value.strip()) for value in given)


def map_case(context: schemathesis.HookContext, case: schemathesis.Case[Any]) -> schemathesis.Case[Any]:
    """Removes or replaces values that match the description but would be refused, or would take minutes.

    A schema cannot express which continuations the app issued, which hosts it may call, and which keys are in use. In a
    negative case, such values would hide the tested fault: they would themselves cause the refusal.
    """
    continuation = (case.query or {}).get("continuation")
    if isinstance(continuation, str) and re.fullmatch(CONTINUATION_PATTERN, continuation):
        del case.query["continuation"]
    key = case.headers.get(KEY_HEADER) if case.headers else None
    name = sha256(repr(case.body).encode()).hexdigest() * 4
    if isinstance(key, str) and _body_is_bad(case):
        del case.headers[KEY_HEADER]
    elif isinstance(key, str) and 1 <= len(key) <= MAX_KEY:
        case.headers[KEY_HEADER] = name[: len(key)]
    if isinstance(case.body, dict):
        _soften(case.body, name, by_header=KEY_HEADER in (case.headers or {}))
    return case


def _body_is_bad(case: schemathesis.Case[Any]) -> bool:
    """Whether the body was generated to be invalid. Such a case also has a bad header, which could cause the
    refusal."""
    body = case.meta.components.get(ParameterLocation.BODY) if case.meta else None
    return body is not None and body.mode == schemathesis.GenerationMode.NEGATIVE


def _soften(body: Json, name: str, *, by_header: bool) -> None:
    wait, uri, key = body.get("waitSeconds"), body.get("callBackUri"), body.get("idempotencyKey")
    if isinstance(wait, int | float) and 0 < wait <= MAX_WAIT_SECONDS:
        body["waitSeconds"] = 0
    if isinstance(uri, str) and "://" in uri and len(uri) <= MAX_URI_CHARACTERS:
        del body["callBackUri"]
    if isinstance(key, str) and 1 <= len(key) <= MAX_KEY:
        if by_header:
            del body["idempotencyKey"]
        else:
            body["idempotencyKey"] = name[: len(key)]


def _read(event: events.ScenarioFinished, findings: Findings) -> None:
    recorder = event.recorder
    for case_id, interaction in recorder.interactions.items():
        response = interaction.response
        if response is None:
            findings.wrong.append(f"{recorder.label}: no answer to {interaction.request.uri}")
            continue
        findings.answers[recorder.label, response.status_code] += 1
        if interaction.request.method == "POST" and response.status_code < 300:
            if recorder.label == "POST /check":
                findings.checked.add(response.json()["datasetId"])
            else:
                findings.accepted.add(response.json()["id"])
        for check in recorder.checks.get(case_id, []):
            if check.failure_info is not None:
                failure = check.failure_info.failure
                sent = (interaction.request.body or b"")[:500].decode(errors="replace")
                findings.wrong.append(
                    f"{recorder.label}: {check.name}: {failure.title}. {failure.message}\n"
                    f"sent {interaction.request.method} {interaction.request.uri} {sent}\n"
                    f"got {response.status_code} {response.text[:500]}"
                )


def _close(node: object) -> None:
    if isinstance(node, dict):
        if "properties" in node and node.get("type") in ("object", ["object", "null"]):
            node.setdefault("additionalProperties", False)
        for inner in node.values():
            _close(inner)
    elif isinstance(node, list):
        for inner in node:
            _close(inner)

"""The body of POST /api/batches, checked key by key.

Each model is an ordinary request with its own options. The same keys next to `models` are the defaults for all models.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal, TypeAlias

import msgspec

from refresh.batch.graph import cycle_in
from refresh.ids import BATCH_PREFIX, REQUEST_ID, parse_guid
from refresh.messages import Message
from refresh.request.spec import (
    DEFAULT_TIMEOUT_MINUTES,
    KEYS,
    RequestSpec,
    caller_of,
    idempotency_key_of,
    only_known,
    spec_of,
    timeout_of,
)
from refresh.request.values import BadRequestError, boolean, choice, shown_key, whole_number
from refresh.settings import Settings

MAX_BATCH_BODY_BYTES = 1024 * 1024
"""Enough for 500 models with some partitions each."""
MAX_MODELS = 500
MAX_DEPENDENCIES = 5_000
"""The maximum number of dependencies of all models of a batch together."""
MAX_MODEL_NAME = 200
MAX_CONCURRENT, DEFAULT_CONCURRENT = 100, 50
"""The maximum and the default of simultaneous requests of a batch. Each look of the batch reads all of them."""
ON_FAILURE: tuple["OnFailure", ...] = ("continue", "stop")
BATCH_LEVEL_KEYS = ("timeoutMinutes", "idempotencyKey", "waitSeconds", "callBackUri", "caller")
"""Keys of a request that a batch has once, for all its models; a model may also have its own `timeoutMinutes`."""
OPTION_KEYS = tuple(key for key in KEYS if key not in (*BATCH_LEVEL_KEYS, "datasetId"))
"""Keys of a model. Next to `models`, they are the defaults for all models."""
MODEL_KEYS = ("datasetId", "name", "dependsOn", *OPTION_KEYS, "timeoutMinutes")
BATCH_KEYS = ("models", "all", "except", "onFailure", "maxConcurrent", "retryOf", *OPTION_KEYS, *BATCH_LEVEL_KEYS)
MODEL_LEVEL_KEYS = ("dependsOn", "workspaceId", "refresh", "notifyOption")
"""Keys of a batch that are compared model by model."""
STORED_NAMES = {"targets": "models", "every": "all"}
"""Two digests that are not stored under their key, because older code stored a different digest there."""
NO_MODEL = "00000000-0000-0000-0000-000000000000"
"""A placeholder for the dataset id in the options of models that are not known yet."""

OnFailure: TypeAlias = Literal["continue", "stop"]


class ModelSpec(Message, frozen=True, kw_only=True):
    """A model of a batch: its name, unique in the batch, its request, and the numbers of its dependencies."""

    name: str
    request: RequestSpec
    depends_on: tuple[int, ...] = ()


class AllModels(Message, frozen=True, kw_only=True):
    """All refreshable models of a workspace. `without`: names and dataset ids of excluded models."""

    options: RequestSpec
    without: tuple[str, ...] = ()

    @property
    def workspace_id(self) -> str:
        """The workspace whose models are refreshed."""
        return self.options.scope.workspace_id


class BatchSpec(Message, frozen=True, kw_only=True):
    """The batch that a caller asks for: `models`, or `all_models` of a workspace, or the models of the earlier batch
    `retry_of`.

    `timeout_minutes` is the deadline for the whole batch.
    """

    models: tuple[ModelSpec, ...] = ()
    all_models: AllModels | None = None
    on_failure: OnFailure = "continue"
    max_concurrent: int = DEFAULT_CONCURRENT
    timeout_minutes: float = DEFAULT_TIMEOUT_MINUTES
    caller: dict[str, str] = msgspec.field(default_factory=dict)
    idempotency_key: str = ""
    retry_of: str = ""

    @property
    def digests(self) -> dict[str, str]:
        """Digests of the keys that define what is refreshed. They are stored with the batch (see `differs_from`).

        Those of older code are stored, too, so that it recognises the batch after a rollback.
        """
        return {**self._older_digests(), **self._digests()}

    def _digests(self) -> dict[str, str]:
        requests = [model.request for model in self.models] or ([self.all_models.options] if self.all_models else [])
        scopes = [request.scope for request in requests]
        return {
            "targets": _digest([(model.name, model.request.dataset_id) for model in self.models]),
            "dependsOn": _digest([model.depends_on for model in self.models]),
            "workspaceId": _digest([scope.workspace_id for scope in scopes]),
            "refresh": _digest([scope.refresh for scope in scopes]),
            "notifyOption": _digest([scope.notify_option for scope in scopes]),
            "every": _digest(self.all_models is not None),
            "except": _digest(sorted(self.all_models.without) if self.all_models else []),
            "retryOf": _digest(self.retry_of),
        }

    def differs_from(self, digests: dict[str, str]) -> list[str]:
        """The keys in which this batch and the batch with these digests differ; empty if they refresh the same.

        As for a single request, options such as `timeoutMinutes`, `retries` and `share` are not compared.
        """
        ours = self._digests() if "targets" in digests else self._older_digests()
        keys = [STORED_NAMES.get(key, key) for key, digest in ours.items() if digest != digests.get(key)]
        # the other lists have an entry for each model, so they cannot be compared if the models differ
        return [key for key in keys if key not in MODEL_LEVEL_KEYS] if "models" in keys else keys

    def _older_digests(self) -> dict[str, str]:
        """The digests of code that compared all options of the models. Stored batches may still have them."""
        return {"models": _digest(self.models), "all": _digest(self.all_models), "retryOf": _digest(self.retry_of)}

    @property
    def fingerprint(self) -> str:
        """A short digest of what the batch refreshes, for its id."""
        return sha256(" ".join(self._digests().values()).encode()).hexdigest()[:8]


def _digest(part: object) -> str:
    return sha256(msgspec.json.encode(part, order="deterministic")).hexdigest()[:16] if part else ""


def parse_batch(value: dict[str, Any], settings: Settings, key_header: str | None = None) -> BatchSpec:
    """The batch in the body of a POST. Raises BadRequestError with the path of the first invalid key.

    `key_header` is the header Idempotency-Key, with the same meaning as the key `idempotencyKey`.
    """
    only_known(value, BATCH_KEYS)
    retry_of, every = _retry_of(value.get("retryOf")), boolean(value, "all", default=False)
    listed = value.get("models")
    if every and listed is not None:
        raise BadRequestError('"models" and "all" exclude each other; leave one of them out.', "models")
    if not every and value.get("except") is not None:
        raise BadRequestError('"except" can only be used with "all": true.', "except")
    if not every and listed is None and not retry_of:
        raise BadRequestError('The body needs "models", "all": true, or "retryOf".', "models")
    defaults = {key: value[key] for key in OPTION_KEYS if key in value}
    minutes = timeout_of(value)
    return BatchSpec(
        models=() if listed is None else _models(listed, defaults, minutes, settings),
        all_models=_all_models(value, defaults, minutes, settings) if every else None,
        on_failure="stop" if choice(value, "onFailure", ON_FAILURE) == "stop" else "continue",
        max_concurrent=_concurrent(value),
        timeout_minutes=minutes,
        caller=caller_of(value.get("caller", {})),
        idempotency_key=idempotency_key_of(value.get("idempotencyKey"), key_header),
        retry_of=retry_of,
    )


def _concurrent(value: Mapping[str, Any]) -> int:
    number = whole_number(value, "maxConcurrent", MAX_CONCURRENT, DEFAULT_CONCURRENT)
    if number < 1:
        raise BadRequestError(f'"maxConcurrent" must be from 1 to {MAX_CONCURRENT}.', "maxConcurrent")
    return number


def _retry_of(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not value.startswith(BATCH_PREFIX) or not REQUEST_ID.fullmatch(value):
        raise BadRequestError('"retryOf" must be the id of an earlier batch.', "retryOf")
    return value


def _all_models(value: Mapping[str, Any], defaults: dict[str, Any], minutes: float, settings: Settings) -> AllModels:
    without = [] if value.get("except") is None else value["except"]
    if not isinstance(without, list) or not all(isinstance(name, str) and _is_name(name) for name in without):
        raise BadRequestError('"except" must be a list of names or dataset ids of models.', "except")
    if len(without) > MAX_MODELS:
        raise BadRequestError(f'"except" has {len(without)} entries; the maximum is {MAX_MODELS}.', "except")
    options = spec_of({**defaults, "datasetId": NO_MODEL, "timeoutMinutes": minutes}, settings)
    return AllModels(options=options, without=tuple(parse_guid(name) or name for name in without))


def _models(listed: object, defaults: dict[str, Any], minutes: float, settings: Settings) -> tuple[ModelSpec, ...]:
    if not isinstance(listed, list) or not listed:
        raise BadRequestError('"models" must be a list of at least one model.', "models")
    if len(listed) > MAX_MODELS:
        raise BadRequestError(f'"models" has {len(listed)} entries; the maximum is {MAX_MODELS}.', "models")
    requests, names = [], []
    for number, entry in enumerate(listed):
        # a bare dataset id is enough
        own = {"datasetId": entry} if isinstance(entry, str) else entry
        if not isinstance(own, dict):
            raise BadRequestError(
                f'"models[{number}]" must be an object with "datasetId", or a dataset id.', f"models[{number}]"
            )
        requests.append(_request(number, own, defaults, minutes, settings))
        names.append(_name(number, own, requests[-1].dataset_id))
    numbers = _numbered(names)
    depends_on = [_depends_on(number, entry, numbers) for number, entry in enumerate(listed)]
    _check_graph(depends_on, names)
    return tuple(
        ModelSpec(name=name, request=request, depends_on=before)
        for name, request, before in zip(names, requests, depends_on, strict=True)
    )


def _request(
    number: int, own: dict[str, Any], defaults: dict[str, Any], minutes: float, settings: Settings
) -> RequestSpec:
    """The request of a model.

    An error in the model's own key has a path that begins with `models[N]`; an error in a default has the path of the
    default.
    """
    path = f"models[{number}]"
    options = {key: value for key, value in own.items() if key not in ("name", "dependsOn")}
    try:
        only_known(own, MODEL_KEYS)
        return spec_of({**defaults, "timeoutMinutes": minutes, **options}, settings)
    except BadRequestError as error:
        target = error.target or ""
        if target.split(".")[0].split("[")[0] in {key for key in defaults if key not in own}:
            raise
        raise BadRequestError(f"{path}: {error.message}", f"{path}.{target}", error.code) from None


def _name(number: int, own: Mapping[str, Any], dataset_id: str) -> str:
    name = own.get("name", dataset_id)
    if not isinstance(name, str) or not _is_name(name):
        raise BadRequestError(
            f'"models[{number}].name" must be a string of 1 to {MAX_MODEL_NAME} printable characters.',
            f"models[{number}].name",
        )
    return name


def _is_name(name: str) -> bool:
    return 1 <= len(name) <= MAX_MODEL_NAME and name.isprintable()


def _numbered(names: list[str]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for number, name in enumerate(names):
        if name in numbers:
            raise BadRequestError(
                f'"models[{numbers[name]}]" and "models[{number}]" have the same name, {shown_key(name)}. '
                "Give each a name of its own.",
                f"models[{number}].name",
            )
        numbers[name] = number
    return numbers


def _depends_on(number: int, entry: object, numbers: dict[str, int]) -> tuple[int, ...]:
    value = entry.get("dependsOn", []) if isinstance(entry, dict) else []
    names, path = [value] if isinstance(value, str) else value, f"models[{number}].dependsOn"
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadRequestError(f'"{path}" must be a list of names of models.', path)
    for place, name in enumerate(names):
        # a dataset id may be in upper case
        if name not in numbers and parse_guid(name) not in numbers:
            raise BadRequestError(f"{path}: no model of this batch is named {shown_key(name)}.", f"{path}[{place}]")
    return tuple(sorted({numbers[name] if name in numbers else numbers[parse_guid(name) or ""] for name in names}))


def _check_graph(depends_on: list[tuple[int, ...]], names: list[str]) -> None:
    count = sum(map(len, depends_on))
    if count > MAX_DEPENDENCIES:
        raise BadRequestError(f'"dependsOn" has {count} entries in total; the maximum is {MAX_DEPENDENCIES}.', "models")
    cycle = cycle_in(depends_on)
    if cycle:
        path = [shown_key(names[number]) for number in cycle]
        if len(path) > 12:
            path = [*path[:6], f"({len(path) - 11} more)", *path[-5:]]
        raise BadRequestError(
            f'"dependsOn" has a cycle: {" -> ".join(path)} (each depends on the next).', f"models[{cycle[0]}].dependsOn"
        )

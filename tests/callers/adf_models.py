"""Checks values against the models of an SDK: known properties, required properties, allowed values."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

Json = dict[str, Any]

CHOICES = {
    "WebActivity.method": "WebActivityMethod",
    "WebHookActivity.method": "WebHookActivityMethod",
    "AzureFunctionActivity.method": "AzureFunctionActivityMethod",
    "ParameterSpecification.type": "ParameterType",
    "VariableSpecification.type": "VariableType",
}
"""By property, the enum of Data Factory with its allowed values."""


@dataclass(frozen=True)
class Metadata:
    """The models of one service."""

    name: str

    @property
    def models(self) -> ModuleType:
        """The module of the models. It is imported on demand: the import takes half a second, and few processes need
        it."""
        return import_module(self.name)

    def problems(self, value: Any, kind: str, where: str, ignore: tuple[str, ...] = ()) -> Iterator[str]:
        """Compares a value with the metadata of its model class."""
        if not isinstance(value, dict):
            yield f"{where}: {value!r} instead of an object"
            return
        model = self._class(value, kind)
        if model is None:
            yield f"{where}: {value.get('type')!r} is not a known kind of {kind}"
            return
        constants = (
            {"type"}
            if hasattr(self.models, kind) and getattr(getattr(self.models, kind), "_subtype_map", None)
            else set()
        )
        known: set[tuple[str, ...]] = set()
        for attribute, attribute_facts in model._attribute_map.items():
            path = tuple(attribute_facts["key"].split("."))
            known.add(path)
            rules = model._validation.get(attribute, {})
            if rules.get("readonly") or path[0] in ignore:
                continue
            inner, there = _at(value, path)
            at = f"{where}.{'.'.join(path)}"
            if not there:
                if rules.get("required") and path[0] not in constants:
                    yield f"{at}: missing"
                continue
            yield from self._typed(inner, attribute_facts["type"], at)
            yield from _bounded(inner, rules, at)
            choices = _choices(f"{model.__name__}.{path[-1]}")
            if choices and str(inner).lower() not in {choice.lower() for choice in choices}:
                yield f"{at}: {inner!r} is not one of {', '.join(choices)}"
        yield from self._unknown(value, known, where)

    def _class(self, value: Json, kind: str) -> Any:
        """The model class of a value, selected by `type` if a kind has several; None if there is none."""
        model = getattr(self.models, kind)
        while subtypes := getattr(model, "_subtype_map", {}).get("type"):
            if value.get("type") in subtypes:
                return getattr(self.models, subtypes[value["type"]])
            # Activity has the kinds ControlActivity and ExecutionActivity, and these have the kinds that `type` selects
            deeper = [getattr(self.models, name) for name in subtypes.values()]
            fitting = [one for one in deeper if value.get("type") in getattr(one, "_subtype_map", {}).get("type", {})]
            if not fitting:
                return None
            model = fitting[0]
        return model

    def _typed(self, value: Any, kind: str, where: str) -> Iterator[str]:
        plain = {"str": str, "bool": bool, "int": int, "float": (int, float)}
        if kind in plain:
            if not isinstance(value, plain[kind]) or (kind != "bool" and isinstance(value, bool)):  # type: ignore[arg-type]
                yield f"{where}: {value!r} is not of type {kind}"
        elif kind.startswith("["):
            if not isinstance(value, list):
                yield f"{where}: not a list"
                return
            for number, inner in enumerate(value):
                name = inner.get("name", number) if isinstance(inner, dict) else number
                yield from self._typed(inner, kind[1:-1], f"{where}[{name}]")
        elif kind.startswith("{"):
            if not isinstance(value, dict):
                yield f"{where}: not an object"
                return
            for key, inner in value.items():
                yield from self._typed(inner, kind[1:-1], f"{where}.{key}")
        elif kind != "object" and hasattr(self.models, kind):
            yield from self.problems(value, kind, where)

    def _unknown(self, value: Json, known: set[tuple[str, ...]], where: str) -> Iterator[str]:
        for key, inner in value.items():
            below = {path[1:] for path in known if path[0] == key and len(path) > 1}
            if (key,) not in known and not below:
                yield f"{where}.{key}: not a known property"
            elif below and isinstance(inner, dict):
                yield from self._unknown(inner, below, f"{where}.{key}")


def _choices(name: str) -> list[str]:
    if name == "WebActivityAuthentication.type":
        return ["MSI"]  # the only kind of authentication in use
    return [str(choice.value) for choice in getattr(DATA_FACTORY.models, CHOICES[name])] if name in CHOICES else []


def _at(value: Json, path: tuple[str, ...]) -> tuple[Any, bool]:
    inner: Any = value
    for key in path:
        if not isinstance(inner, dict) or key not in inner:
            return None, False
        inner = inner[key]
    return inner, True


def _bounded(value: Any, rules: Json, where: str) -> Iterator[str]:
    least, most = rules.get("minimum", float("-inf")), rules.get("maximum", float("inf"))
    if isinstance(value, int) and not least <= value <= most:
        yield f"{where}: {value} is not between {least} and {most}"


DATA_FACTORY = Metadata("azure.mgmt.datafactory.models")
SYNAPSE = Metadata("azure.synapse.artifacts.models")

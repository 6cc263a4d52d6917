"""The description of the API as Swagger 2.0, the format of custom connectors of Power Platform and Logic Apps.

Rules that Swagger 2.0 cannot express (between keys, patterns of names) are left out; the app checks them anyway.
Sources: Microsoft's "Coding standards for custom connectors" and "OpenAPI extensions for custom connectors": only 2.0
is supported, operation ids are in Pascal case, oneOf and anyOf are not supported.
"""

from __future__ import annotations

import re
from typing import Any

from triggers.openapi.description import FUNCTION_KEY, TOKEN

Json = dict[str, Any]

KEPT = (
    "type",
    "format",
    "description",
    "enum",
    "default",
    "required",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "pattern",
    "x-extensible-enum",
)
WITHOUT = ("GetDescription",)
"""Operations that a connector does not need."""
METHODS = ("get", "post", "put", "patch", "delete")


def swagger(document: Json, host: str, base_path: str) -> Json:
    """The Swagger 2.0 document for the OpenAPI 3.1 document of this app."""
    schemas = document["components"]["schemas"]
    schemes = document["components"]["securitySchemes"]
    paths = {path: _path(item, schemes) for path, item in document["paths"].items()}
    return {
        "swagger": "2.0",
        "info": document["info"],
        "host": host,
        "basePath": base_path,
        "schemes": ["https"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "paths": {path: item for path, item in paths.items() if item},
        "definitions": {name: _schema(schema) for name, schema in schemas.items()},
        # a connector has one kind of authentication and uses it for every call
        "securityDefinitions": {FUNCTION_KEY: schemes[FUNCTION_KEY]},
        "security": [{FUNCTION_KEY: []}],
    }


def _path(item: Json, schemes: Json) -> Json:
    shared = item.get("parameters", [])
    return {
        method: _operation(item[method], shared, schemes)
        for method in METHODS
        if method in item and item[method]["operationId"] not in WITHOUT
    }


def _operation(operation: Json, shared: list[Json], schemes: Json) -> Json:
    parameters = [_parameter(parameter) for parameter in (*shared, *operation.get("parameters", []))]
    if any(TOKEN in choice for choice in operation["security"]):
        token = schemes[TOKEN]
        parameters.append(
            {
                "name": token["name"],
                "in": token["in"],
                "required": True,
                "type": "string",
                "x-ms-summary": _label(token["name"]),
                "description": token["description"],
            }
        )
    if body := operation.get("requestBody"):
        parameters.append(
            {
                "name": "body",
                "in": "body",
                "required": True,
                "description": body["description"],
                "schema": _schema(_content(body)),
            }
        )
    responses = {status: _response(response) for status, response in operation["responses"].items()}
    return {
        "operationId": operation["operationId"],
        "summary": operation["summary"],
        "description": operation["description"],
        **({"parameters": parameters} if parameters else {}),
        "responses": responses,
    }


def _parameter(parameter: Json) -> Json:
    schema = _schema(parameter["schema"])
    if schema["type"] == "array":
        schema["collectionFormat"] = "csv"
    return {
        **schema,
        "name": parameter["name"],
        "in": parameter["in"],
        "required": parameter.get("required", False),
        "x-ms-summary": _label(parameter["name"]),
        "description": parameter["description"],
        **({"x-ms-url-encoding": "single"} if parameter["in"] == "path" else {}),
    }


def _response(response: Json) -> Json:
    swagger_response: Json = {"description": response["description"]}
    if "content" in response:
        swagger_response["schema"] = _schema(_content(response))
    if "headers" in response:
        headers = response["headers"].items()
        swagger_response["headers"] = {
            name: {**_schema(header["schema"]), "description": header["description"]} for name, header in headers
        }
    return swagger_response


def _content(message: Json) -> Json:
    schema: Json = message["content"]["application/json"]["schema"]
    return schema


def _schema(schema: Json) -> Json:
    """A schema reduced to the keywords of Swagger 2.0, in which null is an extension."""
    if "$ref" in schema:
        return _ref(schema["$ref"].rpartition("/")[2])
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    if "type" not in schema:
        # a reference or null; the extension for null is not allowed beside a reference
        return _schema(choices[0])
    simple = {key: schema[key] for key in KEPT if key in schema}
    if isinstance(schema["type"], list):
        simple["type"] = next(kind for kind in schema["type"] if kind != "null")
        simple["x-nullable"] = True
    if "enum" in simple:
        simple["enum"] = [value for value in simple["enum"] if value is not None]
    if "exclusiveMinimum" in schema:
        simple |= {"minimum": schema["exclusiveMinimum"], "exclusiveMinimum": True}
    if "items" in schema:
        simple["items"] = _schema(schema["items"])
    if "properties" in schema:
        simple["properties"] = {name: _property(name, inner) for name, inner in schema["properties"].items()}
    if isinstance(schema.get("additionalProperties"), dict):
        simple["additionalProperties"] = _schema(schema["additionalProperties"])
    return simple


def _property(name: str, schema: Json) -> Json:
    inner = _schema(schema)
    return inner if "$ref" in inner else {**inner, "x-ms-summary": _label(name)}


def _ref(name: str) -> Json:
    return {"$ref": f"#/definitions/{name}"}


def _label(name: str) -> str:
    """A key as a form shows it: `datasetId` becomes `Dataset ID`."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d*|\d+", name)
    return " ".join({"id": "ID", "uri": "URI"}.get(word.lower(), word.capitalize()) for word in words)

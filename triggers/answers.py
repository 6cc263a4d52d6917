"""Builds the answers of the HTTP triggers: a JSON object, with `error` first if there is one, never cached."""

import json
from typing import Any

import azure.functions as func

Json = dict[str, Any]


def answer(body: Json, status: int, headers: dict[str, str] | None = None) -> func.HttpResponse:
    """A JSON answer. `no-store`, because status URLs are polled and no proxy may cache them."""
    text = json.dumps(body, ensure_ascii=False)
    all_headers = {"Cache-Control": "no-store", **(headers or {})}
    return func.HttpResponse(text, status_code=status, headers=all_headers, mimetype="application/json")


def error(
    status: int, code: str, message: str, target: str | None = None, headers: dict[str, str] | None = None
) -> func.HttpResponse:
    """An error answer: `{"error": {"code", "message", "target"}}`."""
    return answer({"error": {"code": code, "message": message, "target": target}}, status, headers)

"""Compares an answer with the description of its operation."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import requests
import schemathesis
from schemathesis.specs.openapi import checks

from tests.e2e.fuzzing import strict
from triggers.openapi.description import FUNCTION_KEY, describe

Json = dict[str, Any]


class Described:
    """The description of the app at `base` (without `/api`). Answers must not have keys that it does not describe."""

    def __init__(self, base: str) -> None:
        self.document = strict(describe({"url": f"{base}/api"}, (FUNCTION_KEY,)))
        self._schema = schemathesis.openapi.from_dict(self.document)
        self._schema.config.update(base_url=f"{base}/api")
        self.seen: set[tuple[str, int]] = set()

    def check(self, answer: requests.Response) -> requests.Response:
        """The answer, if its status, headers, content type and body match the description; otherwise the test fails."""
        method = str(answer.request.method)
        template = self._template(urlsplit(answer.url).path.removeprefix("/api"))
        operation = self._schema[template][method]
        operation.Case().validate_response(answer, checks=CHECKS)
        self.seen.add((f"{method} {template}", answer.status_code))
        return answer

    def _template(self, path: str) -> str:
        # an exact path comes before a path with a parameter in the same place
        for template in sorted(self.document["paths"], key=lambda name: name.count("{")):
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
                return str(template)
        raise AssertionError(f"{path} is not a path of the description")


CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]

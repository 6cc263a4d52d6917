"""The recorded answers are answers that the app could give: each matches the description of the API."""

from __future__ import annotations

import pytest
import requests
from jsonschema import Draft202012Validator

from tests.browser import recorded, recorded_batches
from tests.browser.stand_in import Json, World, serving
from tests.e2e.fuzzing import strict
from triggers.openapi.description import FUNCTION_KEY, describe

DOCUMENT = strict(describe({"url": "https://example.net/api"}, (FUNCTION_KEY,)))
ANSWERS = {
    "models": "Models",
    "models?search=sales&sort=name": "Models",
    "models/{model}": "ModelDetails",
    "queues/{model}": "Queue",
    "refreshes": "Requests",
    "refreshes/request-run-90/status": "Status",
    "refreshes/live-1/status": "Status",
    **{f"batches/{batch_id}/status": "BatchStatus" for batch_id in recorded_batches.batches()},
}


def problems(body: Json, name: str) -> list[str]:
    """The differences between an answer and the schema of this name."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    found = Draft202012Validator(schema).iter_errors(body)
    return [f"{list(one.absolute_path)}: {one.message[:300]}" for one in found]


@pytest.mark.parametrize("path", ANSWERS)
def test_recorded_answers_fit_the_description(path: str) -> None:
    """The answers for every model match the description and have no additional keys."""
    with serving(World()) as world:
        ids = [row["datasetId"] for row in world.models] if "{model}" in path else [""]
        for dataset in ids:
            body = requests.get(f"{world.base}/api/{path.replace('{model}', dataset)}", timeout=30).json()
            assert problems(body, ANSWERS[path]) == [], dataset


@pytest.mark.parametrize("busy", [False, True])
def test_a_recorded_check_fits_the_description(busy: bool) -> None:
    """The check is that of an idle model or of a busy model."""
    with serving(World(check=recorded.finding(busy=busy))) as world:
        body = requests.post(f"{world.base}/api/check", json={}, timeout=30).json()
        assert problems(body, "Finding") == []

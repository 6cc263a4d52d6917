"""Callers that wait in the call of the start get the outcome if it comes in time, else the usual answer."""

import threading
import time
from functools import partial

import pytest
import requests

from devhost_tests.process import until
from refresh.request.reply import MAX_WAIT_SECONDS
from tests.e2e.world import END_SECONDS, LONG, World

LONGEST = min(MAX_WAIT_SECONDS, END_SECONDS)


@pytest.mark.parametrize(("outcome", "code"), [("Completed", 200), ("Failed", 424)])
def test_the_outcome_within_the_wait_is_the_answer(world: World, outcome: str, code: int) -> None:
    """The start is answered as soon as the outcome is known. The HTTP status is that of a poll, and there is no
    Location."""
    model = world.model(outcome=outcome)
    began = time.monotonic()
    answer = world.start(model, waitSeconds=LONGEST)
    took = time.monotonic() - began
    body = answer.json()
    assert (answer.status_code, body["status"]) == (code, outcome)
    assert "Location" not in answer.headers
    assert took < LONGEST
    assert body["refreshId"] == world.own(model)[0]["requestId"]
    assert next(iter(body)) == ("error" if outcome == "Failed" else "id")
    (row,) = world.listing(datasetId=model).json()["refreshes"]
    assert (row["id"], row["status"]) == (body["id"], outcome)


def test_an_outcome_after_the_wait(world: World) -> None:
    """After the wait the answer is the usual 202, and the request continues to its end."""
    model = world.model(seconds=LONG)
    began = time.monotonic()
    answer = world.start(model, waitSeconds=1)
    assert time.monotonic() - began >= 1
    assert answer.status_code == 202
    uri = answer.json()["statusUri"]
    assert answer.headers["Location"] == uri
    world.until(uri, lambda status: status["status"] == "Refreshing")
    world.end(model)
    assert world.follow(uri).code == 200


def test_a_wait_blocks_no_other_caller(world: World) -> None:
    """While some callers wait, the app answers and serves another caller."""
    models = [world.model(seconds=LONG) for _ in range(10)]
    answers: list[requests.Response] = []

    def wait(model: str) -> None:
        answers.append(world.start(model, waitSeconds=LONGEST))

    waiting = [threading.Thread(target=wait, args=(model,)) for model in models]
    for thread in waiting:
        thread.start()
    assert world.refresh(world.model()).code == 200
    assert answers == []
    for model in models:
        until(partial(world.own, model), END_SECONDS)
        world.end(model)
    for thread in waiting:
        thread.join(LONGEST)
    assert [answer.status_code for answer in answers] == [200] * len(models)

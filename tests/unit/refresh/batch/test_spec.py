"""A body is accepted with its meaning, or refused with the path of the wrong key."""

import json
import random
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from durable.codec import decode, encode
from refresh.batch.graph import cycle_in
from refresh.batch.spec import MAX_MODELS, BatchSpec
from refresh.batch.state import BatchState, Progress
from refresh.batch.stored import PACKED_ABOVE, PackedBatch, pack, unpack
from refresh.request.values import BadRequestError
from refresh.settings import Settings
from refresh.times import instant, time_of
from tests.unit.refresh.batch.batches import AT, WORKSPACE, dataset, model_list, spec_of, state_of

Json = dict[str, Any]


def test_models_have_the_defaults_beside_them_and_options_of_their_own() -> None:
    """A dataset id is enough; it is also the default of the name."""
    spec = spec_of(
        refresh={"type": "full"},
        retries=1,
        timeoutMinutes=90,
        models=[dataset(0), {"datasetId": dataset(1), "name": "B", "refresh": None, "retries": 3, "timeoutMinutes": 5}],
    )
    first, second = spec.models
    assert (first.name, second.name) == (dataset(0), "B")
    assert (first.request.scope.enhanced, second.request.scope.enhanced) == (True, False)
    assert (first.request.retries, second.request.retries) == (1, 3)
    assert (first.request.timeout_minutes, second.request.timeout_minutes, spec.timeout_minutes) == (90, 5, 90)
    assert {model.request.scope.workspace_id for model in spec.models} == {WORKSPACE}


def test_dependencies_are_names_in_any_order() -> None:
    """Dependencies are names of models of the batch, even of later ones, or dataset ids. A single dependency needs no
    list."""
    spec = spec_of(
        models=[
            {"name": "A", "datasetId": dataset(0), "dependsOn": ["B", "B"]},
            {"name": "B", "datasetId": dataset(1), "dependsOn": dataset(2).upper()},
            dataset(2),
        ]
    )
    assert [model.depends_on for model in spec.models] == [(1,), (2,), ()]


def test_all_models_of_a_workspace() -> None:
    """A batch of all models has one set of options. A dataset id in `except` is stored in lower case."""
    spec = spec_of(all=True, refresh={"type": "full"}, **{"except": ["Old", dataset(1).upper()]})
    assert spec.models == ()
    assert spec.all_models is not None
    assert (spec.all_models.workspace_id, spec.all_models.without) == (WORKSPACE, ("Old", dataset(1)))
    assert spec.all_models.options.scope.enhanced


ONE = [dataset(0)]
BAD: list[tuple[Json, str | None, str]] = [
    ({}, "models", 'needs "models"'),
    ({"models": []}, "models", "at least one"),
    ({"models": "x"}, "models", "a list"),
    ({"models": [dataset(0)] * (MAX_MODELS + 1)}, "models", "the maximum is 500"),
    ({"models": [7]}, "models[0]", "must be an object"),
    ({"models": [{}]}, "models[0].datasetId", '"datasetId" is required'),
    ({"models": ["x"]}, "models[0].datasetId", "must be a GUID"),
    ({"models": [*ONE, {"datasetId": dataset(1), "workspaceId": "x"}]}, "models[1].workspaceId", "must be a GUID"),
    ({"models": [*ONE, {"datasetId": dataset(1), "refresh": {"type": "x"}}]}, "models[1].refresh.type", "type"),
    ({"models": [{"datasetId": dataset(0), "waitSeconds": 1}]}, "models[0].waitSeconds", "not a known key"),
    ({"models": [{"datasetId": dataset(0), "retries": 11}]}, "models[0].retries", "retries"),
    ({"models": [{"datasetId": dataset(0), "timeoutMinutes": 0}]}, "models[0].timeoutMinutes", "above 0"),
    ({"models": [{"datasetId": dataset(0), "onTimeout": "cancel"}]}, "models[0].onTimeout", "enhanced"),
    ({"models": ONE, "refresh": {"type": "x"}}, "refresh.type", "type"),
    ({"models": ONE, "retries": "x"}, "retries", "retries"),
    ({"models": [*ONE, *ONE]}, "models[1].name", "the same name"),
    ({"models": [{"datasetId": dataset(0), "name": ""}]}, "models[0].name", "printable"),
    ({"models": [{"datasetId": dataset(0), "dependsOn": 7}]}, "models[0].dependsOn", "list of names"),
    ({"models": [{"datasetId": dataset(0), "dependsOn": [dataset(1)]}]}, "models[0].dependsOn[0]", "no model"),
    ({"models": model_list({"A": ["A"]})}, "models[0].dependsOn", "A -> A"),
    ({"models": model_list({"A": [], "B": ["D"], "C": ["B"], "D": ["C"]})}, "models[1].dependsOn", "B -> D -> C -> B"),
    ({"models": ONE, "onFailure": "explode"}, "onFailure", "continue, stop"),
    ({"models": ONE, "maxConcurrent": 0}, "maxConcurrent", "from 1 to 100"),
    ({"models": ONE, "maxConcurrent": 101}, "maxConcurrent", "100"),
    ({"models": ONE, "timeoutMinutes": 10081}, "timeoutMinutes", "at most"),
    ({"models": ONE, "share": "perhaps"}, "share", "share"),
    ({"models": ONE, "parallel": 3}, "parallel", "not a known key"),
    ({"models": ONE, "caller": "me"}, "caller", "object of strings"),
    ({"models": ONE, "idempotencyKey": ""}, "idempotencyKey", "1 to 256"),
    ({"models": ONE, "retryOf": "22222222"}, "retryOf", "id of an earlier batch"),
    ({"models": ONE, "all": True}, "models", "exclude each other"),
    ({"models": ONE, "except": ["A"]}, "except", 'can only be used with "all": true'),
    ({"all": True, "except": "A"}, "except", "list of names"),
    ({"all": True, "workspaceId": "x"}, "workspaceId", "must be a GUID"),
]


@pytest.mark.parametrize(("keys", "target", "words"), BAD)
def test_what_cannot_be_served_is_refused_with_its_path(keys: Json, target: str | None, words: str) -> None:
    """The message says what is wrong, the target says where."""
    with pytest.raises(BadRequestError) as caught:
        spec_of(**keys)
    assert caught.value.target == target
    assert words in caught.value.message
    assert caught.value.message.endswith(".")


def test_a_workspace_that_is_not_allowed_has_the_path_of_its_model() -> None:
    """The error names the path of the workspace, and has the code WorkspaceNotAllowed."""
    settings = Settings.from_environment({"ALLOWED_WORKSPACES": WORKSPACE})
    other = {"datasetId": dataset(1), "workspaceId": dataset(9)}
    with pytest.raises(BadRequestError) as caught:
        spec_of(settings, models=[dataset(0), other])
    assert (caught.value.code, caught.value.target) == ("WorkspaceNotAllowed", "models[1].workspaceId")


def test_a_long_cycle_is_shortened() -> None:
    """The message shows only the beginning and the end of a long cycle, so it stays readable."""
    ring = {f"m{number}": [f"m{(number + 1) % 400}"] for number in range(400)}
    with pytest.raises(BadRequestError, match=r"m0 -> m1 .* \(\d+ more\) .* -> m0") as caught:
        spec_of(models=model_list(ring))
    assert len(caught.value.message) < 500


edges = st.integers(1, 12).flatmap(
    lambda count: st.lists(
        st.lists(st.integers(0, count - 1), max_size=4).map(lambda found: tuple(sorted(set(found)))),
        min_size=count,
        max_size=count,
    )
)


@given(edges)
def test_a_cycle_is_found_where_there_is_one(dependencies: list[tuple[int, ...]]) -> None:
    """Each step of a cycle is a dependency, and the cycle ends where it begins. Without a cycle, there is an order."""
    cycle = cycle_in(dependencies)
    if cycle:
        assert cycle[0] == cycle[-1]
        assert all(after in dependencies[before] for before, after in pairwise(cycle))
        return
    done: set[int] = set()
    for _ in dependencies:
        done |= {number for number, before in enumerate(dependencies) if done.issuperset(before)}
    assert len(done) == len(dependencies)


def test_a_chain_of_all_models_is_no_cycle() -> None:
    """A chain as long as a batch may be is accepted."""
    assert cycle_in([(), *((number,) for number in range(MAX_MODELS - 1))]) == []


@given(st.integers(1, 40), st.booleans())
@example(count=1, own=False)
@example(count=40, own=True)
def test_a_batch_survives_being_stored(count: int, own: bool) -> None:
    """A small batch is stored as plain JSON, a large batch is compressed."""
    more: Json = {"refresh": {"type": "full", "objects": [{"table": "Sales"}]}} if own else {}
    spec = spec_of(models=model_list({f"model {number}": [] for number in range(count)}, **more), caller={"a": "b"})
    state = state_of(spec)
    packed = pack(state)
    large = len(msgspec.json.encode(state)) > PACKED_ABOVE
    assert (packed.plain, bool(packed.packed)) == ((None, True) if large else (state, False))
    assert unpack(decode(encode(packed), PackedBatch)) == state
    assert decode(encode(spec), BatchSpec) == spec


BLOB_CHARACTERS = 30_000
"""Above this size the engine stores an input in a blob."""


def characters(state: BatchState) -> int:
    """The length of the state in the engine's storage."""
    return len(json.dumps(encode(pack(state))))


def random_batch(count: int) -> tuple[BatchState, BatchState]:
    """A batch at its start and after its end, with random ids and times as real models and refreshes have them."""
    chance = random.Random(1)  # noqa: S311

    def guid() -> str:
        return str(UUID(int=chance.getrandbits(128)))

    models = [
        {
            "name": f"Model of department {number}",
            "datasetId": guid(),
            "dependsOn": [f"Model of department {number - 1}"][: number % 2],
        }
        for number in range(count)
    ]
    state = state_of(spec_of(models=models, refresh={"type": "full"}))
    ends = [
        Progress(
            status="Completed",
            refresh_id=guid(),
            started_at=instant(time_of(AT) + timedelta(milliseconds=chance.randrange(36_000_000))),
            ended_at=instant(time_of(AT) + timedelta(milliseconds=chance.randrange(36_000_000))),
        )
        for _ in models
    ]
    return state, state.with_progress(dict(enumerate(ends)))


def test_the_size_of_a_batch_in_the_storage() -> None:
    """A batch of 500 models has about 20,000 characters at its start and 45,000 at its end, so it needs a blob. A batch
    of 300 models needs none."""
    start, end = map(characters, random_batch(500))
    assert 18_000 < start < 22_000 < BLOB_CHARACTERS < 42_000 < end < 48_000
    assert max(map(characters, random_batch(300))) < BLOB_CHARACTERS


def test_a_key_identifies_what_a_batch_refreshes() -> None:
    """The models, their dependencies and what their refreshes do must be the same; all other options may differ."""
    one = spec_of(models=ONE)
    other_options: Json = {
        "timeoutMinutes": 5,
        "retries": 2,
        "share": False,
        "priority": "high",
        "expectedEveryHours": 24,
        "onFailure": "stop",
        "maxConcurrent": 2,
        "caller": {"a": "b"},
    }
    same = spec_of(models=ONE, **other_options)
    assert same.differs_from(one.digests) == []
    assert same.fingerprint == one.fingerprint
    own = [{"datasetId": dataset(0), "timeoutMinutes": 5, "retries": 2}]
    assert spec_of(models=own).differs_from(one.digests) == []


CHAIN = {"A": [], "B": ["A"]}
DIFFERENT: list[tuple[Json, Json, list[str]]] = [
    ({"models": ONE}, {"models": [dataset(1)]}, ["models"]),
    ({"models": ONE}, {"models": [{"datasetId": dataset(0), "name": "A"}]}, ["models"]),
    ({"models": ONE}, {"models": [*ONE, dataset(1)], "refresh": {"type": "full"}}, ["models"]),
    ({"models": ONE}, {"models": [{"datasetId": dataset(0), "refresh": {"type": "full"}}]}, ["refresh"]),
    ({"models": ONE}, {"models": ONE, "workspaceId": dataset(9)}, ["workspaceId"]),
    ({"models": ONE}, {"models": ONE, "notifyOption": "MailOnFailure"}, ["notifyOption"]),
    ({"models": model_list(CHAIN)}, {"models": model_list({"A": [], "B": []})}, ["dependsOn"]),
    ({"models": ONE}, {"all": True}, ["models", "all"]),
    ({"models": ONE}, {"models": ONE, "retryOf": "batch-1"}, ["retryOf"]),
    ({"retryOf": "batch-1"}, {"retryOf": "batch-2"}, ["retryOf"]),
    ({"all": True}, {"all": True, "except": ["Old"]}, ["except"]),
    ({"all": True}, {"all": True, "refresh": {"type": "full"}}, ["refresh"]),
]


@pytest.mark.parametrize(("before", "now", "keys"), DIFFERENT)
def test_a_batch_that_differs_names_the_keys_that_the_caller_changed(before: Json, now: Json, keys: list[str]) -> None:
    """If the models differ, the keys of single models are not compared."""
    spec, other = spec_of(**now), spec_of(**before)
    assert spec.differs_from(other.digests) == keys
    assert spec.fingerprint != other.fingerprint


def test_digests_of_older_code_can_be_compared() -> None:
    """Older code stored three digests, with all options of the models in one of them."""
    stored = {"models": "21b9ed862be5f7fb", "all": "", "retryOf": ""}
    assert spec_of(models=ONE).differs_from(stored) == []
    assert spec_of(models=[dataset(1)]).differs_from(stored) == ["models"]


def test_older_code_can_compare_the_digests() -> None:
    """After a rollback, older code recognises the batch: it compares these three digests."""
    older = {"models": "21b9ed862be5f7fb", "all": "", "retryOf": ""}
    assert older.items() <= spec_of(models=ONE).digests.items()

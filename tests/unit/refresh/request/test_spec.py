"""A body is either accepted with its meaning, or refused with the invalid key."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.codec import decode, encode
from refresh.request.reply import parse_reply
from refresh.request.spec import KEYS, MAX_BODY_BYTES, RequestSpec, parse_cancellation, parse_spec
from refresh.request.values import BadRequestError
from refresh.scope.scope import RefreshOptions, Scope, TableRef
from refresh.settings import Settings

WORKSPACE = "01234567-89ab-cdef-0123-456789abcdef"
DATASET = "fedcba98-7654-3210-fedc-ba9876543210"
IDS = {"workspaceId": WORKSPACE, "datasetId": DATASET}
ANYWHERE = Settings()


def parse(_settings: Settings = ANYWHERE, /, **keys: Any) -> RequestSpec:
    """The spec in a body with both ids and these keys."""
    return parse_spec(json.dumps({**IDS, **keys}).encode(), _settings)


def refused(body: bytes, settings: Settings = ANYWHERE) -> BadRequestError:
    """The refusal of a body, with checks for every refusal."""
    with pytest.raises(BadRequestError) as caught:
        parse_spec(body, settings)
    error = caught.value
    assert error.message.endswith(".")
    assert len(error.message) <= 500
    assert error.to_json() == {"error": {"code": error.code, "message": error.message, "target": error.target}}
    error.message.encode()
    return error


def test_a_request_needs_only_its_ids() -> None:
    """Without other keys, a request has the defaults of the contract."""
    spec = parse()
    assert spec == RequestSpec(dataset_id=DATASET, scope=Scope(workspace_id=WORKSPACE))
    assert (spec.timeout_minutes, spec.cancel_on_timeout, spec.share, spec.retries) == (660.0, False, True, 0)
    assert (spec.caller, spec.idempotency_key, spec.scope.notify_option) == ({}, "", "NoNotification")
    assert not spec.scope.enhanced


def test_every_key_is_read() -> None:
    """Every key is read, and survives storage."""
    spec = parse(
        refresh={"type": "dataOnly", "objects": [{"table": "Sales"}]},
        timeoutMinutes=0.5,
        onTimeout="Cancel",
        share=False,
        caller={"pipeline": "Nightly", "runId": "7"},
        retries=2.0,
        idempotencyKey="k",
        expectedEveryHours=24,
    )
    assert spec == RequestSpec(
        dataset_id=DATASET,
        scope=Scope(workspace_id=WORKSPACE, refresh=RefreshOptions(type="DataOnly", objects=(TableRef("Sales"),))),
        timeout_minutes=0.5,
        cancel_on_timeout=True,
        share=False,
        caller={"pipeline": "Nightly", "runId": "7"},
        retries=2,
        idempotency_key="k",
        expected_every_hours=24,
    )
    assert decode(json.loads(json.dumps(encode(spec))), RequestSpec) == spec
    assert parse(notifyOption="mailonfailure").scope.notify_option == "MailOnFailure"


@pytest.mark.parametrize(
    ("key", "value", "texts"),
    [
        ("timeoutMinutes", 60, ["60", " 60.0 ", "60.000"]),
        ("retries", 2, ["2", "2.0", " 2"]),
        ("expectedEveryHours", 0.5, ["0.5", " 0.50"]),
        ("expectedEveryHours", 0, ["0"]),
        ("share", False, ["false", "False", " FALSE "]),
        ("share", True, ["true", "True"]),
    ],
)
def test_numbers_and_booleans_may_be_texts(key: str, value: object, texts: list[str]) -> None:
    """Pipelines send their parameters as text."""
    for text in texts:
        assert parse(**{key: text}) == parse(**{key: value})


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [("maxParallelism", 3, "3"), ("retryCount", 1, "1"), ("applyRefreshPolicy", False, "False")],
)
def test_options_may_be_texts_too(option: str, value: object, text: str) -> None:
    """Numbers and booleans in the options of a refresh may also be texts."""
    assert parse(refresh={option: text}) == parse(refresh={option: value})


def test_objects_have_one_order() -> None:
    """Two spellings of a scope become one: its objects are sorted, each is in it once, and no partition of a whole
    table."""
    given = [{"table": "B"}, {"table": "A", "partition": "2"}, {"table": "B", "partition": "1"}, {"table": "B"}]
    objects = (TableRef("A", "2"), TableRef("B"))
    refresh = parse(refresh={"objects": given}).scope.refresh
    assert refresh is not None
    assert refresh.objects == objects


@pytest.mark.parametrize("spelling", [WORKSPACE, WORKSPACE.upper()])
def test_ids_compare_in_lower_case(spelling: str) -> None:
    """Requests for the same model share, no matter how the pipeline spells the ids."""
    assert parse(workspaceId=spelling, datasetId=DATASET.upper()) == parse()


@pytest.mark.parametrize("options", [None, {}])
def test_no_options_mean_a_standard_refresh(options: Any) -> None:
    """Without options, the refresh is a standard one, which every capacity runs."""
    assert parse(refresh=options) == parse()


BAD: list[tuple[dict[str, Any], str]] = [
    ({"workspaceId": None}, "workspaceId"),
    ({"workspaceId": 7}, "workspaceId"),
    ({"workspaceId": ""}, "workspaceId"),
    ({"workspaceId": WORKSPACE + "\n"}, "workspaceId"),
    ({"workspaceId": "{" + WORKSPACE + "}"}, "workspaceId"),
    ({"workspaceId": WORKSPACE.replace("-", "")}, "workspaceId"),
    ({"datasetId": None}, "datasetId"),
    ({"datasetId": [DATASET]}, "datasetId"),
    ({"datasetId": "my model"}, "datasetId"),
    ({"refresh": "full"}, "refresh"),
    ({"refresh": []}, "refresh"),
    ({"refresh": {"type": "all"}}, "refresh.type"),
    ({"refresh": {"notifyOption": "NoNotification"}}, "refresh.notifyOption"),
    ({"refresh": {"objects": [{"partition": "P"}]}}, "refresh.objects[0].table"),
    ({"notifyOption": "Always"}, "notifyOption"),
    ({"notifyOption": None}, "notifyOption"),
    ({"notifyOption": "MailOnFailure", "refresh": {"type": "full"}}, "notifyOption"),
    ({"timeoutMinutes": "an hour"}, "timeoutMinutes"),
    ({"timeoutMinutes": "1e3"}, "timeoutMinutes"),
    ({"timeoutMinutes": "0x10"}, "timeoutMinutes"),
    ({"timeoutMinutes": "-5"}, "timeoutMinutes"),
    ({"timeoutMinutes": "10081"}, "timeoutMinutes"),
    ({"timeoutMinutes": ""}, "timeoutMinutes"),
    ({"timeoutMinutes": "nan"}, "timeoutMinutes"),
    ({"timeoutMinutes": "9" * 400}, "timeoutMinutes"),
    ({"timeoutMinutes": "\u0661\u0662"}, "timeoutMinutes"),
    ({"timeoutMinutes": "0"}, "timeoutMinutes"),
    ({"timeoutMinutes": True}, "timeoutMinutes"),
    ({"timeoutMinutes": None}, "timeoutMinutes"),
    ({"timeoutMinutes": 0}, "timeoutMinutes"),
    ({"timeoutMinutes": -1}, "timeoutMinutes"),
    ({"timeoutMinutes": 10_081}, "timeoutMinutes"),
    ({"timeoutMinutes": float("nan")}, "timeoutMinutes"),
    ({"timeoutMinutes": float("inf")}, "timeoutMinutes"),
    ({"timeoutMinutes": 10**400}, "timeoutMinutes"),
    ({"onTimeout": "stop"}, "onTimeout"),
    ({"onTimeout": "cancel"}, "onTimeout"),
    ({"share": "yes"}, "share"),
    ({"share": ""}, "share"),
    ({"share": None}, "share"),
    ({"share": 1}, "share"),
    ({"caller": "me"}, "caller"),
    ({"caller": None}, "caller"),
    ({"caller": {"run": 7}}, "caller.run"),
    ({"caller": {"$type": "x"}}, "caller.$type"),
    ({"caller": {"": "x"}}, "caller."),
    ({"caller": {"a": "x" * 1_100}}, "caller"),
    ({"caller": {"a" * 65: "x"}}, "caller." + "a" * 63 + "…"),
    ({"caller": {"half": "\ud83d"}}, "caller.half"),
    ({"workspace": WORKSPACE}, "workspace"),
    ({"datasetID": DATASET}, "datasetID"),
    ({"x\ny": 1}, "x\\ny"),
    ({"z" * 100: 1}, "z" * 63 + "…"),
]


@pytest.mark.parametrize(
    ("keys", "target"), BAD, ids=[f"{number}-{target[:20]!r}" for number, (_, target) in enumerate(BAD)]
)
def test_an_invalid_key_is_named(keys: dict[str, Any], target: str) -> None:
    """The refusal names the key, so a caller can correct it without reading our code."""
    assert refused(json.dumps({**IDS, **keys}).encode()).target == target


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b'"x"', b"1", b"\xff\xfe", b"[" * 100_000, b"9" * 5_000])
def test_a_body_that_is_not_an_object_is_refused(body: bytes) -> None:
    """A body with any other content than a JSON object is refused."""
    assert refused(body).target == "body"


def test_a_too_large_body_is_refused_unread() -> None:
    """A body is limited, because it is stored many times. One more byte is refused, even if the rest is not JSON."""
    body = json.dumps(IDS).encode()
    longest = body + b" " * (MAX_BODY_BYTES - len(body))
    assert parse_spec(longest, ANYWHERE) == parse()
    for too_long in (longest + b" ", b"{" * (MAX_BODY_BYTES + 1)):
        error = refused(too_long)
        assert (error.target, error.message) == (
            "body",
            f"The body has {MAX_BODY_BYTES + 1} bytes; the maximum is {MAX_BODY_BYTES}.",
        )


@pytest.mark.parametrize(
    ("target", "keys"),
    [
        ("retries", {"retries": -1}),
        ("expectedEveryHours", {"expectedEveryHours": -1}),
        ("expectedEveryHours", {"expectedEveryHours": 8785}),
        ("expectedEveryHours", {"expectedEveryHours": True}),
        ("expectedEveryHours", {"expectedEveryHours": "NaN"}),
        ("expectedEveryHours", {"expectedEveryHours": "daily"}),
        ("expectedEveryHours", {"expectedEveryHours": [24]}),
        ("retries", {"retries": 11}),
        ("retries", {"retries": True}),
        ("retries", {"retries": "1.5"}),
        ("retries", {"retries": "11"}),
        ("retries", {"retries": "once"}),
        ("idempotencyKey", {"idempotencyKey": ""}),
        ("idempotencyKey", {"idempotencyKey": "x" * 257}),
        ("idempotencyKey", {"idempotencyKey": "a\u0000"}),
        ("idempotencyKey", {"idempotencyKey": 7}),
    ],
)
def test_retries_and_keys_have_limits(target: str, keys: dict[str, Any]) -> None:
    """A value beyond its limits or of another type is refused. A number is not a key, and a boolean is not a number."""
    assert refused(json.dumps({**IDS, **keys}).encode()).target == target


def test_the_header_is_the_key() -> None:
    """The same key in header and body is one key; two different keys are refused."""
    body = json.dumps({**IDS, "idempotencyKey": "a"}).encode()
    assert parse_spec(json.dumps(IDS).encode(), ANYWHERE, "a").idempotency_key == "a"
    assert parse_spec(body, ANYWHERE, "a").idempotency_key == "a"
    with pytest.raises(BadRequestError):
        parse_spec(body, ANYWHERE, "b")
    assert parse(retries=2.0).retries == 2


def test_a_key_identifies_one_scope() -> None:
    """The options of the refresh must be the same; the options of waiting may differ."""
    assert parse(timeoutMinutes=5, share=False).differs_from(parse()) == []
    other = parse(refresh={"type": "full"}, workspaceId=DATASET)
    assert other.differs_from(parse()) == ["workspaceId", "refresh"]


def test_a_cancellation_names_the_request() -> None:
    """A cancellation needs the model and the key, and accepts no other key."""
    given = {"datasetId": DATASET.upper(), "idempotencyKey": "k"}
    assert parse_cancellation(json.dumps(given).encode()) == (DATASET, "k")
    for wrong, target in (
        ({"datasetId": None}, "datasetId"),
        ({"idempotencyKey": None}, "idempotencyKey"),
        ({"id": 1}, "id"),
    ):
        with pytest.raises(BadRequestError) as caught:
            parse_cancellation(json.dumps({**given, **wrong}).encode())
        assert caught.value.target == target


def test_a_workspace_that_is_not_allowed_is_refused() -> None:
    """The message names the setting, but does not show its value."""
    fenced = Settings.from_environment({"ALLOWED_WORKSPACES": f"{DATASET} {WORKSPACE}"})
    assert parse(fenced) == parse()
    other = Settings.from_environment({"ALLOWED_WORKSPACES": DATASET})
    error = refused(json.dumps(IDS).encode(), other)
    assert (error.target, error.code) == ("workspaceId", "WorkspaceNotAllowed")
    assert DATASET not in error.message


def test_mails_are_refused_if_power_bi_would_refuse_them() -> None:
    """The start refuses such emails, before Power BI would."""
    managed = Settings.from_environment({"IDENTITY_ENDPOINT": "http://localhost/msi"})
    assert refused(json.dumps({**IDS, "notifyOption": "MailOnCompletion"}).encode(), managed).target == "notifyOption"
    assert parse(managed, notifyOption="NoNotification") == parse()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([WORKSPACE, DATASET]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=8,
)
bodies = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), json_values, max_size=6)


def survives(body: bytes) -> None:
    """The body is refused, or gives a spec that can be stored."""
    try:
        spec = parse_spec(body, ANYWHERE)
        parse_reply(body, ANYWHERE)
    except BadRequestError as error:
        json.dumps(error.to_json(), ensure_ascii=False).encode()
    else:
        stored = json.dumps(encode(spec), ensure_ascii=False, allow_nan=False)
        assert decode(json.loads(stored.encode()), RequestSpec) == spec


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(body: bytes) -> None:
    """Any bytes give a request or a refusal, and no other exception."""
    survives(body)


@given(bodies, st.booleans())
def test_any_object_is_a_request_or_refused(keys: dict[str, Any], with_ids: bool) -> None:
    """Any JSON object gives a request or a refusal, with valid ids or without."""
    survives(json.dumps({**keys, **(IDS if with_ids else {})}).encode())


@given(st.sampled_from(KEYS), json_values)
def test_any_value_of_a_key_is_served_or_refused(key: str, value: Any) -> None:
    """One invalid value at a time reaches more of the code than many invalid values together."""
    survives(json.dumps({**IDS, key: value}).encode())


@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.text(max_size=20), max_size=3))
def test_any_text_of_a_caller_can_be_stored_or_is_refused(caller: dict[str, str]) -> None:
    """Any texts in `caller` can be stored, or are refused."""
    survives(json.dumps({**IDS, "caller": caller}).encode())

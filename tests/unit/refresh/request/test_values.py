"""Values of a body are read by one rule for all keys."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresh.request.values import BadRequestError, boolean, choice, guid, number, shown_key, whole_number


def test_a_missing_value_is_the_default() -> None:
    """A missing value gets its default, even if other keys are present."""
    assert number({}, "k", 2.5) == 2.5
    assert boolean({}, "k", default=True)
    assert whole_number({}, "k", 9, default=3) == 3
    assert choice({}, "k", ("first", "second")) == "first"


@pytest.mark.parametrize(
    ("given_value", "expected"), [(1, 1.0), (0.5, 0.5), ("7", 7.0), (" 7.25 ", 7.25), ("-1", -1.0)]
)
def test_a_number(given_value: object, expected: float) -> None:
    """A number may also be a text."""
    assert number({"k": given_value}, "k", 0) == expected


@pytest.mark.parametrize("value", [10**400, -(10**400), float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_too_large_is_in_no_range(value: object) -> None:
    """The result is infinite, very large or not a number, so no range contains it."""
    assert not -1e300 < number({"k": value}, "k", 0) < 1e300


@pytest.mark.parametrize("value", [True, None, [], {}, "", "one", "1e3", "0x1", "1_000", "+1", "1.", ".5", "\u0661"])
def test_an_invalid_number_is_refused(value: object) -> None:
    """The refusal names its key."""
    with pytest.raises(BadRequestError, match='"k" must be a number') as refused:
        number({"k": value}, "k", 0)
    assert refused.value.target == "k"


@pytest.mark.parametrize("value", [0, 1, None, "", "yes", "1", "tru", [True]])
def test_an_invalid_boolean_is_refused(value: object) -> None:
    """An invalid boolean is refused. So is 1, which may be a mistake."""
    with pytest.raises(BadRequestError, match='"k" must be true or false') as refused:
        boolean({"k": value}, "k", default=True)
    assert refused.value.target == "k"


@pytest.mark.parametrize("value", [-1, 10, 0.5, "0.5", "10", True, None, "two", float("nan"), float("inf"), 10**400])
def test_a_whole_number_has_limits(value: object) -> None:
    """The message names the limits of the number."""
    with pytest.raises(BadRequestError, match='"k" must be a whole number from 0 to 9'):
        whole_number({"k": value}, "k", 9)


@pytest.mark.parametrize("value", [9, 9.0, "9", "9.0"])
def test_a_whole_number_may_have_a_fraction_of_zero(value: object) -> None:
    """A fraction of zero is accepted, because some tools write every number with a fraction."""
    assert whole_number({"k": value}, "k", 9) == 9


def test_a_choice_has_any_case() -> None:
    """A choice may be in upper or lower case. The result has the spelling of the API."""
    assert choice({"k": "SECOND"}, "k", ("first", "Second")) == "Second"
    for value in ("third", None, 2, ""):
        with pytest.raises(BadRequestError, match='"k" must be one of first, Second'):
            choice({"k": value}, "k", ("first", "Second"))


@pytest.mark.parametrize(
    "value", ["urn:uuid:01234567-89ab-cdef-0123-456789abcdef", "0123456789abcdef0123456789abcdef", "", 7, None]
)
def test_a_guid_has_the_form_of_power_bi(value: object) -> None:
    """A GUID is accepted in only one form, because it becomes a part of URLs."""
    with pytest.raises(BadRequestError) as refused:
        guid({"k": value}, "k")
    assert refused.value.target == "k"


def test_a_key_is_shown_on_one_short_line() -> None:
    """A key in a message is cut to one short line, because it is a text of the caller."""
    assert shown_key("a\nb") == "a\\nb"
    assert len(shown_key("x" * 100)) == 64


@given(st.text(max_size=12) | st.floats() | st.integers() | st.booleans() | st.none())
def test_any_value_is_read_or_refused(value: Any) -> None:
    """Any value is read or refused, and no other exception is raised."""
    for read in (
        lambda: number({"k": value}, "k", 0),
        lambda: boolean({"k": value}, "k", default=False),
        lambda: whole_number({"k": value}, "k", 5),
        lambda: choice({"k": value}, "k", ("a",)),
        lambda: guid({"k": value}, "k"),
    ):
        with suppress(BadRequestError):
            read()

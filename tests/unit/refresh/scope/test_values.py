"""Numbers and booleans of a request: one rule for all keys."""

import math

import pytest

from refresh.scope.values import OptionError, boolean, number, whole_number


@pytest.mark.parametrize("value", [2, 2.0, "2", " 2 ", "2.0"])
def test_spellings_of_a_whole_number(value: object) -> None:
    """A whole number may be a text, because pipelines send texts. It may have a fraction of zero, because some tools
    write one."""
    assert whole_number(value, "retries", 0, 10) == 2


@pytest.mark.parametrize(
    "value",
    [True, None, [], {}, "", "two", "2,0", "0x2", "1e1", "٣", "-1", "+1", 11, "11", 2.5, "2.5", math.nan, math.inf],
)
def test_other_values_are_not_whole_numbers_of_the_range(value: object) -> None:
    """The target of the error is the key."""
    with pytest.raises(OptionError) as caught:
        whole_number(value, "retries", 0, 10)
    assert caught.value.target == "retries"
    assert caught.value.message == '"retries" must be a whole number from 0 to 10.'


@pytest.mark.parametrize(
    ("value", "expected"),
    [(90, 90.0), (0.5, 0.5), ("90", 90.0), ("0.5", 0.5), ("-1", -1.0), (10**400, math.inf), (-(10**400), -math.inf)],
)
def test_a_number_may_have_a_fraction(value: object, expected: float) -> None:
    """A number may have any value. The code that uses it checks its limits."""
    assert number(value, "timeoutMinutes") == expected


@pytest.mark.parametrize("value", [True, None, "", "soon", "1e3", "+1", [1]])
def test_other_values_are_not_numbers(value: object) -> None:
    """Other values are refused, even booleans, which are numbers in Python."""
    with pytest.raises(OptionError):
        number(value, "timeoutMinutes")


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), (False, False), ("true", True), ("False", False), (" TRUE ", True)]
)
def test_a_boolean_may_be_a_text(value: object, expected: bool) -> None:
    """A boolean may be a text, because Data Factory writes booleans as texts."""
    assert boolean(value, "share") is expected


@pytest.mark.parametrize("value", [None, 0, 1, "1", "yes", "", [], "truee"])
def test_other_values_are_not_booleans(value: object) -> None:
    """Other values are refused, because a guess could refresh too much."""
    with pytest.raises(OptionError) as caught:
        boolean(value, "share")
    assert caught.value.message == '"share" must be true or false.'

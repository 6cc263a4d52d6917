"""Times and their formats: every form that Power BI uses, but no value with which the app cannot calculate."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresh.times import instant, iso, parse_time, time_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-11-19T08:37:51.133Z", datetime(2024, 11, 19, 8, 37, 51, 133000, UTC)),
        ("2024-11-19T08:37:58.28Z", datetime(2024, 11, 19, 8, 37, 58, 280000, UTC)),
        ("2024-11-19T08:37:51.4759519Z", datetime(2024, 11, 19, 8, 37, 51, 475951, UTC)),
        ("2026-03-23T06:00:00Z", datetime(2026, 3, 23, 6, tzinfo=UTC)),
        ("2021-12-10T08:40:31.57", datetime(2021, 12, 10, 8, 40, 31, 570000, UTC)),
        ("2021-12-10T08:40:31", datetime(2021, 12, 10, 8, 40, 31, tzinfo=UTC)),
        ("2021-12-10T08:40:31+02:00", datetime(2021, 12, 10, 6, 40, 31, tzinfo=UTC)),
        ("2021-12-10T08:40:31.5-0130", datetime(2021, 12, 10, 10, 10, 31, 500000, UTC)),
        ("0001-01-01T00:00:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("2021-02-30T08:40:31Z", None),
        ("2021-12-10T08:40:31+99:99", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1700000000, None),
    ],
)
def test_times_are_utc_with_any_number_of_digits(text: object, expected: datetime | None) -> None:
    """The time may have a Z and up to 7 fraction digits. An invalid time counts as absent."""
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "9999-12-31T23:59:59.9999999",
        "9999-01-01T00:00:00Z",
        "9998-12-31T23:59:59-00:01",
        "0001-01-01T00:00:00Z",
        "0001-12-31T23:59:59.999Z",
        "0002-01-01T00:00:00+00:01",
    ],
)
def test_the_years_that_mean_never_are_absent(text: str) -> None:
    """.NET writes its minimum or maximum for "never". Such times count as absent, because sums with them would exceed
    the calendar."""
    assert parse_time(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "2021-12-10",
        "08:40:31",
        "2021-12-10T08:40Z",
        "2021-12-10T24:00:00Z",
        "2021-12-10T08:40:61Z",
        "2021-12-10T08:40:31.1234567890123Z",
        "2021-12-10T08:40:31 +",
        "2021-12-10T08:40:31+02",
        "20211210T084031Z",
        "2021-12-10T08:40:31Z2021-12-10T08:40:31Z",
        "٢٠٢١-12-10T08:40:31Z",
        "+2021-12-10T08:40:31Z",
        "2021-12-10T08:40:31Z\n\x00",
    ],
)
def test_a_text_that_only_resembles_a_time_is_absent(text: str) -> None:
    """A text in any other form counts as absent, and is not mistaken for another time."""
    assert parse_time(text) is None


def test_blanks_and_letters_do_not_matter() -> None:
    """Blanks may be around the time, between date and time, and before the offset. T and Z may be in lower case."""
    six = datetime(2026, 3, 23, 6, tzinfo=UTC)
    for text in (
        " 2026-03-23T06:00:00Z\n",
        "2026-03-23 06:00:00",
        "2026-03-23t06:00:00z",
        "2026-03-23T07:00:00 +01:00",
    ):
        assert parse_time(text) == six


@given(
    st.text()
    | st.integers()
    | st.none()
    | st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{0,9})?(Z|[+-]\d\d:?\d\d)?")
)
def test_any_value_is_a_time_or_none(value: object) -> None:
    """No value causes an exception. The app can calculate a year before and after each time."""
    time = parse_time(value)
    if time is not None:
        assert time.tzinfo is UTC
        assert instant(time + timedelta(days=365)) > instant(time) > instant(time - timedelta(days=365))


moments = st.datetimes(datetime(2, 1, 2), datetime(9998, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moments, offsets)
def test_a_written_time_is_read_as_the_same_time(time: datetime, offset: timezone) -> None:
    """A time that is written and read is the same to the millisecond, from any time zone."""
    text = instant(time.astimezone(offset))
    milliseconds = time.replace(microsecond=time.microsecond // 1000 * 1000)
    assert parse_time(text) == time_of(text) == milliseconds
    assert iso(time) == text


@given(moments, moments)
def test_written_times_compare_as_times(one: datetime, other: datetime) -> None:
    """All written times have the same length, so stored texts are in the order of the times."""
    assert len(instant(one)) == len(instant(other)) == len("2026-03-31T06:00:00.000Z")
    if instant(one) != instant(other):
        assert (instant(one) < instant(other)) is (one < other)


def test_no_time_is_written_as_none() -> None:
    """An unknown time is written as None."""
    assert iso(None) is None


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z"])
def test_a_stored_time_must_be_valid(text: str) -> None:
    """Any form other than that of `instant` is an error of the app."""
    with pytest.raises(ValueError, match=r"isoformat|month"):
        time_of(text)

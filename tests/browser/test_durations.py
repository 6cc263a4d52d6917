"""How the page writes durations."""

from __future__ import annotations

from tests.browser.conftest import Visit
from tests.browser.stand_in import World

DURATION = "async seconds => (await import(new URL('ui/words.js', location))).duration(seconds)"
MINUTE, HOUR, DAY = 60, 3_600, 86_400


def test_a_duration_is_cut_and_not_rounded(world: World, visit: Visit) -> None:
    """A duration in days is cut to hours, just as a duration in hours is cut to minutes."""
    page = visit(world.base).open()
    expected = {
        48: "48 s",
        12 * MINUTE + 59: "12 min",
        2 * HOUR + 35 * MINUTE + 59: "2 h 35 min",
        2 * DAY + 3 * HOUR: "2 d 3 h",
        2 * DAY + 3 * HOUR + 59 * MINUTE: "2 d 3 h",
        3 * DAY - 1: "2 d 23 h",
    }
    assert {seconds: page.evaluate(DURATION, seconds) for seconds in expected} == expected

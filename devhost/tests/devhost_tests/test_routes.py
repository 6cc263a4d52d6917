"""Requests reach the same functions as with the real router."""

from __future__ import annotations

import json
from typing import Any

import pytest

from devhost.web.constraints import BadTemplate
from devhost.web.routes import Router
from devhost_tests.process import RECORDED

ROUTES: dict[str, Any] = json.loads((RECORDED / "routes.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def router() -> Router[str]:
    router: Router[str] = Router("api")
    for route in ROUTES["routes"]:
        router.add(route["route"], route["methods"], route["function"])
    return router


@pytest.mark.parametrize("request_", ROUTES["requests"], ids=lambda r: f"{r['method']} {r['path']}")
def test_a_request_reaches_the_same_function_as_with_the_real_router(
    router: Router[str], request_: dict[str, Any]
) -> None:
    """The function and the values of its parameters are the same, or neither router finds a function."""
    found = router.find(request_["method"], request_["path"])
    expected = None if request_["status"] == 404 else (request_["function"], request_["values"])
    assert found == expected


def test_overlapping_routes_are_found(router: Router[str]) -> None:
    """The recorded pairs for which the order of the functions decides are found, each with a path that matches both."""
    assert list(router.overlaps()) == [
        ("one", "literal", "api/refreshes/latest"),
        ("number", "any", "api/items/1"),
        ("alpha", "any", "api/items/x"),
        ("same1", "same2", "api/dup/x"),
        ("mixed", "mixed2", "api/m/y/x"),
    ]


@pytest.mark.parametrize(
    ("first", "second", "example"),
    [
        ("a/{x}", "b/{x}", None),
        ("a/{x:int}", "a/{x:guid}", None),
        ("a/{x:int}", "a/{x:alpha}", None),
        ("a/{*rest}", "a/b/c", "a/b/c"),
        ("{*rest}", "a/{x:int}", "a/1"),
        ("a/{x?}", "a", "a"),
        ("a/{x=5}/{y?}", "A/b", "a/b"),
        ("f/{n}.{e}", "f/{x}", "f/x.x"),
        ("a-{x:int}", "a-{y}", "a-1"),
        ("", "{*all}", ""),
    ],
)
def test_overlaps(first: str, second: str, example: str | None) -> None:
    """Routes overlap only if a single request can match both."""
    router: Router[str] = Router("")
    router.add(first, ("GET",), "first")
    router.add(second, (), "second")
    router.add(first, ("PUT",), "other method")
    found = [path for one, other, path in router.overlaps() if (one, other) == ("first", "second")]
    assert found == ([] if example is None else [example])


def test_prefix_may_be_empty_or_have_parts() -> None:
    """routePrefix "" puts routes at the root; a prefix of two parts needs both."""
    root: Router[str] = Router("")
    root.add("x/{a}", (), "f")
    assert root.find("DELETE", "/x/1") == ("f", {"a": "1"})
    deep: Router[str] = Router("api/v1")
    deep.add("x", ("get",), "f")
    assert deep.find("GET", "/api/v1/x") == ("f", {})
    assert deep.find("GET", "/api/x") is None


@pytest.mark.parametrize(
    ("template", "accepted", "refused"),
    [
        ("{x:long}", "99999999999", "9.5"),
        ("{x:minlength(2)}", "ab", "a"),
        ("{x:maxlength(2)}", "ab", "abc"),
        ("{x:length(2,3)}", "abc", "abcd"),
        ("{x:min(5)}", "5", "4"),
        ("{x:max(5)}", "5", "6"),
        ("{x:decimal}", "1.5", "one"),
        ("{x:datetime}", "2026-11-24", "tomorrow"),
        ("{x:int:min(3)}", "3", "2"),
        ("{x:regex(^\\d{{2}}$)}", "12", "123"),
        ("a-{x:int}-z", "a-5-z", "a-b-z"),
    ],
)
def test_constraints(template: str, accepted: str, refused: str) -> None:
    """A value that does not match its constraint gets a 404."""
    router: Router[str] = Router("")
    router.add(template, (), "f")
    assert router.find("GET", f"/{accepted}") is not None
    assert router.find("GET", f"/{refused}") is None


@pytest.mark.parametrize("template", ["/rooted", "~/x", "{open", "close}", "{x:nonsense}", "{}"])
def test_bad_templates_are_refused(template: str) -> None:
    """The host does not start with an invalid route template."""
    with pytest.raises(BadTemplate):
        Router[str]("").add(template, (), "f")

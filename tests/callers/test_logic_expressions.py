"""Expressions are parsed and evaluated as Logic Apps documents them, or refused with the reason."""

from typing import Any, ClassVar

import pytest

from tests.callers.clients.logic_evaluate import InvalidTemplateError, evaluate, holds
from tests.callers.clients.logic_syntax import Access, Call, ExpressionError, Literal, Template, parse_text, walk


class Known:
    """A scope with a few values."""

    VALUES: ClassVar[dict[tuple[str, str | None], Any]] = {
        ("body", "A"): {"error": {"message": "it's so"}, "n": 5, "deep": {"a b": [1]}},
        ("body", "Text"): "<html>",
        ("body", "Nothing"): None,
        ("workflow", None): {"run": {"name": "0858"}},
        ("variables", "none"): [],
        ("variables", "two"): ["a.", "b."],
    }

    def refer(self, function: str, name: str | None) -> Any:
        if (function, name) not in self.VALUES:
            raise InvalidTemplateError(f"{function}({name})")
        return self.VALUES[function, name]


EVALUATED: dict[str, Any] = {
    "plain": "plain",
    "": "",
    "@@plain": "@plain",
    "a@b.example": "a@b.example",
    "mail @@{x}": "mail @{x}",
    "@body('A')?['n']": 5,
    "@{body('A')?['n']}": "5",
    "@ body( 'A' ) ?[ 'n' ] ": 5,
    "@BODY('A').n": 5,
    "@body('A')?.error?.message": "it's so",
    "@body('A')?['error']?['message']": "it's so",
    "@body('A')?['missing']?['message']": None,
    "@body('Nothing')?['missing']": None,
    "run @{workflow().run.name} of @{body('A')?['missing']}.": "run 0858 of .",
    "@{concat('a}', '''b''')}-@{body('A')?['deep']}": "a}'b'-{\"a b\": [1]}",
    "@coalesce(null, body('A')?['x'], 'c')": "c",
    "@if(empty(variables('none')), 'none', join(variables('two'), ' '))": "none",
    "@if(empty(variables('two')), 'none', join(variables('two'), ' '))": "a. b.",
    "@equals(body('A')?['n'], 5)": True,
    "@string(-1.5)": "-1.5",
    "@concat('a', null, true)": "atrue",
}


@pytest.mark.parametrize("text", EVALUATED)
def test_a_text_is_evaluated(text: str) -> None:
    """The value of an expression keeps its type; a template gives a text."""
    assert evaluate(text, Known()) == EVALUATED[text]


@pytest.mark.parametrize(
    "text",
    ["@body('A')['missing']", "@body('Text')?['error']", "@body('Nothing').error", "@body('Missing')", "@trim('a')"],
)
def test_an_expression_that_cannot_be_evaluated_fails_the_action(text: str) -> None:
    """An expression cannot be evaluated if it has a missing property without `?`, a property of a text, or an unknown
    reference or function."""
    with pytest.raises(InvalidTemplateError):
        evaluate(text, Known())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("@", "ends too early"),
        ("@concat('a'", "')' is missing"),
        ("@concat('a'))", "is left over"),
        ("@concat('a", "is not a part of an expression"),
        ("@body['A']", "body at 1 is not a function call"),
        ("@body('A')?['n'", "']' is missing"),
        ("@body('A').'n'", "a name is missing"),
        ("@concat(,)", "',' is out of place"),
        ('@concat("a")', "is not a part of an expression"),
        ("a @{concat('b')", "is not closed"),
    ],
)
def test_an_invalid_expression_is_refused(text: str, problem: str) -> None:
    """The message contains the reason."""
    with pytest.raises(ExpressionError) as refused:
        parse_text(text)
    assert problem in str(refused.value)


def test_the_tree() -> None:
    """`walk` finds calls, accesses, literals and templates."""
    node = parse_text("a@{f(1).b}")
    access = Access(Call("f", (Literal(1),)), Literal("b"), safe=False)
    assert node == Template((Literal("a"), access))
    assert list(walk(node)) == [node, Literal("a"), access, access.target, Literal(1), Literal("b")]


def test_conditions() -> None:
    """A condition is an object of and, or, not and comparisons, or an expression."""
    scope = Known()
    yes, no = {"equals": ["@body('A')?['n']", 5]}, {"equals": [1, 2]}
    assert holds({"and": [yes, yes]}, scope)
    assert not holds({"and": [yes, no]}, scope)
    assert holds({"or": [no, yes]}, scope)
    assert holds({"not": no}, scope)
    assert holds("@equals(1, 1)", scope)

"""CEL expressions are cut off where the real server cuts them off, and what could end the process is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.errors import StatusError
from meshdojo.kubernetes.schema.expressions import CALL_LIMIT, Budget, compiled, evaluate
from meshdojo.kubernetes.schema.rules import check_rules

# Three nested loops over it take 8 million turns: more than a call may cost.
NUMBERS = list(range(200))
ENDLESS = "self.all(a, self.all(b, self.all(c, a + b + c >= 0)))"


def value_of(text: str, value: Any, budget: Budget | None = None) -> Any:
    return evaluate(text, {"self": value}, {}, budget or Budget())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("self.all(x, x < 200)", True),
        ("self.exists(x, x == 199)", True),
        ("self.exists_one(x, x == 7)", True),
        ("self.filter(x, x < 3)", [0, 1, 2]),
        ("self.map(x, x < 2, x + 1)", [1, 2]),
        ("self.filter(x, x < 2).map(x, 'a,)' + string(x))", ["a,)0", "a,)1"]),
        ("self.filter(x, [1, 2].exists(y, y == x)).map(y, {'n': [y, y]})", [{"n": [1, 1]}, {"n": [2, 2]}]),
        ("self // a comment, with ( in it\n .all(x, /* */ true)".replace("/* */", ""), True),
        ("self.all(x, x >= 0 || x == r'\\'[0])", True),
    ],
)
def test_counting_changes_no_result(text: str, value: Any) -> None:
    budget = Budget()

    assert value_of(text, NUMBERS, budget) == value
    assert not budget.broken_off


def test_the_cost_grows_with_the_turns_and_with_what_a_turn_does() -> None:
    def cost(text: str, length: int) -> int:
        budget = Budget()
        value_of(text, list(range(length)), budget)
        return Budget().left - budget.left

    turn = cost("self.all(x, x >= 0)", 101) - cost("self.all(x, x >= 0)", 100)

    assert cost("self.all(x, x >= 0)", 100) - cost("self.all(x, x >= 0)", 0) == 100 * turn
    assert cost("self.all(x, x >= 0 && x + 1 > x)", 100) > cost("self.all(x, x >= 0)", 100)
    assert cost("self.all(x, self.all(y, true))", 100) > 100 * cost("self.all(y, true)", 100)


def test_what_takes_too_long_is_broken_off() -> None:
    budget = Budget()

    with pytest.raises(RuntimeError):
        value_of(ENDLESS, NUMBERS, budget)

    assert budget.broken_off
    assert Budget().left - budget.left < CALL_LIMIT + 100


def test_a_rule_that_is_broken_off_says_so_and_no_other_is_run() -> None:
    wrong = {"rule": "false"}
    schema = {"items": {"x-kubernetes-validations": [wrong]}, "x-kubernetes-validations": [{"rule": ENDLESS}, wrong]}

    causes = [str(cause) for cause in check_rules(schema, NUMBERS, path="spec")]

    assert causes == [
        "spec: Invalid value: \"array\": 'operation cancelled: actual cost limit exceeded': no further validation "
        f"rules will be run due to call cost exceeds limit for rule: {ENDLESS}"
    ]


def test_all_rules_together_have_a_budget_too() -> None:
    rule = {"rule": "self.all(a, self.all(b, a + b >= 0))", "message": "never told"}
    schema = {"x-kubernetes-validations": [rule] * 40}

    causes = [str(cause) for cause in check_rules(schema, NUMBERS[:190], path="spec")]

    assert causes == [
        'spec: Invalid value: "array": validation failed due to running out of cost budget, no further validation '
        "rules will be run"
    ]


@pytest.mark.parametrize(
    "text",
    ["+".join(["1"] * 20_000), f"self{'.a' * 20_000}", f"self{'[0]' * 20_000}", f"{'(' * 300}1{')' * 300}"],
    ids=["sum", "fields", "indexes", "brackets"],
)
def test_what_is_nested_too_deep_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expression recursion limit exceeded: 250|code point size exceeds limit"):
        compiled(text)


def test_what_is_long_but_not_deep_is_read() -> None:
    assert value_of(" && ".join(["self.a + 1 > 0"] * 1_000), {"a": 1}) is True


def test_a_pattern_that_python_would_try_for_ever_is_answered_at_once() -> None:
    schema = {"x-kubernetes-validations": [{"rule": "self.find('(a+)+$') == ''"}]}

    assert list(check_rules(schema, "a" * 60 + "!", path="spec")) == []


@pytest.mark.parametrize(
    ("rule", "field", "words"),
    [
        ({}, "rule", "Required value: rule is not specified"),
        ({"rule": "  "}, "rule", "Required value: rule is not specified"),
        ({"rule": "self >"}, "rule", "compilation failed: "),
        ({"rule": "true", "messageExpression": "'a' +"}, "messageExpression", "messageExpression compilation failed: "),
        (
            {"rule": "+".join(["1"] * 300)},
            "rule",
            "compilation failed: ERROR: <input>:-1:0: expression recursion limit",
        ),
    ],
    ids=["none", "blank", "unreadable", "unreadable message", "too deep"],
)
def test_a_definition_with_such_a_rule_is_refused(api: Api, rule: dict[str, str], field: str, words: str) -> None:
    schema = {"type": "object", "x-kubernetes-validations": [rule]}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "boats", "kind": "Boat"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}

    definition = {"metadata": {"name": "boats.example.com"}, "spec": spec}

    with pytest.raises(StatusError) as caught:
        asyncio.run(api.create("customresourcedefinitions.apiextensions.k8s.io", definition))

    assert f"spec.validation.openAPIV3Schema.x-kubernetes-validations[0].{field}: " in caught.value.message
    assert words in caught.value.message

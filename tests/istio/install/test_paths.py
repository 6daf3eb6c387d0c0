from __future__ import annotations

from typing import Any

import pytest

from meshdojo.istio.install.paths import BadOption, assign, assignment, leaves, merged, scalar, steps


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.b", ["a", "b"]),
        ("a[0].b", ["a", 0, "b"]),
        ("a[name:x].b", ["a", "[name:x]", "b"]),
        (r"a.b\.c/d", ["a", "b.c/d"]),
    ],
)
def test_steps(path: str, expected: list[Any]) -> None:
    assert steps(path) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", True), ("false", False), ("12", 12), ("-1", -1), ("012", "012"), ("1.5", "1.5"), ("{a,2}", ["a", 2])],
)
def test_scalars(text: str, expected: Any) -> None:
    assert scalar(text) == expected
    assert type(scalar(text)) is type(expected)


def test_a_value_may_contain_equals_signs() -> None:
    assert assignment("a.b=c=d") == (["a", "b"], "c=d")


@pytest.mark.parametrize("text", ["profile", "=demo"])
def test_what_is_no_assignment(text: str) -> None:
    with pytest.raises(BadOption, match="expected path=value"):
        assignment(text)


def test_assign_makes_what_is_missing() -> None:
    tree: dict[str, Any] = {"list": [{"name": "x"}]}
    assign(tree, ["a", "b"], 1)
    assign(tree, ["list", 1, "name"], "y")
    assign(tree, ["list", "[name:x]", "on"], True)
    assert tree == {"a": {"b": 1}, "list": [{"name": "x", "on": True}, {"name": "y"}]}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (["list", 3, "a"], r"element \[3\] not found: the list has 1 elements"),
        (["list", "[name:z]", "a"], r"element \[name:z\] not found"),
        (["map", 0], r"\[0\] is no index here"),
    ],
)
def test_assign_to_a_place_that_is_not_there(path: list[Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        assign({"list": [{"name": "x"}], "map": {"a": 1}}, path, 1)


def test_lists_of_named_entries_are_merged_by_name() -> None:
    base = {"gateways": [{"name": "a", "enabled": False}], "ports": [1, 2], "deep": {"x": 1}}
    over = {"gateways": [{"name": "b"}, {"name": "a", "enabled": True}], "ports": [3], "deep": {"y": 2}}
    assert merged(base, over) == {
        "gateways": [{"name": "a", "enabled": True}, {"name": "b"}],
        "ports": [3],
        "deep": {"x": 1, "y": 2},
    }


def test_leaves_leave_indexes_out() -> None:
    tree = {"a": {"b": 1, "empty": {}}, "l": [{"x": 1}, {"x": 2}], "plain": [1]}
    assert list(leaves(tree)) == [("a.b", 1), ("a.empty", {}), ("l.x", 1), ("l.x", 2), ("plain", [1])]

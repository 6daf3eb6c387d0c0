"""JSON patch."""

from __future__ import annotations

from typing import Any

import pytest

from meshdojo.kubernetes.errors import StatusError
from meshdojo.kubernetes.patches.operations import apply_operations


def test_operations_in_order() -> None:
    target = {"spec": {"hosts": ["a"], "n": 1}}

    patched = apply_operations(
        target,
        [
            {"op": "test", "path": "/spec/n", "value": 1},
            {"op": "replace", "path": "/spec/n", "value": 2},
            {"op": "add", "path": "/spec/hosts/-", "value": "b"},
            {"op": "copy", "from": "/spec/n", "path": "/spec/m"},
            {"op": "remove", "path": "/spec/hosts/0"},
        ],
    )

    assert patched == {"spec": {"hosts": ["b"], "n": 2, "m": 2}}
    assert target == {"spec": {"hosts": ["a"], "n": 1}}


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "test", "path": "/a", "value": 2}],
        [{"op": "remove", "path": "/nope"}],
        [{"op": "nope", "path": "/a"}],
        [{"op": "add"}],
        [{"op": "replace", "path": "", "value": 5}],
        [{"op": "add", "path": "no-slash", "value": 1}],
        ["add"],
        [None],
    ],
)
def test_what_does_not_fit_is_unprocessable(operations: Any) -> None:
    with pytest.raises(StatusError, match="the server rejected our request due to an error in our request") as caught:
        apply_operations({"a": 1}, operations)

    assert caught.value.code == 422


def test_too_many_operations() -> None:
    with pytest.raises(StatusError, match=r"maximum operations in a JSON patch is 10000, got 10001"):
        apply_operations({}, [{"op": "add", "path": "/a", "value": 1}] * 10_001)

from __future__ import annotations

from typing import Any

import pytest

from meshdojo.kubernetes.tables.jsonpath import JSONPathError, find

VALUE = {
    "spec": {"hosts": ["a", "b"], "empty": [], "a.b": 1, "servers": [{"port": {"n": 1}}, {"port": {"n": 2}}]},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "ok": False}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.hosts", [["a", "b"]]),
        ("{.spec.hosts}", [["a", "b"]]),
        ("$.spec.hosts[0]", ["a"]),
        (".spec.hosts[-1]", ["b"]),
        (".spec.hosts[7]", []),
        (".spec.hosts[*]", ["a", "b"]),
        (".spec['a.b']", [1]),
        (r".spec.a\.b", [1]),
        (".spec.servers[*].port.n", [1, 2]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type!='Ready')].type", ["Other"]),
        (".status.conditions[?(@.ok)].type", ["Other"]),
        (".status.conditions[?(@.ok==false)].type", ["Other"]),
        (".nope.deeper", []),
        (".spec.hosts.deeper", []),
    ],
)
def test_find(path: str, found: list[Any]) -> None:
    assert find(path, VALUE) == found


def test_a_path_that_cannot_be_read() -> None:
    with pytest.raises(JSONPathError, match="cannot read the JSONPath"):
        find(".spec[", VALUE)

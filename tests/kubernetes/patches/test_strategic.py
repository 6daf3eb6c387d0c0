"""Strategic merge patch: lists merged by key, and the directives that kubectl sends."""

from __future__ import annotations

from typing import Any

import pytest

from meshdojo.kubernetes.errors import StatusError
from meshdojo.kubernetes.patches.strategic import go_map, strategic_merge
from meshdojo.kubernetes.resources import Catalogue, Resource


def resource(name: str) -> Resource:
    found = Catalogue.builtin().by_name(name)
    assert found is not None
    return found


def containers(*names: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"name": name, "image": f"{name}:1", **fields} for name in names]


def merged(current: list[Any], patch: list[Any], **directives: Any) -> list[Any]:
    spec = strategic_merge(
        resource("pods"), {"spec": {"containers": current}}, {"spec": {"containers": patch, **directives}}
    )["spec"]
    assert set(spec) == {"containers"}
    found: list[Any] = spec["containers"]
    return found


def test_an_element_is_found_by_its_key() -> None:
    result = merged(containers("a", "b"), [{"name": "b", "image": "b:2"}])

    assert result == [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:2"}]


def test_a_new_element_is_appended() -> None:
    assert [c["name"] for c in merged(containers("a"), containers("b"))] == ["a", "b"]


def test_an_element_can_be_deleted() -> None:
    assert merged(containers("a", "b"), [{"name": "a", "$patch": "delete"}]) == containers("b")


def test_a_list_can_be_replaced() -> None:
    assert merged(containers("a", "b"), [{"$patch": "replace"}, *containers("c")]) == containers("c")


def test_lists_inside_elements_are_merged_too() -> None:
    current = containers("a", env=[{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}])

    result = merged(current, [{"name": "a", "env": [{"name": "X", "value": "9"}]}])

    assert result[0]["env"] == [{"name": "X", "value": "9"}, {"name": "Y", "value": "2"}]


def test_the_order_can_be_set() -> None:
    order = [{"name": "c"}, {"name": "a"}]

    result = merged(containers("a", "b"), containers("c"), **{"$setElementOrder/containers": order})

    assert [c["name"] for c in result] == ["b", "c", "a"]


def test_other_elements_keep_their_place_beside_their_neighbours() -> None:
    order = [{"name": "a"}, {"name": "c"}]

    result = merged(containers("a", "b", "c"), [], **{"$setElementOrder/containers": order})

    assert [c["name"] for c in result] == ["a", "b", "c"]


def test_lists_without_a_key_are_replaced() -> None:
    result = merged(containers("a", args=["x", "y"]), [{"name": "a", "args": ["z"]}])

    assert result[0]["args"] == ["z"]


def test_finalizers_are_a_set() -> None:
    current = {"metadata": {"finalizers": ["a", "b"]}}
    patch = {"metadata": {"finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"]}}

    assert strategic_merge(resource("pods"), current, patch) == {"metadata": {"finalizers": ["b", "c"]}}


def test_retain_keys_drops_the_others() -> None:
    current = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}

    assert strategic_merge(resource("deployments.apps"), current, patch) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_null_and_delete_remove_a_field() -> None:
    current = {"spec": {"nodeSelector": {"a": "b"}, "affinity": {"x": 1}, "hostname": "h"}}
    patch = {"spec": {"nodeSelector": None, "affinity": {"$patch": "delete"}}}

    assert strategic_merge(resource("pods"), current, patch) == {"spec": {"hostname": "h"}}


def test_an_object_can_be_replaced() -> None:
    current = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    patch = {"metadata": {"labels": {"$patch": "replace", "c": "3"}}}

    assert strategic_merge(resource("pods"), current, patch) == {"metadata": {"labels": {"c": "3"}}}


def test_arguments_stay_as_they_are() -> None:
    current = {"spec": {"containers": containers("a")}}

    strategic_merge(resource("pods"), current, {"spec": {"containers": [{"name": "a", "image": "x"}]}})

    assert current == {"spec": {"containers": containers("a")}}


def test_an_element_without_its_key_is_refused() -> None:
    with pytest.raises(StatusError, match="does not contain declared merge key: name"):
        merged(containers("a"), [{"image": "x"}])


def test_values_as_go_prints_them() -> None:
    value = {"spec": {"replicas": "many", "on": True, "list": [1, None], "a": {}}}

    assert go_map(value) == "map[spec:map[a:map[] list:[1 <nil>] on:true replicas:many]]"

"""Who owns which field: tracking of updates, server-side apply, and the encoding as FieldsV1."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest

from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.errors import StatusError
from meshdojo.kubernetes.fieldsets import decode, encode, fields_of
from meshdojo.kubernetes.requests import Options
from meshdojo.kubernetes.resources import Catalogue, custom_resources

T = TypeVar("T")
Object = dict[str, Any]


def run(awaitable: Awaitable[T]) -> T:
    async def wait() -> T:
        return await asyncio.wait_for(awaitable, 30)

    return asyncio.run(wait())


def config_map(**data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


def apply(api: Api, manager: str, *, force: bool = False, **data: str) -> Object:
    patch = config_map(**data)
    return run(api.patch("configmaps", "c", patch, "default", type="apply", field_manager=manager, force=force))


def owners(obj: Object) -> dict[str, set[str]]:
    return {
        f"{entry['manager']}:{entry['operation']}": set(entry["fieldsV1"].get("f:data", {}))
        for entry in obj["metadata"]["managedFields"]
    }


def test_an_update_owns_what_it_changed(api: Api) -> None:
    run(api.create("configmaps", config_map(a="1", b="1"), "default", options=Options(field_manager="one")))
    patch = {"data": {"b": "2", "c": "2"}}
    changed = run(api.patch("configmaps", "c", patch, "default", options=Options(field_manager="two")))

    assert owners(changed) == {"one:Update": {"f:a"}, "two:Update": {"f:b", "f:c"}}


def test_what_changes_nothing_leaves_the_owners_alone(api: Api) -> None:
    made = run(api.create("configmaps", config_map(a="1"), "default", options=Options(field_manager="one")))
    again = run(api.patch("configmaps", "c", {"data": {"a": "1"}}, "default", options=Options(field_manager="two")))

    assert again == made


def test_writes_in_process_are_not_tracked(api: Api) -> None:
    assert "managedFields" not in run(api.create("configmaps", config_map(a="1"), "default"))["metadata"]


def test_two_managers_that_agree_share_a_field(api: Api) -> None:
    apply(api, "one", a="1", b="1")
    shared = apply(api, "two", a="1")
    left = apply(api, "one", b="1")

    assert owners(shared) == {"one:Apply": {"f:a", "f:b"}, "two:Apply": {"f:a"}}
    assert left["data"] == {"a": "1", "b": "1"}
    assert owners(left) == {"one:Apply": {"f:b"}, "two:Apply": {"f:a"}}


def test_a_conflict_names_the_manager_and_the_field(api: Api) -> None:
    apply(api, "one", a="1", b="1")
    run(api.patch("configmaps", "c", {"data": {"b": "9"}}, "default", options=Options(field_manager="kubectl-patch")))

    with pytest.raises(StatusError) as one:
        apply(api, "two", a="2")
    with pytest.raises(StatusError) as several:
        apply(api, "two", a="2", b="2")

    assert one.value.message == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    assert one.value.details == {
        "causes": [{"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}]
    }
    assert several.value.message.startswith("Apply failed with 2 conflicts: ")
    assert 'conflicts with "kubectl-patch" using v1:\n- .data.b' in several.value.message


def test_force_takes_the_field_over(api: Api) -> None:
    apply(api, "one", a="1", b="1")

    forced = apply(api, "two", force=True, a="2")

    assert forced["data"] == {"a": "2", "b": "1"}
    assert owners(forced) == {"one:Apply": {"f:b"}, "two:Apply": {"f:a"}}


def test_applying_the_same_again_changes_nothing(api: Api) -> None:
    first = apply(api, "one", a="1")

    assert apply(api, "one", a="1") == first


def container(name: str, **fields: Any) -> Object:
    return {"name": name, "image": f"{name}:1", **fields}


def deployment(*containers: Object) -> Object:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": list(containers)}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}


def test_elements_of_lists_belong_to_whoever_named_them(api: Api) -> None:
    def apply_as(manager: str, *containers: Object) -> list[str]:
        patch = deployment(*containers)
        obj = run(api.patch("deployments.apps", "d", patch, "default", type="apply", field_manager=manager))
        return [c["name"] for c in obj["spec"]["template"]["spec"]["containers"]]

    assert apply_as("one", container("a"), container("b")) == ["a", "b"]
    assert apply_as("two", container("side", ports=[{"containerPort": 80}])) == ["a", "b", "side"]
    assert apply_as("one", container("a")) == ["a", "side"]


@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        ({"apiVersion": "v1", "kind": "Pod"}, 400, "invalid object type: v1, Kind=Pod"),
        ({**config_map(), "metadata": {"managedFields": [{}]}}, 400, "metadata.managedFields must be nil"),
        (
            {**config_map(), "dat": {}},
            500,
            "failed to create typed patch object (default/c; /v1, Kind=ConfigMap): .dat: field not declared in schema",
        ),
        ([], 400, "must be an object"),
    ],
)
def test_configurations_that_make_no_sense(api: Api, config: Any, code: int, words: str) -> None:
    with pytest.raises(StatusError) as caught:
        run(api.patch("configmaps", "c", config, "default", type="apply", field_manager="me"))

    assert words in caught.value.message
    assert caught.value.code == code


def test_an_apply_needs_a_manager(api: Api) -> None:
    with pytest.raises(StatusError, match="fieldManager: Required value: is required for apply patch"):
        run(api.patch("configmaps", "c", config_map(), "default", type="apply"))


def test_fields_are_written_as_the_api_does() -> None:
    resource = Catalogue.builtin().by_name("deployments.apps")
    assert resource is not None

    paths = fields_of(resource, deployment(container("a", ports=[{"containerPort": 80}])))
    encoded = encode(paths)

    containers = encoded["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert containers == {
        'k:{"name":"a"}': {
            ".": {},
            "f:image": {},
            "f:name": {},
            "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
        }
    }
    assert set(decode(encoded)) == set(paths)
    assert "f:metadata" not in encoded


def test_lists_of_custom_resources_follow_their_schema() -> None:
    listed = {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "string"}}}}
    properties = {
        "plain": listed,
        "keyed": {**listed, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"]},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
    }
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "ships", "kind": "Ship"}
    spec = {"group": "fleet.test", "scope": "Cluster", "names": names, "versions": [version]}
    (resource,) = custom_resources({"metadata": {"name": "ships.fleet.test"}, "spec": spec})

    encoded = encode(fields_of(resource, {"spec": {"plain": [{"id": "a"}], "keyed": [{"id": "b"}], "set": ["x", "y"]}}))

    assert encoded["f:spec"] == {
        "f:plain": {},
        "f:keyed": {'k:{"id":"b"}': {".": {}, "f:id": {}}},
        "f:set": {'v:"x"': {}, 'v:"y"': {}},
    }


def select(api: Api, manager: str, **labels: str) -> Object:
    spec = {"selector": labels, "ports": [{"port": 80}]}
    patch = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}
    return run(api.patch("services", "s", patch, "default", type="apply", field_manager=manager))


def test_a_selector_has_one_owner_as_a_whole(api: Api) -> None:
    select(api, "one", app="web", version="a")

    with pytest.raises(StatusError) as conflict:
        select(api, "two", version="b")
    changed = select(api, "one", version="b")

    assert conflict.value.message == 'Apply failed with 1 conflict: conflict with "one": .spec.selector'
    assert changed["spec"]["selector"] == {"version": "b"}
    assert changed["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:selector"] == {}


def test_a_selector_that_was_once_owned_in_parts_is_kept(api: Api) -> None:
    service = select(api, "one", app="web")
    [entry] = service["metadata"]["managedFields"]
    parts = {**entry["fieldsV1"]["f:spec"], "f:selector": {"f:app": {}}}
    old = {**entry, "fieldsV1": {**entry["fieldsV1"], "f:spec": parts}}
    run(api.update("services", {**service, "metadata": {**service["metadata"], "managedFields": [old]}}))

    assert select(api, "one", app="web")["spec"]["selector"] == {"app": "web"}


def test_a_map_of_a_custom_resource_is_one_value_if_its_schema_says_so() -> None:
    atomic = {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"labels": atomic}}}}
    crd = {
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"plural": "things", "kind": "Thing"},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    [resource] = custom_resources(crd)

    fields = fields_of(resource, {"spec": {"labels": {"a": "b"}}})

    assert fields == {("f:spec", "f:labels"): {"a": "b"}}


def test_a_status_that_has_its_own_path_is_not_owned_through_the_object(api: Api) -> None:
    spec = {"selector": {"a": "b"}, "ports": [{"port": 80}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}

    made = run(api.create("services", service, "default", options=Options(field_manager="one")))

    assert set(made["metadata"]["managedFields"][0]["fieldsV1"]) == {"f:spec"}


def test_a_list_whose_elements_cannot_have_keys_is_one_value() -> None:
    """It is about to be refused, and what refuses it comes later."""
    services = Catalogue.builtin().by_name("services")
    assert services is not None
    assert fields_of(services, {"spec": {"ports": [{"port": 80}, 1, None]}}) == {
        ("f:spec", "f:ports"): [{"port": 80}, 1, None]
    }

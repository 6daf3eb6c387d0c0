"""The API in process: what controllers and the kubelet rely on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest

from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.errors import StatusError
from meshdojo.kubernetes.requests import Options

T = TypeVar("T")
Object = dict[str, Any]


def run(awaitable: Awaitable[T]) -> T:
    async def wait() -> T:
        return await asyncio.wait_for(awaitable, 30)

    return asyncio.run(wait())


def config_map(name: str, **data: str) -> Object:
    return {"metadata": {"name": name, "labels": {"name": name}}, "data": data}


def pod(name: str, **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "web"}], **spec}}


def deployment(name: str) -> Object:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod(name)["spec"]}
    selector = {"matchLabels": {"app": name}}
    return {"metadata": {"name": name}, "spec": {"replicas": 1, "selector": selector, "template": template}}


def refusal(awaitable: Awaitable[Any]) -> StatusError:
    with pytest.raises(StatusError) as caught:
        run(awaitable)
    return caught.value


# --- create ----------------------------------------------------------------------------------------------------------


def test_a_created_object_has_an_identity(api: Api) -> None:
    made = run(api.create("configmaps", config_map("a", x="1"), "default"))

    assert made["apiVersion"] == "v1"
    assert made["kind"] == "ConfigMap"
    assert made["metadata"]["namespace"] == "default"
    assert len(made["metadata"]["uid"]) == 36
    assert made["metadata"]["creationTimestamp"].endswith("Z")
    assert run(api.get("configmaps", "a", "default")) == made


def test_names_can_be_generated(api: Api) -> None:
    made = [run(api.create("configmaps", {"metadata": {"generateName": "web-"}}, "default")) for _ in range(3)]

    names = {obj["metadata"]["name"] for obj in made}
    assert len(names) == 3
    assert all(name.startswith("web-") and len(name) == 9 for name in names)


def test_a_name_is_used_once(api: Api) -> None:
    run(api.create("configmaps", config_map("a"), "default"))

    error = refusal(api.create("configmaps", config_map("a"), "default"))

    assert (error.code, error.message) == (409, 'configmaps "a" already exists')
    assert error.details == {"name": "a", "kind": "configmaps"}


def test_creating_where_there_is_no_namespace(api: Api) -> None:
    error = refusal(api.create("configmaps", config_map("a"), "nowhere"))

    assert (error.code, error.message) == (404, 'namespaces "nowhere" not found')


def test_creating_in_a_terminating_namespace(api: Api) -> None:
    run(api.create("namespaces", {"metadata": {"name": "going"}}))
    going = run(api.delete("namespaces", "going"))

    error = refusal(api.create("configmaps", config_map("a"), "going"))

    assert going["status"]["phase"] == "Terminating"
    words = "unable to create new content in namespace going because it is being terminated"
    assert error.message == f'configmaps "a" is forbidden: {words}'
    assert error.details is not None
    assert error.details["causes"][0]["reason"] == "NamespaceTerminating"


def test_dry_run_stores_nothing(api: Api) -> None:
    before = api.store.revision

    made = run(api.create("configmaps", config_map("a"), "default", options=Options(dry_run=True)))

    assert made["metadata"]["uid"]
    assert "resourceVersion" not in made["metadata"]
    assert api.store.revision == before


def test_an_unknown_resource(api: Api) -> None:
    error = refusal(api.get("virtualservices.networking.istio.io", "a", "default"))

    assert (error.code, error.message) == (404, "the server could not find the requested resource")


# --- update and patch ------------------------------------------------------------------------------------------------


def test_an_update_of_what_has_changed_meanwhile_is_a_conflict(api: Api) -> None:
    old = run(api.create("configmaps", config_map("a", x="1"), "default"))
    run(api.patch("configmaps", "a", {"data": {"x": "2"}}, "default"))

    error = refusal(api.update("configmaps", {**old, "data": {"x": "3"}}, "default"))

    assert error.code == 409
    assert error.message == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


def test_concurrent_patches_all_take_effect(api: Api) -> None:
    async def scenario() -> Object:
        await api.create("configmaps", config_map("a"), "default")
        await asyncio.gather(*(api.patch("configmaps", "a", {"data": {f"k{n}": str(n)}}, "default") for n in range(20)))
        return await api.get("configmaps", "a", "default")

    assert run(scenario())["data"] == {f"k{n}": str(n) for n in range(20)}


def test_what_a_client_may_not_change_stays(api: Api) -> None:
    made = run(api.create("configmaps", config_map("a"), "default"))
    wanted = {**made["metadata"], "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 7, "selfLink": "/x"}

    changed = run(api.update("configmaps", {**made, "metadata": wanted, "data": {"x": "1"}}, "default"))

    assert changed["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    assert "generation" not in changed["metadata"]
    assert "selfLink" not in changed["metadata"]


def test_spec_and_status_are_apart(api: Api) -> None:
    made = run(api.create("deployments.apps", {**deployment("web"), "status": {"replicas": 9}}, "default"))
    status = {"replicas": 1, "observedGeneration": 1}
    with_status = run(
        api.update(
            "deployments.apps",
            {**made, "spec": {**made["spec"], "replicas": 5}, "status": status},
            "default",
            subresource="status",
        )
    )
    with_spec = run(api.patch("deployments.apps", "web", {"spec": {"replicas": 3}, "status": None}, "default"))

    assert made["status"] == {}
    assert (with_status["spec"]["replicas"], with_status["status"]) == (1, status)
    assert (with_spec["spec"]["replicas"], with_spec["status"]) == (3, status)


def test_generations_count_changes_of_the_spec(api: Api) -> None:
    made = run(api.create("deployments.apps", deployment("web"), "default"))
    labelled = run(api.patch("deployments.apps", "web", {"metadata": {"labels": {"a": "b"}}}, "default"))
    scaled = run(api.patch("deployments.apps", "web", {"spec": {"replicas": 2}}, "default"))
    status = {"status": {"replicas": 2}}
    reported = run(api.patch("deployments.apps", "web", status, "default", subresource="status"))

    generations = [obj["metadata"]["generation"] for obj in (made, labelled, scaled, reported)]
    assert generations == [1, 1, 2, 2]


def test_scale(api: Api) -> None:
    run(api.create("deployments.apps", deployment("web"), "default"))

    scale = run(api.get("deployments.apps", "web", "default", subresource="scale"))
    run(api.update("deployments.apps", {**scale, "spec": {"replicas": 4}}, "default", subresource="scale"))
    stale = refusal(api.update("deployments.apps", scale, "default", subresource="scale"))

    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["status"]["selector"] == "app=web"
    assert run(api.get("deployments.apps", "web", "default"))["spec"]["replicas"] == 4
    assert stale.reason == "Conflict"


def test_some_kinds_are_created_by_an_update(api: Api) -> None:
    lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}}

    assert run(api.update("leases.coordination.k8s.io", lease, "default"))["spec"] == {"holderIdentity": "me"}
    assert refusal(api.update("configmaps", config_map("a"), "default")).code == 404


# --- delete ----------------------------------------------------------------------------------------------------------


def test_deleting_answers_a_status_with_the_uid(api: Api) -> None:
    made = run(api.create("configmaps", config_map("a"), "default"))

    status = run(api.delete("configmaps", "a", "default"))

    assert status["status"] == "Success"
    assert status["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    assert refusal(api.get("configmaps", "a", "default")).message == 'configmaps "a" not found'


def test_the_uid_can_be_a_precondition(api: Api) -> None:
    run(api.create("configmaps", config_map("a"), "default"))

    error = refusal(api.delete("configmaps", "a", "default", uid="other"))

    assert error.code == 409
    assert "the UID in the precondition (other) does not match the UID in record" in error.message


def test_a_running_pod_is_given_time(api: Api) -> None:
    run(api.create("pods", pod("p", nodeName="node", terminationGracePeriodSeconds=7), "default"))

    first = run(api.delete("pods", "p", "default"))
    sooner = run(api.delete("pods", "p", "default", grace_seconds=2))
    later = run(api.delete("pods", "p", "default", grace_seconds=60))
    gone = run(api.delete("pods", "p", "default", grace_seconds=0))

    graces = [obj["metadata"]["deletionGracePeriodSeconds"] for obj in (first, sooner, later)]
    assert graces == [7, 2, 2]
    assert gone["kind"] == "Pod"
    assert refusal(api.get("pods", "p", "default")).code == 404


def test_a_pod_without_a_node_goes_at_once(api: Api) -> None:
    run(api.create("pods", pod("p"), "default"))

    run(api.delete("pods", "p", "default"))

    assert refusal(api.get("pods", "p", "default")).code == 404


def test_finalizers_hold_an_object(api: Api) -> None:
    held = {"metadata": {"name": "a", "finalizers": ["test.dev/hold"]}}
    run(api.create("configmaps", held, "default"))

    marked = run(api.delete("configmaps", "a", "default"))
    again = run(api.delete("configmaps", "a", "default"))
    changed = run(api.patch("configmaps", "a", {"data": {"x": "1"}}, "default"))
    error = refusal(api.patch("configmaps", "a", {"metadata": {"finalizers": ["test.dev/hold", "b.dev/x"]}}, "default"))
    run(api.patch("configmaps", "a", {"metadata": {"finalizers": None}}, "default"))

    assert marked["metadata"]["deletionTimestamp"] == again["metadata"]["deletionTimestamp"]
    assert changed["data"] == {"x": "1"}
    assert "no new finalizers can be added if the object is being deleted" in error.message
    assert refusal(api.get("configmaps", "a", "default")).code == 404


@pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
def test_propagation_leaves_a_mark_for_the_garbage_collector(api: Api, policy: Any, finalizer: str) -> None:
    run(api.create("deployments.apps", deployment("web"), "default"))

    marked = run(api.delete("deployments.apps", "web", "default", propagation=policy))

    assert marked["metadata"]["finalizers"] == [finalizer]
    assert marked["metadata"]["generation"] == 2


def test_a_namespace_goes_when_it_is_finalized(api: Api) -> None:
    run(api.create("namespaces", {"metadata": {"name": "n"}}))
    going = run(api.delete("namespaces", "n"))

    run(api.update("namespaces", {**going, "spec": {"finalizers": []}}, subresource="finalize"))

    assert refusal(api.get("namespaces", "n")).code == 404


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_some_namespaces_stay(api: Api, name: str) -> None:
    assert "this namespace may not be deleted" in refusal(api.delete("namespaces", name)).message


def test_delete_collection(api: Api) -> None:
    for name in ("a", "b", "c"):
        run(api.create("configmaps", config_map(name), "default"))

    gone = run(api.delete_collection("configmaps", "default", labels="name in (a,b)"))

    assert [obj["metadata"]["name"] for obj in gone.items] == ["a", "b"]
    assert [obj["metadata"]["name"] for obj in run(api.list("configmaps", "default")).items] == ["c"]


def test_eviction_deletes_the_pod(api: Api) -> None:
    run(api.create("pods", pod("p"), "default"))

    run(api.create("pods", {"metadata": {"name": "p"}}, "default", subresource="eviction", name="p"))

    assert refusal(api.get("pods", "p", "default")).code == 404


def test_binding_puts_a_pod_on_a_node_once(api: Api) -> None:
    run(api.create("pods", pod("p"), "default"))
    binding = {"target": {"kind": "Node", "name": "n1"}}

    run(api.create("pods", binding, "default", subresource="binding", name="p"))
    bound = run(api.get("pods", "p", "default"))
    error = refusal(api.create("pods", binding, "default", subresource="binding", name="p"))

    assert bound["spec"]["nodeName"] == "n1"
    assert [(c["type"], c["status"]) for c in bound["status"]["conditions"]] == [("PodScheduled", "True")]
    assert 'already assigned to node "n1"' in error.message


# --- watch -----------------------------------------------------------------------------------------------------------


def test_a_watch_follows_its_selector(api: Api) -> None:
    async def scenario() -> list[tuple[str, str]]:
        since = (await api.list("configmaps")).resource_version
        events = api.watch("configmaps", "default", labels="show", since=since)
        await api.create("configmaps", config_map("a"), "default")
        await api.patch("configmaps", "a", {"metadata": {"labels": {"show": "1"}}}, "default")
        await api.patch("configmaps", "a", {"data": {"x": "1"}}, "default")
        await api.patch("configmaps", "a", {"metadata": {"labels": {"show": None}}}, "default")
        await api.patch("configmaps", "a", {"metadata": {"labels": {"show": "2"}}}, "default")
        await api.delete("configmaps", "a", "default")
        seen = [await anext(events) for _ in range(5)]
        await events.aclose()  # type: ignore[attr-defined]
        return [(event.type, event.object["metadata"].get("labels", {}).get("show", "")) for event in seen]

    assert run(scenario()) == [("ADDED", "1"), ("MODIFIED", "1"), ("DELETED", ""), ("ADDED", "2"), ("DELETED", "2")]


def test_a_watch_from_the_beginning_shows_what_exists(api: Api) -> None:
    async def scenario() -> list[str]:
        await api.create("configmaps", config_map("a"), "default")
        events = api.watch("configmaps", "default")
        first = await anext(events)
        await api.create("configmaps", config_map("b"), "default")
        second = await anext(events)
        return [first.object["metadata"]["name"], second.object["metadata"]["name"]]

    assert run(scenario()) == ["a", "b"]


def test_a_watch_from_the_future_is_refused(api: Api) -> None:
    async def scenario() -> None:
        await anext(api.watch("configmaps", since="999999"))

    assert refusal(scenario()).code == 504


# --- services, events, secrets ---------------------------------------------------------------------------------------


def test_services_get_addresses_and_keep_them(api: Api) -> None:
    made = run(api.create("services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}, "default"))
    again = run(api.update("services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 81}]}}, "default"))

    assert made["spec"]["clusterIP"].startswith("127.200.")
    assert made["spec"]["clusterIPs"] == [made["spec"]["clusterIP"]]
    assert again["spec"]["clusterIP"] == made["spec"]["clusterIP"]


def test_node_ports_come_and_go_with_the_type(api: Api) -> None:
    spec = {"type": "NodePort", "ports": [{"port": 80}]}
    made = run(api.create("services", {"metadata": {"name": "s"}, "spec": spec}, "default"))
    node_port = made["spec"]["ports"][0]["nodePort"]
    kept = run(api.update("services", {"metadata": {"name": "s"}, "spec": spec}, "default"))
    plain = run(api.patch("services", "s", {"spec": {"type": "ClusterIP"}}, "default"))

    assert 30000 <= node_port <= 32767
    assert kept["spec"]["ports"][0]["nodePort"] == node_port
    assert "nodePort" not in plain["spec"]["ports"][0]


def test_addresses_that_cannot_be_had(api: Api) -> None:
    def service(**spec: Any) -> Object:
        return {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], **spec}}

    taken = api.store.list("services")[0]["spec"]["clusterIP"]
    used = refusal(api.create("services", service(clusterIP=taken), "default"))
    outside = refusal(api.create("services", service(clusterIP="10.0.0.1"), "default"))
    low = refusal(api.create("services", service(type="NodePort", ports=[{"port": 80, "nodePort": 80}]), "default"))

    assert f"failed to allocate IP {taken}: provided IP is already allocated" in used.message
    assert "the provided network does not match the current range" in outside.message
    assert "The range of valid ports is 30000-32767" in low.message


def test_a_headless_and_an_external_service_have_no_address(api: Api) -> None:
    headless = {"metadata": {"name": "h"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}}
    external = {"metadata": {"name": "e"}, "spec": {"type": "ExternalName", "externalName": "example.com"}}

    assert run(api.create("services", headless, "default"))["spec"]["clusterIPs"] == ["None"]
    assert "clusterIP" not in run(api.create("services", external, "default"))["spec"]


def test_events_have_two_shapes(api: Api) -> None:
    event = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "message": "hello",
        "reason": "Test",
        "type": "Normal",
    }
    run(api.create("events", event, "default"))

    new = run(api.get("events.events.k8s.io", "e", "default"))
    chosen = run(api.list("events.events.k8s.io", "default", fields="regarding.name=p")).items

    assert (new["apiVersion"], new["note"], new["regarding"]["name"]) == ("events.k8s.io/v1", "hello", "p")
    assert chosen == [new]


def test_secrets_take_plain_text(api: Api) -> None:
    made = run(api.create("secrets", {"metadata": {"name": "s"}, "stringData": {"k": "v"}}, "default"))

    assert made["data"] == {"k": "dg=="}
    assert "stringData" not in made


# --- pods ------------------------------------------------------------------------------------------------------------


def test_a_pod_gets_what_every_pod_of_a_real_cluster_has(api: Api) -> None:
    made = run(api.create("pods", pod("p"), "default"))
    spec = made["spec"]

    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert made["metadata"]["generation"] == 1
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert [t["key"] for t in spec["tolerations"]] == [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ]
    (volume,) = spec["volumes"]
    assert [next(iter(source)) for source in volume["projected"]["sources"]] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]
    assert spec["containers"][0]["volumeMounts"] == [
        {"name": volume["name"], "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    ]


def test_a_pod_can_do_without_a_token(api: Api) -> None:
    assert "volumes" not in run(api.create("pods", pod("p", automountServiceAccountToken=False), "default"))["spec"]


def test_a_pod_needs_its_service_account(api: Api) -> None:
    error = refusal(api.create("pods", pod("p", serviceAccountName="nobody"), "default"))

    assert error.message == (
        'pods "p" is forbidden: error looking up service account default/nobody: serviceaccount "nobody" not found'
    )


def test_a_pod_waits_for_the_default_account_of_a_new_namespace(api: Api) -> None:
    async def scenario() -> Object:
        await api.create("namespaces", {"metadata": {"name": "new"}})
        waiting = asyncio.create_task(api.create("pods", pod("p"), "new"))
        await asyncio.sleep(0)
        await api.create("serviceaccounts", {"metadata": {"name": "default"}}, "new")
        return await waiting

    assert run(scenario())["spec"]["serviceAccountName"] == "default"


# --- custom resources ------------------------------------------------------------------------------------------------


def crd(*versions: str) -> Object:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "metadata": {"name": "ships.fleet.test"},
        "spec": {
            "group": "fleet.test",
            "scope": "Namespaced",
            "names": {"plural": "ships", "kind": "Ship"},
            "versions": [
                {"name": version, "served": True, "storage": version == versions[0], "schema": schema}
                for version in versions
            ],
        },
    }


CRDS = "customresourcedefinitions.apiextensions.k8s.io"


def test_a_crd_is_established_and_served_at_once(api: Api) -> None:
    made = run(api.create(CRDS, crd("v1", "v1beta1")))
    ship = run(api.create("ships.fleet.test", {"metadata": {"name": "s"}, "spec": {"speed": 3}}, "default"))
    old = run(api.get("ships.v1beta1.fleet.test", "s", "default"))

    conditions = {c["type"]: c["status"] for c in made["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert made["status"]["storedVersions"] == ["v1"]
    assert made["status"]["acceptedNames"]["listKind"] == "ShipList"
    assert ship["metadata"]["generation"] == 1
    assert old == {**ship, "apiVersion": "fleet.test/v1beta1"}


def typed(fields: Object, storage: str = "v1") -> Object:
    """The definition with a schema: `fields` of the spec in v1, nothing said about v1beta1."""
    definition = crd("v1", "v1beta1")
    for version in definition["spec"]["versions"]:
        version["storage"] = version["name"] == storage
    spec = {"type": "object", "properties": fields}
    definition["spec"]["versions"][0]["schema"] = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    return definition


def test_what_was_stored_is_read_as_the_definition_is_now(api: Api) -> None:
    text = {"type": "string"}
    made = run(api.create(CRDS, typed({"a": text, "old": text})))
    ship = run(api.create("ships.fleet.test", {"metadata": {"name": "s"}, "spec": {"a": "1", "old": "2"}}, "default"))
    run(api.update(CRDS, {**made, **typed({"a": text, "new": {**text, "default": "3"}}), "metadata": made["metadata"]}))

    read = run(api.get("ships.fleet.test", "s", "default"))
    [listed] = run(api.list("ships.fleet.test", "default")).items
    touched = run(api.patch("ships.fleet.test", "s", {"metadata": {"labels": {"a": "b"}}}, "default"))

    assert read["spec"] == {"a": "1", "new": "3"}
    assert read["metadata"] == ship["metadata"]
    assert listed == read
    assert touched["spec"] == read["spec"]
    assert touched["metadata"]["generation"] == 1


def test_what_was_written_in_another_version_has_the_defaults_of_the_stored_one(api: Api) -> None:
    run(api.create(CRDS, typed({"speed": {"type": "integer", "default": 3}})))
    old = {"metadata": {"name": "s"}, "spec": {}}

    run(api.create("ships.v1beta1.fleet.test", old, "default"))

    assert run(api.get("ships.v1.fleet.test", "s", "default"))["spec"] == {"speed": 3}


def test_custom_resources_need_a_resource_version_to_be_replaced(api: Api) -> None:
    run(api.create(CRDS, crd("v1")))
    run(api.create("ships.fleet.test", {"metadata": {"name": "s"}}, "default"))

    error = refusal(api.update("ships.fleet.test", {"metadata": {"name": "s"}}, "default"))

    assert error.message == (
        'Ship.fleet.test "s" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update'
    )


def test_with_a_crd_its_objects_go(api: Api) -> None:
    run(api.create(CRDS, crd("v1")))
    run(api.create("ships.fleet.test", {"metadata": {"name": "s"}}, "default"))

    run(api.delete(CRDS, "ships.fleet.test"))

    assert api.store.list("ships.fleet.test") == []
    assert refusal(api.list("ships.fleet.test")).message == "the server could not find the requested resource"


def test_a_crd_waits_for_objects_with_finalizers(api: Api) -> None:
    run(api.create(CRDS, crd("v1")))
    run(api.create("ships.fleet.test", {"metadata": {"name": "s", "finalizers": ["a.dev/x"]}}, "default"))

    run(api.delete(CRDS, "ships.fleet.test"))
    refused = refusal(api.create("ships.fleet.test", {"metadata": {"name": "t"}}, "default"))
    still = run(api.get(CRDS, "ships.fleet.test"))
    run(api.patch("ships.fleet.test", "s", {"metadata": {"finalizers": None}}, "default"))

    assert still["metadata"]["deletionTimestamp"]
    assert refused.message == "create not allowed while custom resource definition is terminating"
    assert refusal(api.get(CRDS, "ships.fleet.test")).code == 404


def test_an_applied_configuration_creates_and_owns(api: Api) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1", "b": "2"}}
    made = run(api.patch("configmaps", "c", config, "default", type="apply", field_manager="me"))
    run(api.patch("configmaps", "c", {"data": {"z": "9"}}, "default"))
    less = {**config, "data": {"a": "1"}}
    changed = run(api.patch("configmaps", "c", less, "default", type="apply", field_manager="me"))

    assert made["metadata"]["managedFields"][0]["manager"] == "me"
    assert changed["data"] == {"a": "1", "z": "9"}

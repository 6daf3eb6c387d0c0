"""Restoring on a real (embedded) cluster without Istio: objects, labels, pods, what controllers own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import yaml

from meshdojo.backends.base import BackendError
from meshdojo.backends.embedded import EmbeddedBackend
from meshdojo.backends.namespaces import delete_namespaces
from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.embedded import lifecycle
from meshdojo.validation.difference import differences
from meshdojo.validation.restoring import LAST_APPLIED, Wanted, as_kubectl_would, restore
from meshdojo.validation.state import DEFAULT_NAMESPACE, State, keys_of, look

pytestmark = pytest.mark.anyio

START = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {app.kubernetes.io/managed-by: meshdojo, colour: green}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {a: "1"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template: &template
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: web, image: "meshdojo/fleet-staff:1.0", readinessProbe: {periodSeconds: 1, tcpSocket: {port: 8080}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: other, namespace: shop}
spec:
  selector: {matchLabels: {app: other}}
  template:
    metadata: {labels: {app: other}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: x, image: "meshdojo/probe:1.0"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: bare, namespace: shop, labels: {app: bare}}
spec: {terminationGracePeriodSeconds: 1, containers: [{name: x, image: "meshdojo/probe:1.0"}]}
"""
MANIFESTS: list[Object] = list(yaml.safe_load_all(START))


def silent(_text: str) -> None: ...


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def backend(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedBackend]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESHDOJO_HOME", str(tmp_path_factory.mktemp("home")))
        started = EmbeddedBackend()
        await started.start(silent)
        yield started
        lifecycle.delete(started.instance)


@pytest.fixture
async def client(backend: EmbeddedBackend) -> AsyncIterator[HTTPClient]:
    async with HTTPClient.from_kubeconfig(backend.kubeconfig) as opened:
        yield opened


async def wanted(client: HTTPClient, before: State | None = None, **options: Any) -> Wanted:
    manifests = await keys_of(client, MANIFESTS)
    exact = {key: obj for key, obj in before.objects.items() if key in manifests} if before else {}
    return Wanted(exact, manifests, before, **options)


@pytest.fixture
async def start(client: HTTPClient) -> State:
    """The lab at its start, whatever the test before left."""
    await delete_namespaces(client, tuple((await look(client)).state.namespaces))
    return await restore(client, await wanted(client), silent)


async def undone(client: HTTPClient, start: State, **options: Any) -> State:
    """The state after a restoration; all but pods must then be as at the start."""
    reached = await restore(client, await wanted(client, start, **options), silent)
    left = [one for one in differences(start, reached) if one.key.resource != "pods"]
    assert left == []
    shape = sorted((pod.controller, pod.containers) for pod in start.pods)
    assert sorted((pod.controller, pod.containers) for pod in reached.pods) == shape
    assert all(pod.ready for pod in reached.pods)
    return reached


def pods(state: State) -> dict[str, str]:
    """uid by controller, or name for a pod that nothing keeps."""
    return {pod.controller or pod.name: pod.uid for pod in state.pods}


async def test_what_is_right_stays_as_it_is(client: HTTPClient, start: State) -> None:
    assert await undone(client, start) == start


async def test_objects_are_put_back_and_pods_go_on_running(client: HTTPClient, start: State) -> None:
    await client.patch("services", "web", {"spec": {"ports": [{"port": 81}], "selector": {"extra": "x"}}}, "shop")
    await client.patch("configmaps", "settings", {"data": {"a": None, "b": "2"}}, "shop")
    await client.patch("namespaces", "shop", {"metadata": {"labels": {"colour": None, "mine": "yes"}}})
    await client.create("configmaps", {"metadata": {"name": "more"}}, "shop")
    await client.create("services", {"metadata": {"name": "more"}, "spec": {"ports": [{"port": 1}]}}, "shop")
    found = {str(one) for one in differences(start, (await look(client)).state)}
    assert found == {
        "added: configmaps shop/more",
        "added: services shop/more",
        "changed: configmaps shop/settings",
        "changed: namespaces shop",
        "changed: services shop/web",
    }
    assert pods(await undone(client, start)) == pods(start)


async def test_what_was_deleted_is_there_again(client: HTTPClient, start: State) -> None:
    for resource, name in (("services", "web"), ("configmaps", "settings"), ("deployments.apps", "web")):
        await client.delete(resource, name, "shop")
    reached = await restore(client, await wanted(client, start), silent)
    keys = {key for key in start.objects if key.resource != "pods"}
    assert keys == set(reached.objects)
    assert pods(reached)["Deployment/web"] != pods(start)["Deployment/web"]
    assert pods(reached)["Deployment/other"] == pods(start)["Deployment/other"]


async def test_another_template_is_rolled_back_and_leaves_no_history(client: HTTPClient, start: State) -> None:
    template = {"metadata": {"labels": {"new": "label"}}, "spec": {"nodeSelector": {}}}
    await client.patch("deployments.apps", "web", {"spec": {"template": template, "replicas": 2}}, "shop")
    reached = await undone(client, start)
    assert pods(reached)["Deployment/other"] == pods(start)["Deployment/other"]
    sets = await client.list("replicasets.apps", "shop")
    assert len([one for one in sets.items if one["metadata"]["name"].startswith("web-")]) == 1


async def test_pods_that_are_not_those_of_the_start_are_replaced(client: HTTPClient, start: State) -> None:
    named = {pod.controller or pod.name: pod.name for pod in start.pods}
    await client.patch("pods", named["Deployment/web"], {"metadata": {"labels": {"mine": "yes"}}}, "shop")
    await client.delete("pods", "bare", "shop", grace_seconds=0)
    stray = {"metadata": {"name": "stray"}, "spec": MANIFESTS[-1]["spec"]}
    await client.create("pods", stray, "shop")
    reached = await undone(client, start)
    assert pods(reached)["Deployment/web"] != pods(start)["Deployment/web"]
    assert pods(reached)["Deployment/other"] == pods(start)["Deployment/other"]
    with pytest.raises(StatusError, match="not found"):
        await client.get("pods", "stray", "shop")


async def test_pods_that_keep_something_in_memory_are_made_anew(client: HTTPClient, start: State) -> None:
    reached = await undone(client, start, fresh=frozenset({("shop", "other")}))
    assert pods(reached)["Deployment/other"] != pods(start)["Deployment/other"]
    assert pods(reached)["Deployment/web"] == pods(start)["Deployment/web"]


async def test_the_namespaces_of_another_lab_go_and_those_of_others_stay(client: HTTPClient, start: State) -> None:
    ours = {"app.kubernetes.io/managed-by": "meshdojo"}
    await client.create("namespaces", {"metadata": {"name": "other-lab", "labels": ours}})
    await client.create("namespaces", {"metadata": {"name": "somebodys"}})
    await undone(client, start)
    names = {one["metadata"]["name"] for one in (await client.list("namespaces")).items}
    assert "other-lab" not in names
    assert "somebodys" in names
    await client.delete("namespaces", "somebodys")


async def test_a_namespace_that_lost_its_label_is_still_ours(client: HTTPClient, start: State) -> None:
    await client.patch("namespaces", "shop", {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}})
    await client.create("configmaps", {"metadata": {"name": "more"}}, "shop")
    assert pods(await undone(client, start)) == pods(start)


async def test_a_namespace_that_is_not_ours_is_left_alone(client: HTTPClient, start: State) -> None:
    await client.patch("namespaces", "shop", {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}})
    with pytest.raises(BackendError, match="'shop' was not made by meshdojo"):
        await restore(client, await wanted(client), silent)
    await client.patch("namespaces", "shop", {"metadata": {"labels": {"app.kubernetes.io/managed-by": "meshdojo"}}})


@pytest.fixture
async def things(client: HTTPClient) -> AsyncIterator[None]:
    """What somebody has in `default` before the lab is set up."""
    await client.create("configmaps", {"metadata": {"name": "mine"}}, "default")
    await client.create("pods", {"metadata": {"name": "mine"}, "spec": MANIFESTS[-1]["spec"]}, "default")
    yield
    for resource in ("configmaps", "pods"):
        await client.delete(resource, "mine", "default", grace_seconds=0)


async def test_what_a_learner_left_in_default_goes_and_what_was_there_stays(client: HTTPClient, things: None) -> None:
    before = await restore(client, await wanted(client), silent)
    await client.create("configmaps", {"metadata": {"name": "left"}}, "default")
    await client.create("pods", {"metadata": {"name": "left"}, "spec": MANIFESTS[-1]["spec"]}, "default")
    await client.create("deployments.apps", {**MANIFESTS[-2], "metadata": {"name": "left"}}, "default")
    await client.patch("configmaps", "mine", {"data": {"a": "1"}}, "default")
    await client.patch("namespaces", "default", {"metadata": {"labels": {"istio-injection": "enabled"}}})
    found = {str(one) for one in differences(before, (await look(client, everywhere=True)).state)}
    assert found == {
        "changed: namespaces default",
        *(f"added: {kind} default/left" for kind in ("configmaps", "deployments", "pods")),
    }
    known = Wanted({DEFAULT_NAMESPACE: before.objects[DEFAULT_NAMESPACE]}, await keys_of(client, MANIFESTS), before)
    reached = await restore(client, known, silent)
    assert [one for one in differences(before, reached) if one.key.resource != "pods"] == []
    assert "istio-injection" not in (await client.get("namespaces", "default"))["metadata"]["labels"]
    assert (await client.get("configmaps", "mine", "default"))["data"] == {"a": "1"}
    assert [
        one["metadata"]["name"] for one in (await client.list("configmaps", "default")).items if one.get("data")
    ] == [
        "kube-root-ca.crt",
        "mine",
    ]
    assert "mine" in {one["metadata"]["name"] for one in (await client.list("pods", "default")).items}


async def test_on_a_cluster_of_somebody_elses_default_is_theirs(client: HTTPClient, start: State) -> None:
    await client.create("configmaps", {"metadata": {"name": "left"}}, "default")
    try:
        assert not (await look(client)).state.knows_default
        await undone(client, start, owned=False)
        assert await client.get("configmaps", "left", "default")
        # No start is known that tells what was there: nothing goes.
        await restore(client, await wanted(client), silent)
        assert await client.get("configmaps", "left", "default")
    finally:
        await client.delete("configmaps", "left", "default")


async def test_a_namespace_that_was_deleted_is_made_anew(client: HTTPClient, start: State) -> None:
    await client.delete("namespaces", "shop")
    reached = await restore(client, await wanted(client, start), silent)
    assert {str(key) for key in start.objects} == {str(key) for key in reached.objects}
    assert set(pods(reached)) == set(pods(start))


async def test_what_cannot_be_changed_is_made_anew(client: HTTPClient, start: State) -> None:
    await client.delete("deployments.apps", "web", "shop")
    manifest = next(one for one in MANIFESTS if one["kind"] == "Deployment" and one["metadata"]["name"] == "web")
    text = json.dumps(manifest).replace('"app": "web"', '"app": "web", "tier": "front"')
    await client.create("deployments.apps", json.loads(text), "shop")
    await undone(client, start)


async def test_without_a_known_start_only_the_manifests_count(client: HTTPClient, start: State) -> None:
    await client.patch("configmaps", "settings", {"data": {"b": "2"}}, "shop")
    await client.patch("deployments.apps", "web", {"spec": {"replicas": 2}}, "shop")
    reached = await restore(client, await wanted(client), silent)
    assert [one for one in differences(start, reached) if one.key.resource != "pods"] == []


def test_objects_carry_what_kubectl_apply_would_remember() -> None:
    metadata = {"name": "web", "annotations": {"a": "b"}}
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {}}
    applied = as_kubectl_would(manifest)
    annotations = applied["metadata"]["annotations"]
    assert annotations["a"] == "b"
    assert json.loads(annotations[LAST_APPLIED]) == manifest
    assert metadata["annotations"] == {"a": "b"}

"""Whatever a learner leaves of Istio, the next lab finds the one it expects, or none. On a whole embedded cluster."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable

import pytest

from meshdojo.backends import istio
from meshdojo.backends.embedded import EmbeddedBackend
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.embedded import lifecycle
from meshdojo.validation.setup import silent

pytestmark = pytest.mark.anyio
Shell = Callable[[str], None]


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


@pytest.fixture
def shell(backend: EmbeddedBackend) -> Shell:
    """What a learner types."""
    path = f"{backend.instance.tools}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "KUBECONFIG": str(backend.kubeconfig), "PATH": path}

    def run(script: str) -> None:
        subprocess.run(["bash", "-euc", script], env=environment, check=True, capture_output=True, timeout=120)

    return run


MESH_WIDE = """kubectl apply -f - <<'YAML'
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
YAML"""
LEFT = {
    "purged": "istioctl uninstall --purge -y",
    "its namespace deleted": "kubectl delete namespace istio-system",
    "a kind deleted": "kubectl delete crd virtualservices.networking.istio.io",
    "uninstalled, not purged": "istioctl uninstall --revision default -y",
    "another profile": "istioctl install --set profile=minimal -y",
    "an option": "istioctl install --set profile=demo --set meshConfig.outboundTrafficPolicy.mode=REGISTRY_ONLY -y",
    "another revision beside it": "istioctl install --set profile=minimal --revision canary -y",
    "a control plane that is turned off": "kubectl scale deployment istiod -n istio-system --replicas=0",
    "a resource for the whole mesh": MESH_WIDE,
}


@pytest.mark.parametrize("left", LEFT)
async def test_the_next_lab_finds_the_demo_profile(
    backend: EmbeddedBackend, client: HTTPClient, shell: Shell, left: str
) -> None:
    await backend.ensure_istio(silent)
    expected = await istio.fingerprint(client)
    shell(LEFT[left])
    await backend.ensure_istio(silent)
    assert await istio.fingerprint(client) == expected
    deployments = await client.list("deployments.apps", istio.NAMESPACE)
    names = {one["metadata"]["name"] for one in deployments.items}
    assert names == {"istiod", "istio-ingressgateway", "istio-egressgateway"}
    assert not (await client.list("peerauthentications.security.istio.io", istio.NAMESPACE)).items


async def test_a_resource_for_the_whole_mesh_goes_without_a_new_installation(
    backend: EmbeddedBackend, client: HTTPClient, shell: Shell
) -> None:
    await backend.ensure_istio(silent)
    before = await client.get("deployments.apps", "istiod", istio.NAMESPACE)
    shell(MESH_WIDE)
    await backend.ensure_istio(silent)
    assert not (await client.list("peerauthentications.security.istio.io", istio.NAMESPACE)).items
    after = await client.get("deployments.apps", "istiod", istio.NAMESPACE)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


@pytest.mark.parametrize("left", ["", "its namespace deleted", "another revision beside it"])
async def test_nothing_is_left(backend: EmbeddedBackend, client: HTTPClient, shell: Shell, left: str) -> None:
    await backend.ensure_istio(silent)
    shell(LEFT.get(left, "true"))
    await backend.remove_istio(silent)
    assert not await istio.present(client)
    for resource in (*istio.WEBHOOKS, istio.CRDS):
        assert not (await client.list(resource)).items
    for resource in istio.ROLES:
        found = (await client.list(resource)).items
        assert not [one["metadata"]["name"] for one in found if "istio" in one["metadata"]["name"]]
    config_maps = (await client.list("configmaps")).items
    assert {one["metadata"]["name"] for one in config_maps} == {"kube-root-ca.crt", istio.RECORD}


async def test_none_there_is_fine(backend: EmbeddedBackend, client: HTTPClient) -> None:
    await backend.remove_istio(silent)
    await backend.remove_istio(silent)
    assert await istio.fingerprint(client) == ""


async def test_an_untouched_istio_stays(backend: EmbeddedBackend, client: HTTPClient, shell: Shell) -> None:
    await backend.ensure_istio(silent)
    before = await client.get("deployments.apps", "istiod", istio.NAMESPACE)
    # What a lab, Kubernetes and istiod do is no change of the installation.
    shell(
        "kubectl rollout restart deployment istiod -n istio-system; kubectl rollout status deployment istiod "
        "-n istio-system; kubectl create namespace some; kubectl delete namespace some"
    )
    await backend.ensure_istio(silent)
    after = await client.get("deployments.apps", "istiod", istio.NAMESPACE)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_our_pods_of_another_istio_are_replaced(
    backend: EmbeddedBackend, client: HTTPClient, shell: Shell
) -> None:
    await backend.ensure_istio(silent)
    labels = {"istio-injection": "enabled", "app.kubernetes.io/managed-by": "meshdojo"}
    await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ours", "labels": labels}})
    containers = [{"name": "staff", "image": "meshdojo/fleet-staff:1.0"}]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "old"}, "spec": {"containers": containers}}
    await client.create("pods", pod, "ours")
    # Timestamps have whole seconds: the new istiod must be of a later one.
    shell("began=$(date +%s); istioctl uninstall --purge -y; until [ $(date +%s) -gt $began ]; do :; done")
    await backend.ensure_istio(silent)
    shell("kubectl wait pod old -n ours --for=delete --timeout=60s")
    with pytest.raises(StatusError, match="not found"):
        await client.get("pods", "old", "ours")
    await backend.reset("ours")

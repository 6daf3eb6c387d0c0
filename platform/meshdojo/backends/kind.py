"""A real Kubernetes with the real Istio, in one container: kind."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from meshdojo.backends import istio
from meshdojo.backends.base import Backend, BackendError, BackendMissing, BackendNotRunning, Progress, Status
from meshdojo.backends.commands import run
from meshdojo.backends.gateways import NAMESPACE, http_port
from meshdojo.backends.namespaces import delete_managed
from meshdojo.backends.variables import lab_variables
from meshdojo.cluster.errors import ClusterError
from meshdojo.cluster.http import HTTPClient
from meshdojo.course.content import content_root
from meshdojo.course.images import load_images
from meshdojo.embedded import directories
from meshdojo.embedded.environment import DEFAULT_NAME

# kind has no load balancer: this node port is mapped to the machine's loopback when the cluster is made, and the
# gateway's service is given it once Istio is there.
GATEWAY_NODE_PORT = 31380
NODE_IMAGE_VARIABLE = "MESHDOJO_KIND_IMAGE"


class KindBackend(Backend):
    """A kind cluster named ``meshdojo`` (``meshdojo-NAME`` for an instance of that name)."""

    name = "kind"
    owned = True

    def __init__(
        self, instance: str = DEFAULT_NAME, cluster: str | None = None, kubeconfig: Path | None = None
    ) -> None:
        self._instance = instance
        self.cluster = cluster or ("meshdojo" if instance == DEFAULT_NAME else f"meshdojo-{instance}")
        self._kubeconfig = kubeconfig or directories.state_root() / f"kind-{self.cluster}" / "kubeconfig"

    @property
    def confirmation(self) -> str:
        return self.cluster

    @property
    def kubeconfig(self) -> Path:
        return self._kubeconfig

    async def start(self, progress: Progress, *, tied: bool = False) -> bool:
        directories.private(self.kubeconfig.parent)
        if await self._exists():
            await run("kind", "export", "kubeconfig", "--name", self.cluster, "--kubeconfig", str(self.kubeconfig))
            return False
        progress(f"creating the kind cluster {self.cluster!r}")
        image = os.environ.get(NODE_IMAGE_VARIABLE)
        await run(
            *("kind", "create", "cluster", "--name", self.cluster, "--wait", "180s", "--config", "-"),
            *("--kubeconfig", str(self.kubeconfig)),
            *(("--image", image) if image else ()),
            stdin=json.dumps(cluster_config()).encode(),
        )
        return True

    async def stop(self) -> None:
        if shutil.which("kind") and await self._exists():
            await run("kind", "delete", "cluster", "--name", self.cluster, "--kubeconfig", str(self.kubeconfig))

    async def status(self) -> Status:
        try:
            if not await self._exists():
                return Status(running=False, ready=False, detail=f"there is no kind cluster {self.cluster!r}")
        except BackendError as error:
            return Status(running=False, ready=False, detail=str(error))
        try:
            async with HTTPClient.from_kubeconfig(self.kubeconfig) as client:
                version = await client.version()
        except (ClusterError, OSError) as error:
            return Status(running=True, ready=False, detail=str(error))
        return Status(running=True, ready=True, kubernetes=version, detail=f"kind cluster {self.cluster!r}")

    async def ensure_istio(self, progress: Progress, profile: str = "demo") -> None:
        async def install() -> None:
            progress(f"installing Istio ({profile} profile) with istioctl")
            await run("istioctl", "install", "-y", "--set", f"profile={profile}", env=self._variables())

        async with HTTPClient.from_kubeconfig(self.kubeconfig) as client:
            await istio.ensure(client, profile, install)
            with suppress(BackendNotRunning):
                await self._pin_gateway(client)

    async def remove_istio(self, progress: Progress) -> None:
        async with HTTPClient.from_kubeconfig(self.kubeconfig) as client:
            if await istio.present(client):
                progress("removing Istio")
            await istio.remove(client)

    async def ensure_images(self, progress: Progress) -> None:
        apps = content_root() / "apps"
        found = load_images(apps)
        present = await run("docker", "exec", f"{self.cluster}-control-plane", "crictl", "images")
        missing = [
            image
            for image in found.images
            if not any(_lists(line, image.name, found.tag) for line in present.splitlines())
        ]
        names = [f"{image.name}:{found.tag}" for image in missing]
        for image, name in zip(missing, names, strict=True):
            progress(f"building {name}")
            await run("docker", "build", "--quiet", "--target", image.target, "--tag", name, str(apps))
        if names:
            progress(f"loading {', '.join(names)}")
            # All at once: what they have in common, nearly all of them, is loaded once.
            await run("kind", "load", "docker-image", "--name", self.cluster, *names)

    async def reset(self, *namespaces: str) -> None:
        async with HTTPClient.from_kubeconfig(self.kubeconfig) as client:
            await delete_managed(client, namespaces)

    async def endpoint(self, gateway: str = "istio-ingressgateway") -> str:
        await self._require()
        async with HTTPClient.from_kubeconfig(self.kubeconfig) as client:
            port = await http_port(client, gateway)
        node = f"{self.cluster}-control-plane"
        if port.get("nodePort") == GATEWAY_NODE_PORT:
            with suppress(BackendError):
                return (await run("docker", "port", node, f"{GATEWAY_NODE_PORT}/tcp")).split()[0]
        # A cluster that was made without our port mapping: on Linux the node's own address is reachable.
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        address = (await run("docker", "inspect", "--format", template, node)).split()[0]
        return f"{address}:{port['nodePort']}"

    async def environment(self) -> Mapping[str, str]:
        variables = lab_variables(self.name, self._instance, self.kubeconfig)
        with suppress(BackendError, ClusterError):
            variables["GATEWAY_URL"] = await self.endpoint()
        return variables

    def _variables(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    async def _require(self) -> None:
        if not await self._exists():
            raise BackendNotRunning(
                f"there is no kind cluster {self.cluster!r}. Make it with 'meshdojo up --backend kind --detach'."
            )

    async def _exists(self) -> bool:
        if shutil.which("docker") is None:
            raise BackendMissing("kind needs Docker, and 'docker' is not on the PATH. Use '--backend embedded'.")
        return self.cluster in (await run("kind", "get", "clusters")).split()

    async def _pin_gateway(self, client: HTTPClient) -> None:
        port = await http_port(client, "istio-ingressgateway")
        if port.get("nodePort") == GATEWAY_NODE_PORT:
            return
        patch = {"spec": {"ports": [{"port": port["port"], "nodePort": GATEWAY_NODE_PORT}]}}
        await client.patch("services", "istio-ingressgateway", patch, NAMESPACE, type="strategic")


def cluster_config() -> dict[str, object]:
    """The configuration of a new cluster: one node, whose gateway port is reachable from this machine."""
    mapping = {"containerPort": GATEWAY_NODE_PORT, "hostPort": 0, "listenAddress": "127.0.0.1"}
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": "control-plane", "extraPortMappings": [mapping]}],
    }


def _lists(line: str, name: str, tag: str) -> bool:
    """Whether this line of ``crictl images`` (repository and tag in two columns, or joined) names the image."""
    return ":".join(line.split()[:2]).removeprefix("docker.io/").startswith(f"{name}:{tag}")

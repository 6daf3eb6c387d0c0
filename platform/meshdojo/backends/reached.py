"""What all clusters have in common that are reached by a kubeconfig, and were not made by this process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from meshdojo.backends import istio
from meshdojo.backends.base import Backend, BackendError, BackendNotRunning, Progress, Status
from meshdojo.backends.commands import run
from meshdojo.backends.gateways import http_port
from meshdojo.backends.istio import NAMESPACE, RECORD, RECORD_NAMESPACE, WEBHOOKS
from meshdojo.backends.namespaces import delete_managed
from meshdojo.backends.variables import lab_variables
from meshdojo.cluster.errors import ClusterError, StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.rollout import completed


class ReachedCluster(Backend):
    """Reads and changes a cluster through the API alone. Subclasses say where it comes from."""

    def __init__(self, kubeconfig: Path, title: str, instance: str) -> None:
        self._kubeconfig = kubeconfig
        self._instance = instance
        self.title = title

    @property
    def kubeconfig(self) -> Path:
        return self._kubeconfig

    def client(self) -> HTTPClient:
        """A client for the cluster. Raises `BackendNotRunning` before the first start."""
        if not self.kubeconfig.exists():
            raise BackendNotRunning(f"{self.title} has not been started here. Start it with 'meshdojo up'.")
        return HTTPClient.from_kubeconfig(self.kubeconfig)

    async def answered(self) -> Status:
        """The status of a cluster that is said to run. Never raises."""
        try:
            async with self.client() as client:
                return Status(True, True, await client.version(), await istio_version(client), self.title)
        except (ClusterError, BackendError, OSError) as error:
            return Status(running=True, ready=False, detail=str(error))

    async def reset(self, *namespaces: str) -> None:
        async with self.client() as client:
            await delete_managed(client, namespaces)

    async def environment(self) -> Mapping[str, str]:
        if not self.kubeconfig.exists():
            raise BackendNotRunning(f"{self.title} has not been started here. Start it with 'meshdojo up'.")
        variables = lab_variables(self.name, self._instance, self.kubeconfig)
        with suppress(BackendError, ClusterError):
            variables["GATEWAY_URL"] = await self.endpoint()
        return variables

    async def endpoint(self, gateway: str = "istio-ingressgateway") -> str:
        """The address of the gateway's load balancer, else a node's with the node port."""
        async with self.client() as client:
            port = await http_port(client, gateway)
            service = await client.get("services", gateway, NAMESPACE)
            for entry in (service.get("status") or {}).get("loadBalancer", {}).get("ingress") or ():
                return f"{entry.get('hostname') or entry['ip']}:{port['port']}"
            if not port.get("nodePort"):
                raise BackendNotRunning(
                    f"the service of gateway {gateway!r} has neither a load balancer nor a node port"
                )
            return f"{await self._node_address(client)}:{port['nodePort']}"

    async def _node_address(self, client: HTTPClient) -> str:
        nodes = (await client.list("nodes")).items
        for kind in ("ExternalIP", "InternalIP"):
            for node in nodes:
                for address in (node.get("status") or {}).get("addresses") or ():
                    if address["type"] == kind:
                        return str(address["address"])
        raise BackendNotRunning(f"no node of {self.title} says its address")

    async def ensure_istio(self, progress: Progress, profile: str = "demo") -> None:
        """Install it where there is none. One that was there first is only waited for, whatever its profile."""
        if not await self._istio_is_ours():
            if not await self._wait_for_istio(progress):
                raise BackendError(f"{self.title} has parts of an Istio of somebody else's, and no istiod")
            return

        async def install() -> None:
            progress(f"installing Istio ({profile} profile) with istioctl")
            variables = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
            await run("istioctl", "install", "-y", "--set", f"profile={profile}", env=variables)

        async with self.client() as client:
            await istio.ensure(client, profile, install)

    async def remove_istio(self, progress: Progress) -> None:
        if not await self._istio_is_ours():
            raise BackendError(
                f"the Istio of {self.title} was there before meshdojo, so it is left alone. Use '--backend embedded' "
                "or '--backend kind' for the lab about installing it."
            )
        async with self.client() as client:
            progress("removing Istio")
            await istio.remove(client)

    async def _wait_for_istio(self, progress: Progress) -> bool:
        """Whether an Istio is there; if so it is ready when this returns. It is left as it is."""
        async with self.client() as client:
            found = await client.list("deployments.apps", NAMESPACE, labels="app=istiod")
            for deployment in found.items:
                progress(f"waiting for {deployment['metadata']['name']}")
                await completed(client, NAMESPACE, deployment["metadata"]["name"])
            return bool(found.items)

    async def _istio_is_ours(self) -> bool:
        """Whether meshdojo installed the Istio that is there, or none is there."""
        async with self.client() as client:
            return await _recorded(client) or not await _any_istio(client)

    async def present_images(self) -> set[str]:
        """The names of the images that nodes say they have (each node lists the largest fifty)."""
        async with self.client() as client:
            nodes = (await client.list("nodes")).items
        return {
            name.removeprefix("docker.io/")
            for node in nodes
            for image in (node.get("status") or {}).get("images") or ()
            for name in image.get("names") or ()
        }


async def _recorded(client: HTTPClient) -> bool:
    try:
        await client.get("configmaps", RECORD, RECORD_NAMESPACE)
    except StatusError as error:
        if error.code != 404:
            raise
        return False
    return True


async def _any_istio(client: HTTPClient) -> bool:
    for resource in WEBHOOKS:
        if any("istio" in one["metadata"]["name"] for one in (await client.list(resource)).items):
            return True
    return await istio.present(client)


async def istio_version(client: HTTPClient) -> str:
    """The tag of istiod's image, '' without one."""
    found = await client.list("deployments.apps", NAMESPACE, labels="app=istiod")
    for deployment in found.items:
        image = str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])
        return image.rpartition(":")[2]
    return ""

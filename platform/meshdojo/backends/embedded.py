"""The mesh that needs no Docker: a cluster inside ordinary processes of this user."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from meshdojo.backends import istio
from meshdojo.backends.base import Backend, BackendError, BackendNotRunning, BadChoice, Progress, Status
from meshdojo.backends.gateways import http_port
from meshdojo.backends.namespaces import delete_managed
from meshdojo.backends.variables import lab_variables
from meshdojo.cluster.errors import ClusterError
from meshdojo.cluster.http import HTTPClient
from meshdojo.embedded import installation, lifecycle
from meshdojo.embedded.environment import DEFAULT_NAME, Environment
from meshdojo.embedded.errors import BadName, EmbeddedError


class EmbeddedBackend(Backend):
    """The environment of this name; see `meshdojo.embedded`."""

    name = "embedded"
    owned = True

    def __init__(self, instance: str = DEFAULT_NAME) -> None:
        try:
            self.instance = Environment.named(instance)
        except BadName as error:
            raise BadChoice(str(error)) from error

    @property
    def confirmation(self) -> str:
        return self.instance.name

    @property
    def kubeconfig(self) -> Path:
        return self.instance.kubeconfig

    async def start(self, progress: Progress, *, tied: bool = False) -> bool:
        try:
            return await asyncio.to_thread(lifecycle.start, self.instance, progress, tied=tied)
        except EmbeddedError as error:
            raise BackendError(str(error)) from error

    async def stop(self) -> None:
        await asyncio.to_thread(lifecycle.stop, self.instance)

    async def status(self) -> Status:
        process = lifecycle.running(self.instance)
        if process is None:
            name = "" if self.instance.name == "default" else f" --name {self.instance.name}"
            return Status(running=False, ready=False, detail=f"not running; start it with 'meshdojo up --detach{name}'")
        try:
            async with HTTPClient.from_kubeconfig(self.kubeconfig) as client:
                version = await client.version()
                version_of_istio = await installation.installed_version(client)
            detail = f"process {process.pid}, API at {self.instance.server}"
        except (ClusterError, EmbeddedError, OSError) as error:
            return Status(running=True, ready=False, detail=str(error))
        return Status(running=True, ready=True, kubernetes=version, istio=version_of_istio, detail=detail)

    async def ensure_istio(self, progress: Progress, profile: str = "demo") -> None:
        self._require()
        async with HTTPClient.from_kubeconfig(self.kubeconfig) as client:
            try:
                await istio.ensure(client, profile, lambda: installation.install(client, profile, progress))
            except EmbeddedError as error:
                raise BackendError(str(error)) from error

    async def remove_istio(self, progress: Progress) -> None:
        self._require()
        async with HTTPClient.from_kubeconfig(self.kubeconfig) as client:
            if await istio.present(client):
                progress("removing Istio")
            await istio.remove(client)

    async def ensure_images(self, progress: Progress) -> None:
        """The apps are modules of this very installation: nothing to load."""

    async def reset(self, *namespaces: str) -> None:
        self._require()
        async with HTTPClient.from_kubeconfig(self.kubeconfig) as client:
            await delete_managed(client, namespaces)

    async def endpoint(self, gateway: str = "istio-ingressgateway") -> str:
        self._require()
        async with HTTPClient.from_kubeconfig(self.kubeconfig) as client:
            port = await http_port(client, gateway)
        if not port.get("nodePort"):
            raise BackendNotRunning(
                f"the service of gateway {gateway!r} has no node port: its type must be LoadBalancer or NodePort"
            )
        return f"{self.instance.block.node}:{port['nodePort']}"

    async def environment(self) -> Mapping[str, str]:
        self._require()
        variables = lab_variables(self.name, self.instance.name, self.kubeconfig)
        tools, path = str(self.instance.tools), variables["PATH"].split(os.pathsep)
        # First, also in a shell inside a shell, and once.
        variables["PATH"] = os.pathsep.join([tools, *(folder for folder in path if folder != tools)])
        with suppress(BackendError, ClusterError):
            variables["GATEWAY_URL"] = await self.endpoint()
        return variables

    def _require(self) -> None:
        try:
            lifecycle.require(self.instance)
        except EmbeddedError as error:
            raise BackendNotRunning(str(error)) from error

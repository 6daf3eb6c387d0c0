"""The probe: a pod inside the mesh and one outside, into which checks exec the load generator of `apps/probe`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import yaml

from meshdojo.checks.measurement import Measurement, Place, Request
from meshdojo.checks.outcome import CannotJudge
from meshdojo.checks.pods import has_sidecar, is_ready
from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.streams import ExecResult

NAMESPACES: Mapping[Place, str] = {"inside": "meshdojo-probe", "outside": "meshdojo-outside"}
CONTAINER = "probe"
LABELS = "app=probe"
READY_SECONDS = 90.0
_MANIFEST = Path(__file__).with_name("probe.yaml")
_REMEDY = "Look at its pod (kubectl describe pods -A -l app=probe); 'meshdojo reset' makes it anew."


class Probe:
    """Both probe pods of a cluster. `ensure` before measuring; it costs three requests when all is well."""

    def __init__(self, client: HTTPClient) -> None:
        self._client = client
        self._pods: dict[Place, str] = {}

    async def ensure(self) -> None:
        """Make the probe's objects where they are missing, and its pods anew where their sidecar is not up to date.

        Raises CannotJudge when the pods do not become ready.
        """
        istiod = await self._istiod()
        if not await self._present():
            await self._client.apply(list(yaml.safe_load_all(_MANIFEST.read_text())), field_manager="meshdojo-probe")
        places: tuple[Place, ...] = ("inside", "outside")
        await asyncio.gather(*(self._ensure_place(place, istiod) for place in places))

    async def measure(self, request: Request) -> Measurement:
        """Send one load and count the answers. Raises CannotJudge when the probe itself does not work."""
        if request.place not in self._pods:
            await self.ensure()
        namespace, pod = NAMESPACES[request.place], self._pods[request.place]
        try:
            result = await self._client.exec(
                namespace, pod, request.command(), CONTAINER, seconds=request.deadline + request.timeout
            )
        except StatusError as error:
            self._pods.clear()
            raise CannotJudge(f"the probe in {namespace} cannot be used: {error}", _REMEDY) from error
        return read(result, request, f"the probe in {namespace}")

    async def _present(self) -> bool:
        try:
            for namespace in NAMESPACES.values():
                await self._client.get("deployments.apps", CONTAINER, namespace)
        except StatusError as error:
            if error.code != 404:
                raise
            return False
        return True

    async def _istiod(self) -> Object | None:
        found = await self._client.list("deployments.apps", "istio-system", labels="app=istiod")
        return found.items[0] if found.items else None

    async def _ensure_place(self, place: Place, istiod: Object | None) -> None:
        namespace = NAMESPACES[place]
        try:
            async with asyncio.timeout(READY_SECONDS):
                self._pods[place] = await self._ready_pod(namespace, istiod if place == "inside" else None)
        except TimeoutError:
            reason = f"the probe in namespace {namespace} is not ready after {READY_SECONDS:g} s"
            raise CannotJudge(reason, _REMEDY) from None

    async def _ready_pod(self, namespace: str, istiod: Object | None) -> str:
        """The name of a ready pod that is as it should be; waits for it, and deletes those that are not."""
        while True:
            found = await self._client.list("pods", namespace, labels=LABELS)
            for pod in found.items:
                if is_ready(pod) and not is_outdated(pod, istiod):
                    return str(pod["metadata"]["name"])
            for pod in found.items:
                if "deletionTimestamp" not in pod["metadata"] and is_outdated(pod, istiod):
                    await self._delete(namespace, pod["metadata"]["name"])
            async for _change in self._client.watch("pods", namespace, labels=LABELS, since=found.resource_version):
                break

    async def _delete(self, namespace: str, name: str) -> None:
        try:
            await self._client.delete("pods", name, namespace)
        except StatusError as error:
            if error.code != 404:
                raise


def read(result: ExecResult, request: Request, who: str) -> Measurement:
    """What a load generator (`who`, in words) printed. Raises CannotJudge when that is no measurement."""
    if result.exit_code != 0:
        said = result.stderr.decode(errors="replace").strip().splitlines()
        raise CannotJudge(f"{who} failed: {said[-1] if said else result.exit_code}", _REMEDY)
    try:
        measured = Measurement.parse(result.stdout)
    except (ValueError, KeyError) as error:
        raise CannotJudge(f"{who} printed what is no result: {error}", _REMEDY) from error
    if unresolved := measured.errors.get("unresolved"):
        example = measured.examples.get("unresolved", "")
        raise CannotJudge(f"{unresolved} requests to {request.url}: the name does not resolve ({example})", _REMEDY)
    return measured


def is_outdated(pod: Object, istiod: Object | None) -> bool:
    """Whether the pod's sidecar does not fit the Istio that is there now (None: there is to be no sidecar)."""
    if istiod is None:
        return has_sidecar(pod)
    # A sidecar that is older than istiod trusts the certificates of an Istio that was uninstalled since.
    created: str = pod["metadata"]["creationTimestamp"]
    return not has_sidecar(pod) or created < istiod["metadata"]["creationTimestamp"]

"""Bringing a lab to its start state, and taking it away again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from meshdojo.backends.base import MANAGED_LABEL, MANAGED_VALUE, Backend, BackendError, Progress
from meshdojo.checks.convergence import Convergence
from meshdojo.checks.outcome import CannotJudge
from meshdojo.checks.pods import has_sidecar
from meshdojo.checks.probe import NAMESPACES, Probe
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.rollout import completed
from meshdojo.course.content import content_root
from meshdojo.course.lab import BASE, Lab, read_manifests

READY_SECONDS = 180.0
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def silent(_text: str) -> None:
    """A `Progress` that says nothing."""


async def start_state(backend: Backend, lab: Lab | None = None, progress: Progress = silent) -> None:
    """Set a lab up (None: only the fleet): what it needs, its manifests, all pods ready, the mesh settled.

    Fine to call on a lab that is set up already: its objects then become what the manifests say, but those that a
    learner added stay (`reset_lab` removes them). Raises BackendError.
    """
    await _needs(backend, lab, progress)
    manifests = lab.manifests() if lab else _base()
    async with HTTPClient.from_kubeconfig(backend.kubeconfig) as client:
        progress("applying the lab's manifests, and waiting until every pod is ready")
        # Neither waits for the other: half of the time on a new cluster.
        await asyncio.gather(_probe(client), _manifests(client, manifests))
        if lab is None or "no-istio" not in lab.front.needs:
            await _settle(client)


async def prepare(backend: Backend, lab: Lab | None = None, progress: Progress = silent) -> None:
    """What a lab needs before its own objects come: Istio, the images, the probe. Raises BackendError."""
    await _needs(backend, lab, progress)
    progress("making the probe")
    async with HTTPClient.from_kubeconfig(backend.kubeconfig) as client:
        await _probe(client)


async def _needs(backend: Backend, lab: Lab | None, progress: Progress) -> None:
    if lab is None or "istio" in lab.front.needs:
        await backend.ensure_istio(progress)
    elif "no-istio" in lab.front.needs:
        await _leave_the_mesh(backend, lab, progress)
        await backend.remove_istio(progress)
    await backend.ensure_images(progress)


async def _leave_the_mesh(backend: Backend, lab: Lab, progress: Progress) -> None:
    """Take the other labs' namespaces away whose pods have sidecars: nobody will tell those sidecars anything."""
    async with HTTPClient.from_kubeconfig(backend.kubeconfig) as client:
        namespaces, pods = await asyncio.gather(client.list("namespaces"), client.list("pods"))
    meshed = {pod["metadata"]["namespace"] for pod in pods.items if has_sidecar(pod)}
    kept = {*lab.namespaces(), *NAMESPACES.values()}
    names = sorted(
        name
        for namespace in namespaces.items
        if namespace["metadata"].get("labels", {}).get(MANAGED_LABEL) == MANAGED_VALUE
        and (name := namespace["metadata"]["name"]) in meshed - kept
    )
    if names:
        progress(f"deleting {', '.join(names)}, which {'is' if len(names) == 1 else 'are'} in the mesh")
        await backend.reset(*names)


async def _probe(client: HTTPClient) -> None:
    with _blaming_the_backend():
        await Probe(client).ensure()


async def _manifests(client: HTTPClient, manifests: tuple[dict[str, Any], ...]) -> None:
    await client.apply(map(as_kubectl_would, manifests), field_manager="meshdojo")
    await _available(client, manifests)


async def reset_lab(backend: Backend, lab: Lab, progress: Progress = silent) -> None:
    """Remove all that is in the lab's namespaces, and set the lab up again. Raises BackendError."""
    await remove(backend, lab, progress)
    await start_state(backend, lab, progress)


async def remove(backend: Backend, lab: Lab, progress: Progress = silent) -> None:
    """Take a lab away: its namespaces with all that is in them, and Istio if the lab starts without it.

    Raises BackendError.
    """
    if namespaces := lab.namespaces():
        progress(f"deleting {', '.join(namespaces)}")
        await backend.reset(*namespaces)
    if "no-istio" in lab.front.needs:
        await backend.remove_istio(progress)


def _base() -> tuple[dict[str, Any], ...]:
    files = sorted((content_root() / "labs" / BASE).glob("*.yaml"))
    return tuple(obj for file in files for obj in read_manifests(file))


def as_kubectl_would(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the annotation in which `kubectl apply` remembers what it applied.

    Without it the learner's first `kubectl apply` of the same object prints a warning, and cannot remove fields.
    """
    metadata = {**manifest["metadata"], "annotations": manifest["metadata"].get("annotations", {})}
    last = json.dumps({**manifest, "metadata": metadata}, sort_keys=True, separators=(",", ":")) + "\n"
    return {**manifest, "metadata": {**metadata, "annotations": {**metadata["annotations"], LAST_APPLIED: last}}}


async def _settle(client: HTTPClient) -> None:
    with _blaming_the_backend():
        await Convergence(client).wait()


@contextmanager
def _blaming_the_backend() -> Iterator[None]:
    """During set-up nobody is judged: what keeps a check from judging is a failure of the backend."""
    try:
        yield
    except CannotJudge as error:
        raise BackendError(f"{error.error.reason}. {error.error.remedy}") from error


async def _available(client: HTTPClient, manifests: tuple[dict[str, Any], ...]) -> None:
    """Wait until every Deployment among the manifests runs as it should."""
    wanted = [
        (obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in manifests if obj["kind"] == "Deployment"
    ]
    late = set(wanted)

    async def wait(namespace: str, name: str) -> None:
        await completed(client, namespace, name)
        late.discard((namespace, name))

    try:
        async with asyncio.timeout(READY_SECONDS):
            await asyncio.gather(*(wait(namespace, name) for namespace, name in wanted))
    except TimeoutError:
        names, namespace = ", ".join("/".join(key) for key in sorted(late)), wanted[0][0]
        why = f"kubectl describe pods -n {namespace}"
        raise BackendError(f"not ready after {READY_SECONDS:g} s: {names}. Why: {why}") from None

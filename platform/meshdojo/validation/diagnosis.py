"""Everything needed to understand why a step failed, in one folder."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Iterable, Mapping
from pathlib import Path

import yaml

from meshdojo.checks.convergence import KINDS, Convergence
from meshdojo.checks.pods import has_sidecar
from meshdojo.checks.probe import NAMESPACES
from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import ClusterError
from meshdojo.cluster.http import HTTPClient
from meshdojo.validation import shell
from meshdojo.validation.report import Report

OBJECTS = ("pods", "services", "deployments.apps", "replicasets.apps", "endpointslices.discovery.k8s.io", *KINDS)
LOG_LINES = 500
COMMANDS = {
    "istioctl-proxy-status": "istioctl proxy-status",
    "istioctl-analyze": "istioctl analyze --all-namespaces",
    "kubectl-pods": "kubectl get pods --all-namespaces --show-labels",
}


async def collect(client: HTTPClient, folder: Path, report: Report, namespaces: tuple[str, ...]) -> None:
    """Write to `folder`: the steps, objects and events of the namespaces, logs, and what the proxies run by.

    Access logs are the logs of the containers istio-proxy. What cannot be had is noted in the file's place: a broken
    cluster is when this is needed most.
    """
    shutil.rmtree(folder, ignore_errors=True)  # an earlier run's
    _save(folder / "steps.txt", _steps(report).encode())
    await snapshot(client, folder, (*namespaces, *NAMESPACES.values(), "istio-system"))


async def snapshot(client: HTTPClient, folder: Path, namespaces: Iterable[str]) -> None:
    """Write to `folder`: objects and events of the namespaces, logs, and what istiod and the proxies run by."""
    for page in ("syncz", "configz", "endpointShardz"):
        await _write(folder / f"istiod-{page}.json", Convergence(client).debug(page))
    for namespace in namespaces:
        await _namespace(client, folder / namespace, namespace)


async def proxy_status(environment: Mapping[str, str], folder: Path) -> None:
    """What istioctl and kubectl say about the mesh, to `folder`."""
    for name, command in COMMANDS.items():
        await _write(folder / f"{name}.txt", _printed(command, environment, folder))


async def _printed(command: str, environment: Mapping[str, str], folder: Path) -> bytes:
    ran = await shell.run(command, environment, folder, 60)
    return f"$ {command}\n{ran.output}".encode()


def _steps(report: Report) -> str:
    lines = [f"{report.lab} on {report.backend}", ""]
    for step in report.steps:
        lines.append(f"{'ok    ' if step.passed else 'FAILED'} {step.seconds:7.2f} s  {step.phase}: {step.name}")
    return "\n".join([*lines, "", *(step.problem for step in report.failures), ""])


async def _namespace(client: HTTPClient, folder: Path, namespace: str) -> None:
    for resource in (*OBJECTS, "events"):
        await _write(folder / f"{resource}.yaml", _objects(client, resource, namespace))
    try:
        pods = (await client.list("pods", namespace)).items
    except ClusterError:
        return
    for pod in pods:
        await _pod(client, folder, pod)


async def _objects(client: HTTPClient, resource: str, namespace: str) -> bytes:
    listed = await client.list(resource, namespace)
    return yaml.safe_dump_all(listed.items, sort_keys=False).encode()


async def _pod(client: HTTPClient, folder: Path, pod: Object) -> None:
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    for container in [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]:
        await _write(
            folder / f"{name}.{container['name']}.log",
            _log(client, namespace, name, container["name"]),
        )
    if has_sidecar(pod):
        await _write(folder / f"{name}.config_dump.json", _config_dump(client, namespace, name))


async def _log(client: HTTPClient, namespace: str, pod: str, container: str) -> bytes:
    return (await client.logs(namespace, pod, container, tail_lines=LOG_LINES)).encode()


async def _config_dump(client: HTTPClient, namespace: str, pod: str) -> bytes:
    command = ["pilot-agent", "request", "GET", "config_dump"]
    result = await client.exec(namespace, pod, command, "istio-proxy", seconds=20)
    return result.stdout or result.stderr


async def _write(path: Path, fetched: Awaitable[bytes]) -> None:
    try:
        content = await fetched
    except Exception as error:  # whatever is broken, the rest is still worth having
        content = f"not to be had: {type(error).__name__}: {error}\n".encode()
    if content:
        _save(path, content)


def _save(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)

"""Envoy's own account of its configuration, fetched through ``pilot-agent`` in the proxy's container."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.istio.istioctl import cluster
from meshdojo.istio.istioctl.command import CommandError, Invocation

JSON = dict[str, Any]
PROXY = "istio-proxy"
_WORKLOADS = {
    "deploy": "deployments.apps",
    "deployment": "deployments.apps",
    "deployments": "deployments.apps",
    "ds": "daemonsets.apps",
    "daemonset": "daemonsets.apps",
    "sts": "statefulsets.apps",
    "statefulset": "statefulsets.apps",
    "rs": "replicasets.apps",
    "replicaset": "replicasets.apps",
    "svc": "services",
    "service": "services",
}
_SNAKE = re.compile(r"_([a-z0-9])")


@dataclass(frozen=True)
class Dump:
    """The parsed answer of ``/config_dump``."""

    configs: list[JSON] = field(default_factory=list)

    def section(self, name: str) -> JSON:
        """One part, such as ``ClustersConfigDump``."""
        return next((one for one in self.configs if str(one.get("@type", "")).endswith(f".{name}")), {})

    @property
    def clusters(self) -> Iterator[JSON]:
        """Envoy's active clusters, static ones first."""
        found = self.section("ClustersConfigDump")
        for one in (*found.get("static_clusters", ()), *found.get("dynamic_active_clusters", ())):
            yield one["cluster"]

    @property
    def listeners(self) -> Iterator[JSON]:
        """Envoy's active listeners, static ones first; those that still warm up are left out."""
        found = self.section("ListenersConfigDump")
        for one in found.get("static_listeners", ()):
            yield one["listener"]
        for one in found.get("dynamic_listeners", ()):
            if "active_state" in one:
                yield one["active_state"]["listener"]

    @property
    def routes(self) -> Iterator[JSON]:
        """Envoy's route configurations, dynamic ones first."""
        found = self.section("RoutesConfigDump")
        for one in (*found.get("dynamic_route_configs", ()), *found.get("static_route_configs", ())):
            yield one["route_config"]

    @property
    def secrets(self) -> Iterator[tuple[str, JSON]]:
        """(state, entry) of each secret."""
        found = self.section("SecretsConfigDump")
        for state, part in (("ACTIVE", "dynamic_active_secrets"), ("WARMING", "dynamic_warming_secrets")):
            for one in found.get(part, ()):
                yield state, one


@dataclass(frozen=True)
class Target:
    """A proxy's pod."""

    namespace: str
    name: str


def admin(invocation: Invocation, path: str) -> JSON:
    """What Envoy's admin interface answers at `path`, decoded. Raises CommandError."""

    async def ask(client: HTTPClient) -> JSON:
        answer: JSON = json.loads(await request(client, await resolve(client, invocation), path))
        return answer

    return cluster.run(invocation, ask)


async def resolve(client: HTTPClient, invocation: Invocation) -> Target:
    """``[TYPE/]NAME[.NAMESPACE]`` as a pod; of a workload, the first one that runs. Raises CommandError."""
    if not invocation.arguments:
        raise CommandError("a pod name is required: [<type>/]<name>[.<namespace>]")
    kind, _, full = invocation.arguments[0].rpartition("/")
    name, dot, where = full.partition(".")
    namespace = where if dot else cluster.namespace(invocation, client)
    if kind in ("", "pod", "pods", "po"):
        return Target(namespace, name)
    if kind not in _WORKLOADS:
        raise CommandError(f'unknown type "{kind}": allowed are pod, {", ".join(sorted(set(_WORKLOADS)))}')
    return await _pod_of(client, _WORKLOADS[kind], namespace, name)


async def _pod_of(client: HTTPClient, resource: str, namespace: str, name: str) -> Target:
    try:
        owner = await client.get(resource, name, namespace)
    except StatusError as error:
        if error.code != 404:
            raise
        raise CommandError(f'failed retrieving: {error} in the "{namespace}" namespace') from None
    selector = owner["spec"].get("selector") or {}
    labels = selector if resource == "services" else selector.get("matchLabels") or {}
    text = ",".join(f"{key}={value}" for key, value in labels.items())
    for pod in (await client.list("pods", namespace, labels=text)).items:
        if (pod.get("status") or {}).get("phase") == "Running":
            return Target(namespace, pod["metadata"]["name"])
    raise CommandError(f"no running pods found for {resource.partition('.')[0]} {namespace}/{name}")


def _why(error: StatusError, target: Target) -> str:
    """The real istioctl reaches a pod by forwarding a port, and says so when there is no such pod."""
    if error.code != 404:
        return str(error)
    process = "failure running port forward process: "
    return f'{process * 2}building port forwarded: failed retrieving: {error} in the "{target.namespace}" namespace'


async def request(client: HTTPClient, target: Target, path: str, method: str = "GET") -> bytes:
    """What Envoy's admin interface answers. Raises CommandError."""
    command = ["pilot-agent", "request", method, path]
    try:
        result = await client.exec(target.namespace, target.name, command, PROXY)
    except StatusError as error:
        words = f"failed to execute command on {target.name}.{target.namespace} sidecar: {_why(error, target)}"
        raise CommandError(words) from None
    if result.exit_code != 0:
        said = result.stderr.decode(errors="replace").strip()
        raise CommandError(f"failed to execute command on {target.name}.{target.namespace} sidecar: {said}")
    return result.stdout


def dump(invocation: Invocation) -> Dump:
    """Ask a pod's Envoy for its ``config_dump``. Raises `CommandError`."""
    return Dump(admin(invocation, "config_dump").get("configs", []))


def camel(value: Any) -> Any:
    """Names as protobuf writes them in JSON (``lb_policy`` -> ``lbPolicy``); names of extensions stay."""
    if isinstance(value, list):
        return [camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key if "." in key else _SNAKE.sub(lambda found: found[1].upper(), key): camel(one) for key, one in value.items()
    }


def show(value: Any, output: str) -> None:
    """Print as ``-o json`` or ``-o yaml``. Raises CommandError for other formats."""
    if output == "json":
        print(json.dumps(camel(value), indent=4))
    elif output == "yaml":
        import yaml

        print(yaml.safe_dump(camel(value), sort_keys=False), end="")
    else:
        raise CommandError(f'output format "{output}" not supported: allowed are short, json and yaml')

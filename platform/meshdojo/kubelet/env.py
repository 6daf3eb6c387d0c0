"""The environment variables of a container, from all that a pod's specification can name.

Source: the Container, EnvVar and EnvFromSource types of core/v1, and the kubelet's own rules (order, expansion,
service links) as observed on a real cluster.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.schema import quantity

Fetch = Callable[[str, str, str], Awaitable[Object | None]]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\))")
_SUBSCRIPT = re.compile(r"(.*)\['(.*)'\]")


class ConfigError(Exception):
    """Something that a container's configuration refers to is missing. The text is the kubelet's."""


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`text` with ``$(NAME)`` replaced where NAME is known; ``$$`` is a literal dollar."""

    def replacement(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return variables.get(match[1], match[0])

    return _REFERENCE.sub(replacement, text)


def service_links(services: Iterable[Object], namespace: str, enabled: bool) -> dict[str, str]:
    """The variables that tell of services: ``default/kubernetes`` always, those of the namespace if `enabled`."""
    found: dict[str, str] = {}
    for service in services:
        where, name = service["metadata"]["namespace"], service["metadata"]["name"]
        ip = service["spec"].get("clusterIP")
        if not ip or ip == "None" or not service["spec"].get("ports"):
            continue
        if (where, name) == ("default", "kubernetes") or (enabled and where == namespace):
            found.update(_links_of(name, ip, service["spec"]["ports"]))
    return found


def _links_of(name: str, ip: str, ports: list[Object]) -> dict[str, str]:
    prefix = name.upper().replace("-", "_")
    links = {f"{prefix}_SERVICE_HOST": ip, f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            links[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
    for index, port in enumerate(ports):
        protocol = port.get("protocol", "TCP")
        url = f"{protocol.lower()}://{ip}:{port['port']}"
        if index == 0:
            links[f"{prefix}_PORT"] = url
        base = f"{prefix}_PORT_{port['port']}_{protocol}"
        links[base] = url
        links.update({f"{base}_PROTO": protocol.lower(), f"{base}_PORT": str(port["port"]), f"{base}_ADDR": ip})
    return links


async def environment(
    pod: Object, container: Object, base: Mapping[str, str], fetch: Fetch, facts: Mapping[str, str]
) -> dict[str, str]:
    """All variables of `container`: `base` (image, service links), envFrom, then env, each over the one before.

    `fetch(resource, namespace, name)` gives config maps and secrets; `facts` has the status fields (podIP, hostIP).
    Raises `ConfigError` with the kubelet's words.
    """
    namespace = pod["metadata"]["namespace"]
    variables = dict(base)
    for source in container.get("envFrom") or ():
        variables.update(await _all_from(source, namespace, fetch))
    for entry in container.get("env") or ():
        if "valueFrom" in entry:
            value = await _value_from(pod, container, entry["valueFrom"], fetch, facts)
            if value is not None:
                variables[entry["name"]] = value
        else:
            variables[entry["name"]] = expand(entry.get("value") or "", variables)
    return variables


async def _all_from(source: Object, namespace: str, fetch: Fetch) -> dict[str, str]:
    prefix = source.get("prefix") or ""
    for field, resource in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
        reference = source.get(field)
        if reference is None:
            continue
        obj = await fetch(resource, namespace, reference["name"])
        if obj is None:
            if reference.get("optional"):
                return {}
            raise ConfigError(f'{resource[:-1]} "{reference["name"]}" not found')
        return {prefix + key: value for key, value in texts(obj).items() if key and "=" not in key}
    return {}


def texts(obj: Object) -> dict[str, str]:
    """The data of a config map or secret as text."""
    return {key: value.decode(errors="replace") for key, value in contents(obj).items()}


def contents(obj: Object) -> dict[str, bytes]:
    """The data of a config map or secret as bytes."""
    import base64

    if obj.get("kind") == "Secret" or "type" in obj:
        return {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
    binary = {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}
    return {key: value.encode() for key, value in (obj.get("data") or {}).items()} | binary


async def _value_from(
    pod: Object, container: Object, source: Object, fetch: Fetch, facts: Mapping[str, str]
) -> str | None:
    if "fieldRef" in source:
        return field_value(pod, source["fieldRef"]["fieldPath"], facts)
    if "resourceFieldRef" in source:
        return resource_value(pod, container, source["resourceFieldRef"])
    for field, resource, kind in (
        ("configMapKeyRef", "configmaps", "ConfigMap"),
        ("secretKeyRef", "secrets", "Secret"),
    ):
        if field in source:
            return await _key_of(source[field], resource, kind, pod["metadata"]["namespace"], fetch)
    return None


async def _key_of(reference: Object, resource: str, kind: str, namespace: str, fetch: Fetch) -> str | None:
    name, key = reference["name"], reference["key"]
    obj = await fetch(resource, namespace, name)
    if obj is not None and key in (found := texts(obj)):
        return found[key]
    if reference.get("optional"):
        return None
    if obj is None:
        raise ConfigError(f'{resource[:-1]} "{name}" not found')
    raise ConfigError(f"couldn't find key {key} in {kind} {namespace}/{name}")


def field_value(pod: Object, path: str, facts: Mapping[str, str]) -> str:
    """A field of the pod by the names of the downward API. Raises `ConfigError` for one that does not exist."""
    metadata, spec = pod["metadata"], pod["spec"]
    if (match := _SUBSCRIPT.fullmatch(path)) is not None:
        return str((metadata.get(match[1].removeprefix("metadata.")) or {}).get(match[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        values = metadata.get(path.removeprefix("metadata.")) or {}
        return "\n".join(f"{key}={_quoted(value)}" for key, value in sorted(values.items()))
    known = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        **{f"status.{name}": value for name, value in facts.items()},
    }
    if path not in known:
        raise ConfigError(f'unsupported fieldPath: "{path}"')
    return str(known[path])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def resource_value(pod: Object, container: Object, reference: Object) -> str:
    """A request or limit of a container (of this one, unless `reference` names another), divided and rounded up."""
    name = reference.get("containerName")
    everyone = (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"])
    owner = next((other for other in everyone if other["name"] == name), container)
    kind, _, resource = reference["resource"].partition(".")
    value = ((owner.get("resources") or {}).get(kind) or {}).get(resource)
    # In whole billionths: 0.1 divided by 0.001 is not 100 in floating point.
    divisor = quantity.parse(str(reference.get("divisor") or "1")) or quantity.parse("1")
    amount = quantity.parse(_capacity(resource) if value is None and kind == "limits" else str(value or "0"))
    return str(-(-amount // divisor))


def _capacity(resource: str) -> str:
    """Without a limit, the node's own: CPUs or bytes."""
    if resource == "cpu":
        return str(os.cpu_count() or 1)
    return str(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))

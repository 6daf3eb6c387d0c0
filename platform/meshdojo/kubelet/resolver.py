"""What kube-proxy and the cluster's DNS are to a real cluster: which endpoint serves an address, which IP a name has.

`Resolver` answers from the caches of services, endpoint slices and pods. The pods' programs ask over a Unix socket,
one JSON line each way:

    {"connect": POD_IP, "address": IP, "port": PORT}  ->  {"address": IP, "port": PORT}  or  {"error": "ECONNREFUSED"}
    {"lookup": NAMESPACE, "name": NAME}               ->  {"addresses": [IP, ...]}, {"external": NAME},
                                                          {"missing": true}, or {"unknown": true}: ask the host

Sources: the ndots and search rules of resolv.conf(5) as the kubelet writes it (ndots:5), and the DNS-Based Service
Discovery specification of Kubernetes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.cluster.informer import Informer, label
from meshdojo.network import Block, mapped_port

SERVICE_NAME = "kubernetes.io/service-name"
DOMAIN = "cluster.local"
_NDOTS = 5


class Resolver:
    """Answers from the caches. `services` and `slices` are informers that someone else starts."""

    def __init__(self, block: Block, services: Informer, slices: Informer) -> None:
        self._block = block
        self._services = services
        self._slices = slices
        self._node = str(block.node)
        self._pod_prefix = str(block.pods[0]).rsplit(".", 2)[0] + "."
        services.add_index("kubelet clusterIP", _cluster_ips)
        slices.add_index("kubelet service", label(SERVICE_NAME))
        self._server: asyncio.Server | None = None
        self._listener: socket.socket | None = None

    def endpoint(self, address: str, port: int, client: str = "") -> tuple[str, int]:
        """Where to really connect for a ClusterIP or pod IP: a ready endpoint at random, with its mapped port.

        Raises ConnectionRefusedError where a ClusterIP has no such port or no ready endpoint.
        """
        services = self._services.indexed("kubelet clusterIP", address)
        if not services:
            return self.served(address, port)
        service = services[0]
        for service_port in service["spec"].get("ports") or ():
            if service_port["port"] == port and service_port.get("protocol", "TCP") == "TCP":
                found = sorted(set(self.backends(service, service_port)))
                if found:
                    return self._choose(service, found, client)
        raise ConnectionRefusedError(f"{address}:{port}: no endpoint")

    def _choose(self, service: Object, found: list[tuple[str, int]], client: str) -> tuple[str, int]:
        if service["spec"].get("sessionAffinity") == "ClientIP" and client:
            return found[hash(client) % len(found)]
        return random.choice(found)

    def served(self, address: str, port: int) -> tuple[str, int]:
        """The same address with the port that really serves `port` there."""
        return address, mapped_port(port) if self._is_pod(address) else port

    def backends(self, service: Object, service_port: Object) -> Iterator[tuple[str, int]]:
        """The ready endpoints of one port of a service, with mapped ports."""
        for slice_ in self._slices_of(service):
            for port in slice_.get("ports") or ():
                if (port.get("name") or "") == (service_port.get("name") or ""):
                    for endpoint in _ready(slice_, service):
                        yield self.served(endpoint["addresses"][0], port["port"])

    def _slices_of(self, service: Object) -> list[Object]:
        metadata = service["metadata"]
        return [
            slice_
            for slice_ in self._slices.indexed("kubelet service", metadata["name"])
            if slice_["metadata"]["namespace"] == metadata["namespace"]
        ]

    def _is_pod(self, address: str) -> bool:
        return address.startswith(self._pod_prefix) and address != self._node

    def lookup(self, namespace: str, name: str) -> dict[str, Any]:
        """What `name` means in a pod of `namespace`: one of the answers of this module's docstring."""
        name = name.lower()
        absolute = name.rstrip(".")
        if name.endswith("."):
            return self._absolute(absolute)
        search = (f"{namespace}.svc.{DOMAIN}", f"svc.{DOMAIN}", DOMAIN)
        candidates = [f"{absolute}.{domain}" for domain in search]
        order = [absolute, *candidates] if absolute.count(".") >= _NDOTS else [*candidates, absolute]
        for candidate in order:
            answer = self._absolute(candidate)
            if "missing" not in answer and "unknown" not in answer:
                return answer
        if self._means_the_cluster(namespace, absolute):
            return {"missing": True}
        return self._absolute(absolute)

    def _means_the_cluster(self, namespace: str, name: str) -> bool:
        """Whether a name that was not found is a mistaken one of the cluster: the host is not asked.

        One label, or one whose last label is ``svc``, a namespace with services, or a service of the own namespace.
        """
        _, dot, last = name.rpartition(".")
        if not dot or last == "svc" or self._services.get(namespace, last) is not None:
            return True
        return any(service["metadata"]["namespace"] == last for service in self._services.items())

    def _absolute(self, name: str) -> dict[str, Any]:
        labels = name.split(".")
        if labels[-2:] != DOMAIN.split("."):
            return {"unknown": True}
        match labels[:-2]:
            case [service, namespace, "svc"]:
                return self._service(namespace, service, "")
            case [hostname, service, namespace, "svc"]:
                return self._service(namespace, service, hostname)
            case [dashed, _, "pod"] if self._is_pod(dashed.replace("-", ".")):
                return {"addresses": [dashed.replace("-", ".")]}
        return {"missing": True}

    def _service(self, namespace: str, name: str, hostname: str) -> dict[str, Any]:
        service = self._services.get(namespace, name)
        if service is None:
            return {"missing": True}
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            return self._external(spec["externalName"])
        cluster_ip = spec.get("clusterIP")
        if cluster_ip and cluster_ip != "None":
            return {"missing": True} if hostname else {"addresses": [cluster_ip]}
        found = {
            endpoint["addresses"][0]
            for slice_ in self._slices_of(service)
            for endpoint in _ready(slice_, service)
            if not hostname or endpoint.get("hostname") == hostname
        }
        return {"addresses": random.sample(sorted(found), len(found))} if found else {"missing": True}

    def _external(self, target: str) -> dict[str, Any]:
        answer = self._absolute(target.rstrip(".").lower())
        return {"external": target} if "unknown" in answer else answer

    async def serve(self, path: Path, descriptor: int | None = None) -> None:
        """Answer on the Unix socket at `path` until `close`: on the one that listens there already, if there is."""
        if descriptor is not None:
            listener = socket.socket(fileno=os.dup(descriptor))
        else:
            _remove(path)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(str(path))
        self._listener = listener
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Connection(self), sock=listener, backlog=512)

    @property
    def descriptor(self) -> int:
        """Of the listening socket."""
        assert self._listener is not None
        return self._listener.fileno()

    async def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.close()
            self._server = self._listener = None

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to one question of a pod."""
        if "lookup" in question:
            return self.lookup(str(question["lookup"]), str(question["name"]))
        try:
            address, port = self.endpoint(str(question["address"]), int(question["port"]), str(question["connect"]))
        except ConnectionRefusedError:
            return {"error": "ECONNREFUSED"}
        return {"address": address, "port": port}


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


class _Connection(asyncio.Protocol):
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            try:
                answer = self._resolver.answer(json.loads(line))
            except (ValueError, KeyError, TypeError):
                self._transport.close()  # not one of ours
                return
            self._transport.write(json.dumps(answer).encode() + b"\n")


def _cluster_ips(service: Object) -> list[str]:
    ip = service["spec"].get("clusterIP")
    return [ip] if ip and ip != "None" else []


def _ready(slice_: Object, service: Object) -> Iterator[Object]:
    everyone = service["spec"].get("publishNotReadyAddresses", False)
    for endpoint in slice_.get("endpoints") or ():
        # An absent condition counts as ready (discovery.k8s.io/v1, EndpointConditions).
        if everyone or (endpoint.get("conditions") or {}).get("ready") is not False:
            yield endpoint

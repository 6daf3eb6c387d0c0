"""Finding the port of a gateway's service."""

from __future__ import annotations

from typing import Any

from meshdojo.backends.base import BackendNotRunning
from meshdojo.cluster.client import Client
from meshdojo.cluster.errors import StatusError

NAMESPACE = "istio-system"
# The name of the plain HTTP port in the services that Istio's installation makes.
HTTP_PORT_NAME = "http2"


async def http_port(client: Client, gateway: str) -> dict[str, Any]:
    """The service port (``port``, ``nodePort``, ...) for plain HTTP. Raises `BackendNotRunning` without the service."""
    try:
        service = await client.get("services", gateway, NAMESPACE)
    except StatusError as error:
        if error.code != 404:
            raise
        raise BackendNotRunning(
            f"there is no gateway {gateway!r} in namespace {NAMESPACE}. Install Istio with a profile that has one: "
            "istioctl install --set profile=demo -y"
        ) from error
    for port in service["spec"]["ports"]:
        if port.get("name") == HTTP_PORT_NAME:
            return dict(port)
    raise BackendNotRunning(f"the service {gateway!r} has no port named {HTTP_PORT_NAME!r}")

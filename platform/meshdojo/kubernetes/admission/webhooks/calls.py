"""Asking a webhook: an AdmissionReview over HTTPS.

Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#webhook-request-and-response
"""

from __future__ import annotations

import base64
import binascii
import random
import ssl
import uuid
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.admission.chain import Attributes
from meshdojo.kubernetes.admission.webhooks.matching import Webhook
from meshdojo.kubernetes.conversion import to_version
from meshdojo.kubernetes.endpoints import ready_endpoints
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.store import Store

if TYPE_CHECKING:
    from aiohttp import ClientSession

DEFAULT_TIMEOUT_SECONDS = 10
DEFAULT_PORT = 443
_VERSIONS = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")
_OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


class Transport(Protocol):
    """What webhooks need of the node (see `node.Node.transport`)."""

    def transport(self, address: str, port: int) -> tuple[str, int]:
        """See `kubernetes.node.Node.transport`."""
        ...


class CallError(Exception):
    """The webhook could not be asked, or did not answer as it must."""


@dataclass(frozen=True)
class Verdict:
    """What a webhook answered. `patch` is a list of JSON patch operations."""

    allowed: bool
    status: Object = field(default_factory=dict)
    patch: list[Any] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Target:
    """`connect` is the URL to really send it to; `server_name` whom the certificate must name ('': the URL's host)."""

    connect: str
    server_name: str


class Caller:
    """Asks webhooks; keeps connections open between calls."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.node: Transport | None = None
        self._session: ClientSession | None = None

    async def ask(self, webhook: Webhook, resource: Resource, attributes: Attributes) -> Verdict:
        """Ask about this request, with the object in the version of `resource`. Raises CallError."""
        config = webhook.spec["clientConfig"]
        timeout = webhook.spec.get("timeoutSeconds") or DEFAULT_TIMEOUT_SECONDS
        uid = str(uuid.uuid4())
        request = _request(uid, resource, attributes)
        review = {"kind": "AdmissionReview", "apiVersion": _version(webhook), "request": request}
        shown = f"{_shown_url(config)}?timeout={timeout}s"
        try:
            body = await self._post(self._target(config, timeout), orjson.dumps(review), config, timeout)
        except CallError as error:
            raise CallError(f'failed to call webhook: Post "{shown}": {error}') from error
        return _verdict(body, uid)

    def _target(self, config: Object, timeout: int) -> _Target:
        if "url" in config:
            return _Target(f"{config['url']}?timeout={timeout}s", "")
        service = config["service"]
        address, port = self._endpoint(service["namespace"], service["name"], service.get("port") or DEFAULT_PORT)
        path = (service.get("path") or "/").lstrip("/")
        connect = f"https://{address}:{port}/{path}?timeout={timeout}s"
        return _Target(connect, f"{service['name']}.{service['namespace']}.svc")

    def _endpoint(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        """Where a ready endpoint of the service can be reached. Raises CallError."""
        service = self._store.get("services", namespace, name)
        if service is None:
            raise CallError(f'service "{name}" not found')
        chosen = next((p for p in service["spec"].get("ports") or [] if p["port"] == port), None)
        if chosen is None:
            raise CallError(f'no service port {port} found for service "{name}"')
        endpoints = ready_endpoints(self._store, namespace, name, chosen.get("name", ""))
        if not endpoints:
            raise CallError(f'no endpoints available for service "{name}"')
        address, number = random.choice(endpoints)
        if self.node is None:
            raise CallError(f"dial tcp {address}:{number}: the node is not up yet")
        try:
            return self.node.transport(address, number)
        except ConnectionRefusedError:
            raise CallError(f"dial tcp {address}:{number}: connect: connection refused") from None

    async def _post(self, target: _Target, body: bytes, config: Object, timeout: int) -> Any:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(headers={"content-type": "application/json"})
        context = _context(config.get("caBundle", ""))
        try:
            for attempt in (1, 2):
                try:
                    return await self._post_once(target, body, context, timeout)
                except aiohttp.ServerDisconnectedError:
                    # A connection that was kept open may have been closed meanwhile.
                    if attempt == 2:
                        raise
        except TimeoutError:
            raise CallError("context deadline exceeded") from None
        except aiohttp.ClientConnectorCertificateError as error:
            words = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
            raise CallError(f"tls: failed to verify certificate: x509: {words}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise CallError(_words(error)) from None

    async def _post_once(self, target: _Target, body: bytes, context: ssl.SSLContext, timeout: int) -> Any:
        from aiohttp import ClientTimeout

        assert self._session is not None
        headers = {"host": f"{target.server_name}:{DEFAULT_PORT}"} if target.server_name else {}
        async with self._session.post(
            target.connect,
            data=body,
            headers=headers,
            ssl=context,
            server_hostname=target.server_name or None,
            timeout=ClientTimeout(total=timeout),
            allow_redirects=False,
        ) as answer:
            content = await answer.read()
            if answer.status != 200:
                words = f"the server responded with the status code {answer.status}"
                raise CallError(f"{words} but did not return more information")
            return orjson.loads(content)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


@lru_cache(maxsize=32)
def _context(bundle: str) -> ssl.SSLContext:
    """Trusts the CAs of a caBundle (base64 PEM), or the system's. Raises CallError."""
    if not bundle:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=base64.b64decode(bundle).decode())
    except (ValueError, binascii.Error, ssl.SSLError) as error:
        raise CallError(f"unable to load root certificates: {error}") from None


def _words(error: Exception) -> str:
    cause = getattr(error, "os_error", error)
    text = (getattr(cause, "strerror", "") or str(cause) or type(cause).__name__).lower()
    host, port = getattr(error, "host", ""), getattr(error, "port", "")
    where = f"dial tcp {host}:{port}: connect: " if host else ""
    return "EOF" if type(error).__name__ == "ServerDisconnectedError" else where + text


def _version(webhook: Webhook) -> str:
    known = webhook.spec.get("admissionReviewVersions") or ["v1"]
    return _VERSIONS[0] if "v1" in known else _VERSIONS[1]


def _shown_url(config: Object) -> str:
    if "url" in config:
        return str(config["url"])
    service = config["service"]
    path = (service.get("path") or "/").lstrip("/")
    return f"https://{service['name']}.{service['namespace']}.svc:{service.get('port') or DEFAULT_PORT}/{path}"


def _request(uid: str, resource: Resource, attributes: Attributes) -> Object:
    asked = attributes.resource
    namespace = attributes.name if asked.storage == "namespaces" else attributes.namespace
    request: Object = {
        "uid": uid,
        "kind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "resource": {"group": resource.group, "version": resource.version, "resource": resource.plural},
        "requestKind": {"group": asked.group, "version": asked.version, "kind": asked.kind},
        "requestResource": {"group": asked.group, "version": asked.version, "resource": asked.plural},
        "name": attributes.name,
        "namespace": namespace,
        "operation": attributes.operation,
        "userInfo": attributes.options.user.info(),
        "object": attributes.obj and to_version(attributes.obj, resource),
        "oldObject": attributes.old and to_version(attributes.old, resource),
        "dryRun": attributes.options.dry_run,
        "options": {"kind": _OPTIONS[attributes.operation], "apiVersion": "meta.k8s.io/v1"},
    }
    if attributes.subresource:
        request |= {"subResource": attributes.subresource, "requestSubResource": attributes.subresource}
    return request


def _verdict(body: Any, uid: str) -> Verdict:
    """Read an AdmissionReview. Raises CallError for one that breaks the protocol."""
    response = body.get("response") if isinstance(body, dict) else None
    if not isinstance(response, dict):
        raise CallError("webhook response was absent")
    if response.get("uid") != uid:
        raise CallError(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    patch = response.get("patch")
    if patch and response.get("patchType") != "JSONPatch":
        raise CallError(f'webhook returned invalid response.patchType of "{response.get("patchType", "")}"')
    try:
        operations = orjson.loads(base64.b64decode(patch)) if patch else []
    except (ValueError, binascii.Error, TypeError) as error:
        raise CallError(f"the patch is no JSON patch: {error}") from None
    warnings = [str(warning) for warning in response.get("warnings") or []]
    return Verdict(bool(response.get("allowed")), response.get("status") or {}, operations, warnings)

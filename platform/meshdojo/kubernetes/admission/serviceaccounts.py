"""ServiceAccount: every pod runs as one, and gets a volume with its token, the cluster's CA and its namespace.

Source: plugin/pkg/admission/serviceaccount of Kubernetes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.admission.chain import Attributes
from meshdojo.kubernetes.registry import random_suffix
from meshdojo.kubernetes.store import Store

DEFAULT = "default"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
TOKEN_SECONDS = 3607
# The default account of a new namespace is made by a controller, a moment after the namespace.
PATIENCE_SECONDS = 1.0
_MIRROR = "kubernetes.io/config.mirror"


class ServiceAccounts:
    """Admission of pods."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def mutate(self, attributes: Attributes) -> Object | None:
        """Name the account, mount its token, take over its image pull secrets."""
        pod = attributes.obj
        if pod is None or attributes.operation != "CREATE" or not _is_pod(attributes):
            return pod
        if _MIRROR in (pod["metadata"].get("annotations") or {}):
            return pod
        name = pod["spec"].get("serviceAccountName") or DEFAULT
        account = await self._account(attributes, name)
        spec: dict[str, Any] = {**pod["spec"], "serviceAccountName": name, "serviceAccount": name}
        if account.get("imagePullSecrets") and not spec.get("imagePullSecrets"):
            spec["imagePullSecrets"] = account["imagePullSecrets"]
        if _automounts(spec, account):
            spec = _with_token(spec)
        return {**pod, "spec": spec}

    async def validate(self, attributes: Attributes) -> None:
        """The account must still be there, whatever webhooks made of the pod. Raises StatusError 403."""
        pod = attributes.obj
        if pod is not None and attributes.operation == "CREATE" and _is_pod(attributes):
            name = pod["spec"].get("serviceAccountName", "")
            if name and self._store.get("serviceaccounts", attributes.namespace, name) is None:
                raise self._missing(attributes, name)

    async def _account(self, attributes: Attributes, name: str) -> Object:
        account = self._store.get("serviceaccounts", attributes.namespace, name)
        if account is None and name == DEFAULT:
            account = await self._appears(attributes.namespace)
        if account is None:
            raise self._missing(attributes, name)
        return account

    async def _appears(self, namespace: str) -> Object | None:
        watch = self._store.watch("serviceaccounts", self._store.revision)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (change := await watch.next()) is not None:
                    metadata = change.object["metadata"]
                    if (metadata["namespace"], metadata["name"]) == (namespace, DEFAULT):
                        break
        except TimeoutError:
            pass
        finally:
            watch.close()
        return self._store.get("serviceaccounts", namespace, DEFAULT)

    def _missing(self, attributes: Attributes, name: str) -> errors.StatusError:
        where = f"{attributes.namespace}/{name}"
        words = f'error looking up service account {where}: serviceaccount "{name}" not found'
        return errors.forbidden(attributes.resource, attributes.name, words)


def _is_pod(attributes: Attributes) -> bool:
    return attributes.resource.storage == "pods" and not attributes.subresource


def _automounts(spec: dict[str, Any], account: Object) -> bool:
    """The pod decides, else the account; both default to yes."""
    for owner in (spec, account):
        if owner.get("automountServiceAccountToken") is not None:
            return bool(owner["automountServiceAccountToken"])
    return True


def _with_token(spec: dict[str, Any]) -> dict[str, Any]:
    volumes = spec.get("volumes") or []
    existing = (volume["name"] for volume in volumes if volume.get("name", "").startswith(VOLUME_PREFIX))
    name = next(existing, "") or VOLUME_PREFIX + random_suffix()
    mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
    mounted = dict(spec)
    for field in ("initContainers", "containers"):
        if field in spec:
            mounted[field] = [_with_mount(container, mount) for container in spec[field]]
    if mounted != spec and not any(volume.get("name") == name for volume in volumes):
        mounted["volumes"] = [*volumes, _volume(name)]
    return mounted


def _with_mount(container: Object, mount: Object) -> Object:
    mounts = container.get("volumeMounts") or []
    if any(other.get("mountPath") == MOUNT_PATH for other in mounts):
        return container
    return {**container, "volumeMounts": [*mounts, mount]}


def _volume(name: str) -> Object:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": 0o644}}

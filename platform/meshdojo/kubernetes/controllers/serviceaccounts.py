"""What every namespace has: the ``default`` service account and the ``kube-root-ca.crt`` config map.

Source: ``k8s.io/kubernetes/pkg/controller/serviceaccount`` and ``certificates/rootcacertpublisher``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Informer, Key
from meshdojo.kubernetes.controllers.controller import Cluster, Controller, namespace_is_going

ROOT_CA = "kube-root-ca.crt"
_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


class _OnePerNamespace(Controller):
    """Makes one object in each namespace, and makes it again when it is deleted. Keys are ('', namespace)."""

    object_name: ClassVar[str]

    def __init__(self, cluster: Cluster, resource: str) -> None:
        super().__init__(cluster)
        self.namespaces = self.follow("namespaces", lambda old, new: [("", new["metadata"]["name"])] if new else [])
        self.objects: Informer = self.follow(resource, self._namespace_of)

    def _namespace_of(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        metadata = (new or old or {})["metadata"]
        return [("", metadata["namespace"])] if metadata["name"] == self.object_name else []

    def _wants(self, namespace: str) -> bool:
        found = self.namespaces.get(None, namespace)
        return found is not None and not found["metadata"].get("deletionTimestamp")

    async def _create(self, obj: Object, namespace: str) -> None:
        try:
            self.objects.observe(await self.client.create(self.objects.resource, obj, namespace))
        except StatusError as error:
            gone = error.code == 404
            if not gone and not namespace_is_going(error) and error.reason != "AlreadyExists":
                raise


class ServiceAccountController(_OnePerNamespace):
    """The default service account."""

    name = "service-account-controller"
    object_name = "default"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, "serviceaccounts")

    async def reconcile(self, key: Key) -> None:
        namespace = key[1]
        if self._wants(namespace) and self.objects.get(namespace, self.object_name) is None:
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": self.object_name}}
            await self._create(account, namespace)


class RootCAPublisher(_OnePerNamespace):
    """The CA of the API server, for pods. Undoes changes, too."""

    name = "root-ca-certificate-publisher-controller"
    object_name = ROOT_CA

    def __init__(self, cluster: Cluster, ca: str) -> None:
        super().__init__(cluster, "configmaps")
        self._data = {"ca.crt": ca}

    async def reconcile(self, key: Key) -> None:
        namespace = key[1]
        if not self._wants(namespace):
            return
        current = self.objects.get(namespace, self.object_name)
        if current is None:
            await self._create(self._config_map(), namespace)
        elif current.get("data") != self._data and not current["metadata"].get("deletionTimestamp"):
            await self.write(self.objects, {**current, "data": self._data})

    def _config_map(self) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": ROOT_CA, "annotations": {"kubernetes.io/description": _DESCRIPTION}},
            "data": self._data,
        }

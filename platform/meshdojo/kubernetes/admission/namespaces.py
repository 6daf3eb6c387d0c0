"""NamespaceLifecycle: no new content where there is no namespace or it is on its way out."""

from __future__ import annotations

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.admission.chain import Attributes
from meshdojo.kubernetes.resources import Catalogue
from meshdojo.kubernetes.store import Store

IMMORTAL = ("default", "kube-system", "kube-public")


class NamespaceLifecycle:
    """Source: k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._store = store
        resource = catalogue.find("", "v1", "namespaces")
        assert resource is not None
        self._namespaces = resource

    async def mutate(self, attributes: Attributes) -> Object | None:
        """Refuses before anything else looks at the object."""
        if attributes.resource.storage == "namespaces":
            self._check_deletion(attributes)
        elif attributes.namespace and attributes.operation == "CREATE":
            self._check_creation(attributes)
        return attributes.obj

    async def validate(self, attributes: Attributes) -> None:
        """Nothing: `mutate` has judged it."""

    def _check_deletion(self, attributes: Attributes) -> None:
        if attributes.operation == "DELETE" and attributes.name in IMMORTAL:
            raise errors.forbidden(self._namespaces, attributes.name, "this namespace may not be deleted")

    def _check_creation(self, attributes: Attributes) -> None:
        namespace = self._store.get("namespaces", "", attributes.namespace)
        if namespace is None:
            raise errors.not_found(self._namespaces, attributes.namespace)
        if "deletionTimestamp" in namespace["metadata"]:
            raise errors.namespace_terminating(attributes.resource, attributes.name, attributes.namespace)

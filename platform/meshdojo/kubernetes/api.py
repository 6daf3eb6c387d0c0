"""The Kubernetes API in process: what the HTTP server serves, and what controllers and the kubelet use directly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from meshdojo.cluster.client import Object, ObjectList, PatchType, Propagation, WatchEvent
from meshdojo.kubernetes import crds, errors
from meshdojo.kubernetes.admission.chain import Chain
from meshdojo.kubernetes.admission.idle import IdleKinds
from meshdojo.kubernetes.admission.limits import LimitRanger
from meshdojo.kubernetes.admission.namespaces import NamespaceLifecycle
from meshdojo.kubernetes.admission.pods import PodDefaults
from meshdojo.kubernetes.admission.quota import Quotas
from meshdojo.kubernetes.admission.rbac import Escalation
from meshdojo.kubernetes.admission.serviceaccounts import ServiceAccounts
from meshdojo.kubernetes.admission.storage import StorageObjects
from meshdojo.kubernetes.admission.webhooks.calls import Caller, Transport
from meshdojo.kubernetes.admission.webhooks.plugins import MutatingWebhooks, ValidatingWebhooks
from meshdojo.kubernetes.allocator import Allocator
from meshdojo.kubernetes.auth.authentication import Authenticator
from meshdojo.kubernetes.auth.authorization import Authorizer
from meshdojo.kubernetes.auth.rbac import RBAC
from meshdojo.kubernetes.auth.reviews import Reviews
from meshdojo.kubernetes.auth.tokens import TokenSigner
from meshdojo.kubernetes.deletion import Deleter
from meshdojo.kubernetes.patches.apply import Application
from meshdojo.kubernetes.patches.patch import Patching
from meshdojo.kubernetes.registry import Registry
from meshdojo.kubernetes.requests import DeleteOptions, Options, User
from meshdojo.kubernetes.resources import REVIEW_VERBS, Catalogue, Resource
from meshdojo.kubernetes.schema import Undecodable, decode
from meshdojo.kubernetes.store import Store
from meshdojo.kubernetes.strategies.registry import Strategies
from meshdojo.kubernetes.subresources import Subresources
from meshdojo.kubernetes.watching import Watcher
from meshdojo.network import Block


class Api:
    """Implements `cluster.client.Client`. Every write takes the same way, whether it comes over HTTP or from here.

    `options` says who asks and how (dry run, field validation, warnings); in process it may be left out.
    """

    def __init__(
        self,
        store: Store,
        block: Block,
        *,
        signer: TokenSigner | None = None,
        tokens: Mapping[str, User] | None = None,
        authorizer: Authorizer | None = None,
    ) -> None:
        """`signer` makes and verifies the tokens of service accounts; without one they end with the process.

        `tokens` are static bearer tokens and whose they are. `authorizer` decides about requests over HTTP in place of
        roles and bindings.
        """
        self.store = store
        self.signer = signer or TokenSigner()
        self.catalogue = Catalogue.builtin()
        self.block = block
        self.authenticator = Authenticator(store, self.signer, tokens or {})
        rbac = RBAC(store)
        self.authorizer = authorizer or rbac
        self.reviews = Reviews(self.authenticator, self.authorizer, rbac)
        self._caller = Caller(store)
        self.quotas = Quotas(store, self.catalogue)
        self.admission = Chain(
            plugins=[
                NamespaceLifecycle(store, self.catalogue),
                ServiceAccounts(store),
                PodDefaults(store),
                LimitRanger(store),
                StorageObjects(store),
                IdleKinds(),
                Escalation(rbac, self.authorizer),
            ],
            webhooks=[
                MutatingWebhooks(store, self.catalogue, self._caller),
                ValidatingWebhooks(store, self.catalogue, self._caller),
            ],
            last=[self.quotas],
        )
        strategies = Strategies(Allocator(store, block), lambda: store.list(crds.STORAGE))
        self.registry = Registry(store, self.catalogue, strategies, self.admission)
        self.deleter = Deleter(self.registry)
        self.crds = crds.CustomResourceDefinitions(store, self.catalogue)
        self.subresources = Subresources(self.registry, self.deleter, self.signer)

    def use_node(self, node: Transport) -> None:
        """Reach admission webhooks through this node. Before, calling one fails."""
        self._caller.node = node

    async def close(self) -> None:
        """End the watches, close the connections to webhooks and the journal."""
        await self._caller.close()
        self.store.close()

    def resource(self, name: str | Resource) -> Resource:
        """The resource with this name (``pods``, ``deployments.apps``). Raises StatusError 404."""
        found = name if isinstance(name, Resource) else self.catalogue.by_name(name)
        if found is None:
            raise errors.unknown_resource()
        return found

    async def get(
        self, resource: str | Resource, name: str, namespace: str | None = None, *, subresource: str = ""
    ) -> Object:
        """The object. Raises StatusError 404."""
        resource = self.resource(resource)
        if subresource not in ("", "status"):
            return self.subresources.get(resource, name, namespace or "", subresource)
        return self.registry.get(resource, name, namespace or "")

    async def list(
        self, resource: str | Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> ObjectList:
        """The objects in order of namespace and name. Raises StatusError 400 for a wrong selector."""
        return self.registry.list(self.resource(resource), namespace, labels, fields)

    async def create(
        self,
        resource: str | Resource,
        obj: Object,
        namespace: str | None = None,
        *,
        subresource: str = "",
        name: str = "",
        options: Options | None = None,
    ) -> Object:
        """Create the object, or POST to a subresource of the object `name`."""
        resource = self.resource(resource)
        options = options or Options()
        if resource.verbs == REVIEW_VERBS:
            return self._review(resource, obj, options)
        if subresource:
            return await self.subresources.create(resource, name, namespace or "", subresource, obj, options)
        return await self.registry.create(resource, obj, namespace or "", options)

    def _review(self, resource: Resource, review: Object, options: Options) -> Object:
        review = {**review, "apiVersion": resource.api_version, "kind": resource.kind}
        review, warnings = decode(resource, review, field_validation=options.field_validation)
        options.warnings.extend(warnings)
        return self.reviews.answer(resource, review, options.user)

    async def update(
        self,
        resource: str | Resource,
        obj: Object,
        namespace: str | None = None,
        *,
        subresource: str = "",
        name: str = "",
        options: Options | None = None,
    ) -> Object:
        """PUT. `name` and `namespace` are those in the URL; in process, without a name, the object's own."""
        resource = self.resource(resource)
        options = options or Options()
        if not name:
            metadata = obj["metadata"]
            name, namespace = metadata["name"], namespace or metadata.get("namespace")
        namespace = namespace or ""
        if subresource not in ("", "status"):
            return await self.subresources.update(resource, name, namespace, subresource, lambda _: obj, options)
        return await self._put(resource, name, namespace, obj, options, subresource)

    async def _put(
        self, resource: Resource, name: str, namespace: str, obj: Object, options: Options, subresource: str
    ) -> Object:
        missing = self.store.get(resource.storage, namespace, name) is None
        if missing and not subresource and self.registry.strategies.of(resource).create_on_update:
            return await self.registry.create(resource, obj, namespace, options)
        return await self.registry.update(resource, name, namespace, lambda _: obj, options, subresource=subresource)

    async def patch(
        self,
        resource: str | Resource,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        type: PatchType = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
        options: Options | None = None,
    ) -> Object:
        """PATCH. Tried again when another write came in between, unless the patch names a resourceVersion."""
        resource = self.resource(resource)
        options = options or Options(field_manager=field_manager, force=force)
        namespace = namespace or ""
        if type == "apply":
            return await self._apply(resource, name, patch, namespace, subresource, options)
        modify = Patching(resource, type, patch)
        try:
            if subresource not in ("", "status"):
                return await self.subresources.update(resource, name, namespace, subresource, modify, options)
            return await self.registry.update(resource, name, namespace, modify, options, subresource=subresource)
        except Undecodable as error:
            raise modify.refusal(error) from None

    async def _apply(
        self, resource: Resource, name: str, config: Any, namespace: str, subresource: str, options: Options
    ) -> Object:
        """Server-side apply. What it changes is recorded by the application itself."""
        manager, options = options.field_manager, replace(options, field_manager="")
        application = Application(resource, config, name, namespace, manager, options.force, subresource)
        while True:
            try:
                if subresource or self.store.get(resource.storage, namespace, name) is not None:
                    return await self.registry.update(
                        resource, name, namespace, application.applied, options, subresource=subresource
                    )
                return await self.registry.create(resource, application.created(), namespace, options)
            except errors.StatusError as error:
                # Another request created or deleted it just now.
                if subresource or error.reason not in ("AlreadyExists", "NotFound"):
                    raise
                if error.reason == "NotFound" and (error.details or {}).get("kind") != resource.plural:
                    raise

    async def delete(
        self,
        resource: str | Resource,
        name: str,
        namespace: str | None = None,
        *,
        propagation: Propagation | None = None,
        grace_seconds: int | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        options: Options | None = None,
    ) -> Object:
        """Delete, or begin to: the object when it still exists (always for pods), else a Status."""
        how = DeleteOptions(propagation, grace_seconds, uid, resource_version)
        resource, options = self.resource(resource), options or Options()
        deleted = await self.deleter.delete(resource, name, namespace or "", how, options)
        if resource.storage == crds.STORAGE and not options.dry_run:
            await self.crds.empty(name, self.deleter, Options())
        return deleted

    async def delete_collection(
        self,
        resource: str | Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        how: DeleteOptions | None = None,
        options: Options | None = None,
    ) -> ObjectList:
        """Delete everything that the selectors match; returns what it was."""
        doomed = self.registry.list(self.resource(resource), namespace, labels, fields)
        for obj in doomed.items:
            await self._delete_if_there(self.resource(resource), obj, how or DeleteOptions(), options or Options())
            # Nothing of it waits for anything: without a pause thousands would keep all others waiting.
            await asyncio.sleep(0)
        return doomed

    async def _delete_if_there(self, resource: Resource, obj: Object, how: DeleteOptions, options: Options) -> None:
        metadata = obj["metadata"]
        try:
            await self.delete(
                resource,
                metadata["name"],
                metadata.get("namespace"),
                propagation=how.propagation,
                grace_seconds=how.grace_seconds,
                uid=how.uid or metadata["uid"],
                options=options,
            )
        except errors.StatusError as error:
            if error.code != errors.NOT_FOUND:
                raise

    def watcher(
        self,
        resource: str | Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        since: str | None = None,
    ) -> Watcher:
        """A watch to take events from one by one. Raises StatusError 400, 410, 504."""
        revision = None if since is None else parse_revision(since)
        if revision is not None and revision > self.store.revision:
            raise errors.too_large(revision, self.store.revision)
        return Watcher(self.store, self.resource(resource), namespace, labels=labels, fields=fields, since=revision)

    async def watch(
        self,
        resource: str | Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        since: str | None = None,
    ) -> AsyncIterator[WatchEvent]:
        """Events, without end until closed."""
        watcher = self.watcher(resource, namespace, labels=labels, fields=fields, since=since)
        try:
            while not watcher.ended:
                event = await watcher.next()
                if event is not None:
                    yield event
        finally:
            watcher.close()


def parse_revision(text: str, prefix: str = "") -> int:
    """A resourceVersion as the number it is. Raises StatusError 400, with `prefix` before the reason."""
    if not text.isascii() or not text.isdecimal():
        message = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise errors.bad_request(prefix + message)
    return int(text)

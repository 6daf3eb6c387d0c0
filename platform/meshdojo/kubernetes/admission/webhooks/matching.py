"""Which webhooks see a request.

Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.admission.chain import Attributes
from meshdojo.kubernetes.resources import Catalogue, Resource
from meshdojo.kubernetes.schema.engine import engine, with_functions
from meshdojo.kubernetes.selectors import LabelSelector
from meshdojo.kubernetes.store import Store

# Webhooks cannot keep anyone from repairing webhooks.
_EXEMPT_GROUP = "admissionregistration.k8s.io"


@dataclass(frozen=True)
class Webhook:
    """One webhook of one configuration."""

    configuration: str
    spec: Object

    @property
    def name(self) -> str:
        """Its name, as refusals say it."""
        return str(self.spec["name"])

    @property
    def fails_closed(self) -> bool:
        """Whether a request is refused when the webhook cannot be asked."""
        return str(self.spec.get("failurePolicy", "Fail")) == "Fail"


class ConditionError(Exception):
    """A match condition cannot be evaluated."""


class Matcher:
    """Decides which webhooks of a kind (mutating or validating) a request goes to."""

    def __init__(self, store: Store, catalogue: Catalogue, storage: str) -> None:
        self._store = store
        self._catalogue = catalogue
        self._storage = storage

    def candidates(self) -> list[Webhook]:
        """Every webhook, in order of its configuration's name."""
        return [
            Webhook(configuration["metadata"]["name"], spec)
            for configuration in self._store.list(self._storage)
            for spec in configuration.get("webhooks") or []
        ]

    def match(self, webhook: Webhook, attributes: Attributes) -> Resource | None:
        """The version of the resource in which the webhook wants the object; None when it is not concerned.

        Raises ConditionError.
        """
        if attributes.resource.group == _EXEMPT_GROUP:
            return None
        resource = self._by_rules(webhook, attributes)
        if resource is None or not self._selects(webhook, attributes):
            return None
        return resource if all(_holds(c, attributes) for c in webhook.spec.get("matchConditions") or []) else None

    def _by_rules(self, webhook: Webhook, attributes: Attributes) -> Resource | None:
        """The resource as asked for, else an equivalent version that a rule names."""
        versions = [attributes.resource]
        if webhook.spec.get("matchPolicy", "Equivalent") == "Equivalent":
            versions += self._catalogue.versions_of(attributes.resource.group, attributes.resource.plural)
        for resource in versions:
            if any(_rule_matches(rule, resource, attributes) for rule in webhook.spec.get("rules") or []):
                return resource
        return None

    def _selects(self, webhook: Webhook, attributes: Attributes) -> bool:
        objects = [obj for obj in (attributes.obj, attributes.old) if obj is not None]
        selector = LabelSelector.from_object(webhook.spec.get("objectSelector"))
        if not any(selector.matches(obj) for obj in objects):
            return False
        labels = self._namespace_labels(attributes, objects)
        return labels is None or LabelSelector.from_object(webhook.spec.get("namespaceSelector")).matches_labels(labels)

    def _namespace_labels(self, attributes: Attributes, objects: list[Object]) -> dict[str, str] | None:
        """The labels of the object's namespace (of the namespace itself); None for what is in no namespace."""
        if attributes.resource.storage == "namespaces":
            return objects[0]["metadata"].get("labels") or {}
        if not attributes.namespace:
            return None
        namespace = self._store.get("namespaces", "", attributes.namespace)
        return ((namespace or {}).get("metadata") or {}).get("labels") or {}


def _rule_matches(rule: Object, resource: Resource, attributes: Attributes) -> bool:
    return (
        _includes(rule.get("operations"), attributes.operation)
        and _includes(rule.get("apiGroups"), resource.group)
        and _includes(rule.get("apiVersions"), resource.version)
        and rule.get("scope", "*") in ("*", "Namespaced" if resource.namespaced else "Cluster")
        and any(_resource_matches(r, resource.plural, attributes.subresource) for r in rule.get("resources") or [])
    )


def _includes(allowed: list[str] | None, value: str) -> bool:
    return allowed is not None and ("*" in allowed or value in allowed)


def _resource_matches(pattern: str, plural: str, subresource: str) -> bool:
    """``pods``, ``pods/status``, ``pods/*``, ``*`` (no subresources), ``*/*``, ``*/scale``."""
    wanted, slash, below = pattern.partition("/")
    if wanted not in ("*", plural):
        return False
    return below in ("*", subresource) if slash else not subresource


def _holds(condition: Object, attributes: Attributes) -> bool:
    request = {
        "operation": attributes.operation,
        "name": attributes.name,
        "namespace": attributes.namespace,
        "subResource": attributes.subresource,
        "userInfo": attributes.options.user.info(),
        "dryRun": attributes.options.dry_run,
        "kind": {
            "group": attributes.resource.group,
            "version": attributes.resource.version,
            "kind": attributes.resource.kind,
        },
    }
    variables = {"object": attributes.obj, "oldObject": attributes.old, "request": request}
    context = with_functions(engine().Context(variables=variables))
    try:
        return _program(condition["expression"]).execute(context) is True
    except Exception as error:
        raise ConditionError(f"expression '{condition['expression']}' resulted in error: {error}") from error


@lru_cache(maxsize=256)
def _program(expression: str) -> Any:
    return engine().compile(expression)

"""Nobody grants more than they have: what may be in a role, and which role may be bound.

The real API server judges this in the storage of the RBAC kinds. Sources: pkg/registry/rbac/role/policybased,
rolebinding/policybased and escalation_check.go.
"""

from __future__ import annotations

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.admission.chain import Attributes
from meshdojo.kubernetes.auth.authorization import Access, Authorizer
from meshdojo.kubernetes.auth.rbac import GROUP, MASTERS, RBAC, groups_shown, shown, uncovered

_FULL = (
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
)
_AGGREGATED = "must have cluster-admin privileges to use the aggregationRule"


class Escalation:
    """Refuses roles and bindings that give more than their author has."""

    def __init__(self, rbac: RBAC, authorizer: Authorizer) -> None:
        self._rbac = rbac
        self._authorizer = authorizer

    async def mutate(self, attributes: Attributes) -> Object | None:
        """Changes nothing."""
        return attributes.obj

    async def validate(self, attributes: Attributes) -> None:
        """Raises StatusError 403, and 404 for a role that does not exist (as the real one does: of the binding)."""
        resource = attributes.resource
        if resource.group != GROUP or attributes.obj is None or MASTERS in attributes.options.user.groups:
            return
        if resource.plural in ("roles", "clusterroles"):
            self._check_role(attributes, attributes.obj)
        else:
            self._check_binding(attributes, attributes.obj)

    def _check_role(self, attributes: Attributes, role: Object) -> None:
        old = attributes.old or {}
        if role.get("rules") == old.get("rules") and role.get("aggregationRule") == old.get("aggregationRule"):
            return
        if self._may("escalate", attributes, attributes.resource.plural, attributes.name):
            return
        namespace = attributes.namespace
        if role.get("aggregationRule") and self._refusal(attributes, list(_FULL), namespace):
            raise errors.forbidden(attributes.resource, attributes.name, _AGGREGATED)
        self._confirm(attributes, role.get("rules") or [], namespace)

    def _check_binding(self, attributes: Attributes, binding: Object) -> None:
        old = attributes.old or {}
        reference = binding["roleRef"]
        if (reference, binding.get("subjects")) == (old.get("roleRef"), old.get("subjects")):
            return
        plural = f"{reference['kind'].lower()}s"
        if self._may("bind", attributes, plural, reference["name"]):
            return
        rules = self._rbac.role_rules(reference, attributes.namespace)
        if rules is None:
            raise errors.not_found(attributes.resource, reference["name"])
        self._confirm(attributes, rules, attributes.namespace)

    def _may(self, verb: str, attributes: Attributes, plural: str, name: str) -> bool:
        user = attributes.options.user
        return self._authorizer.authorize(Access(user, verb, GROUP, plural, "", attributes.namespace, name)).allowed

    def _confirm(self, attributes: Attributes, rules: list[Object], namespace: str) -> None:
        refusal = self._refusal(attributes, rules, namespace)
        if refusal:
            raise errors.forbidden(attributes.resource, attributes.name, refusal)

    def _refusal(self, attributes: Attributes, rules: list[Object], namespace: str) -> str:
        user = attributes.options.user
        owned, problems = self._rbac.rules(user, namespace)
        missing = uncovered(owned, rules)
        if not missing:
            return ""
        words = f'user "{user.name}" (groups={groups_shown(user)}) is attempting to grant RBAC permissions not '
        words += "currently held:\n" + "\n".join(shown(missing))
        return f"{words}; resolution errors: [{', '.join(problems)}]" if problems else words

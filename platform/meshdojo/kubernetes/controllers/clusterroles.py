"""Aggregated cluster roles: their rules are those of all cluster roles that their selectors match.

Source: pkg/controller/clusterroleaggregation.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshdojo.cluster.client import Object
from meshdojo.cluster.informer import Key
from meshdojo.kubernetes.controllers.controller import Cluster, Controller
from meshdojo.kubernetes.selectors import LabelSelector


class ClusterRoleAggregation(Controller):
    """Keeps the rules of each cluster role with an aggregationRule."""

    name = "clusterrole-aggregation-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.roles = self.follow("clusterroles.rbac.authorization.k8s.io", self._aggregated)

    def _aggregated(self, _old: Object | None, _new: Object | None) -> Iterable[Key]:
        """Any change may concern every one that aggregates; there are few."""
        return [("", role["metadata"]["name"]) for role in self.roles.items() if role.get("aggregationRule")]

    async def reconcile(self, key: Key) -> None:
        role = self.roles.get(None, key[1])
        if role is None or not role.get("aggregationRule"):
            return
        rules = self._rules(role)
        if rules != (role.get("rules") or []):
            await self.write(self.roles, {**role, "rules": rules})

    def _rules(self, role: Object) -> list[Object]:
        rules: list[Object] = []
        for selector in map(LabelSelector.from_object, role["aggregationRule"].get("clusterRoleSelectors") or ()):
            for other in sorted(self.roles.items(), key=lambda one: str(one["metadata"]["name"])):
                if other["metadata"]["name"] == role["metadata"]["name"]:
                    continue
                if selector.matches(other):
                    rules += [rule for rule in other.get("rules") or () if rule not in rules]
        return rules

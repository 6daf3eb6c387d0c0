"""Says of kinds that are stored here, and that nothing acts on, that it is so: nobody should wait for an effect.

A real cluster is silent about them, too, when the add-on is missing that would act. Here they are always missing.
"""

from __future__ import annotations

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.admission.chain import Attributes

WORDS = {
    "horizontalpodautoscalers.autoscaling": "this cluster has no autoscaler: the HorizontalPodAutoscaler is stored, "
    "and scales nothing; use kubectl scale",
    "ingresses.networking.k8s.io": "this cluster has no ingress controller: the Ingress is stored, and leads nowhere; "
    "use a Gateway and a VirtualService",
    "networkpolicies.networking.k8s.io": "this cluster enforces no network policies: the NetworkPolicy is stored, and "
    "keeps nothing away; use an AuthorizationPolicy",
}


class IdleKinds:
    """Warns whoever creates one."""

    async def mutate(self, attributes: Attributes) -> Object | None:
        """Nothing to change."""
        return attributes.obj

    async def validate(self, attributes: Attributes) -> None:
        """Nothing to refuse."""
        words = WORDS.get(attributes.resource.storage)
        if words and attributes.operation == "CREATE":
            attributes.options.warnings.append(words)

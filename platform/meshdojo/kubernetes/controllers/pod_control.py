"""Creating and deleting the pods of a workload, with the events that tell of it.

Source: ``k8s.io/kubernetes/pkg/controller/controller_utils.go`` (RealPodControl).
"""

from __future__ import annotations

from dataclasses import dataclass

from meshdojo.cluster.client import Client, Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Informer
from meshdojo.kubernetes.controllers import owners
from meshdojo.kubernetes.controllers.controller import namespace_is_going
from meshdojo.kubernetes.controllers.events import Recorder

BURST = 500
"""So many pods a controller makes or deletes before it looks at everything again."""


@dataclass(frozen=True)
class PodControl:
    """Writes pods in the name of one controller."""

    client: Client
    pods: Informer
    recorder: Recorder

    async def create(self, owner: Object, pod: Object | None = None) -> StatusError | None:
        """Create a pod from the owner's template (or the one given); the API's refusal if it refused.

        A refusal because the namespace is going away is none.
        """
        wanted = pod or pod_from_template(owner)
        try:
            made = await self.client.create("pods", wanted, owner["metadata"]["namespace"])
        except StatusError as error:
            if namespace_is_going(error):
                return None
            self.recorder.warning(owner, "FailedCreate", f"Error creating: {error.message}")
            return error
        self.pods.observe(made)
        self.recorder.normal(owner, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")
        return None

    async def delete(self, owner: Object, pod: Object) -> bool:
        """Begin to stop a pod; False if it is gone already. Raises StatusError when the API refuses."""
        metadata = pod["metadata"]
        try:
            answer = await self.client.delete("pods", metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except StatusError as error:
            if error.code in (404, 409):  # gone already, or another of the same name
                return False
            self.recorder.warning(owner, "FailedDelete", f"Error deleting: {error.message}")
            raise
        if answer.get("kind") == "Pod" and answer["metadata"].get("deletionTimestamp"):
            self.pods.observe(answer)
        self.recorder.normal(owner, "SuccessfulDelete", f"Deleted pod: {metadata['name']}")
        return True


def pod_from_template(owner: Object) -> Object:
    """The pod that a workload's `spec.template` describes, controlled by that workload; the API completes its name."""
    template = owner["spec"]["template"]
    metadata = template.get("metadata") or {}
    kept = {name: metadata[name] for name in ("labels", "annotations", "finalizers") if metadata.get(name)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{owner['metadata']['name']}-",
            **kept,
            "ownerReferences": [owners.controller_reference(owner)],
        },
        "spec": template["spec"],
    }

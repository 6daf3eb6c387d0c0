"""Deployments: roll from one pod template to the next by sizing replica sets.

The steps of a sync; what to size how is decided in `rollouts`, which set holds which template in `revisions`, what the
status says in `deployment_status`. Source: ``k8s.io/kubernetes/pkg/controller/deployment``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Key, key_of
from meshdojo.kubernetes.controllers import deployment_status, owners, pod_status, revisions, rollouts
from meshdojo.kubernetes.controllers.controller import Cluster, Controller, itself, namespace_is_going
from meshdojo.kubernetes.selectors import LabelSelector

DEFAULT_HISTORY = 10


@dataclass(frozen=True)
class Rollout:
    """A deployment (its status as it will be written) and its replica sets: one with its template, and older ones."""

    deployment: Object
    newest: Object | None
    old: tuple[Object, ...]

    @property
    def sets(self) -> list[Object]:
        """All replica sets, the newest last."""
        return [*self.old, *([self.newest] if self.newest else [])]

    @property
    def is_recreate(self) -> bool:
        """Whether old pods must be gone before new ones start."""
        return (self.deployment["spec"].get("strategy") or {}).get("type") == "Recreate"

    def with_condition(self, value: str, reason: str, message: str) -> Rollout:
        """With the condition Progressing, if this deployment has a progress deadline (without one it has none)."""
        if not deployment_status.has_deadline(self.deployment):
            return self
        before = self.deployment.get("status") or {}
        status = deployment_status.with_condition(before, "Progressing", value, reason, message)
        return replace(self, deployment={**self.deployment, "status": status})

    def with_set(self, changed: Object) -> Rollout:
        """With a replica set as it has just been written."""
        uid = changed["metadata"]["uid"]
        if self.newest and self.newest["metadata"]["uid"] == uid:
            return replace(self, newest=changed)
        return replace(self, old=tuple(changed if one["metadata"]["uid"] == uid else one for one in self.old))


class DeploymentController(Controller):
    """Creates replica sets and sizes them."""

    name = "deployment-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.deployments = self.follow("deployments.apps", itself)
        self.sets = self.follow("replicasets.apps", self._owners_of_set)
        self.pods = self.follow("pods", self._recreating)
        owners.index(self.sets)
        owners.index(self.pods)

    async def reconcile(self, key: Key) -> None:
        deployment = self.deployments.get(*key)
        if deployment is None:
            return
        selector = LabelSelector.from_object(deployment["spec"]["selector"])
        if not selector.requirements:
            words = "This deployment is selecting all pods. A non-empty selector is required."
            self.recorder.warning(deployment, "SelectingAll", words)
            return
        sets = await owners.claim(self.client, deployment, self.sets, selector)
        newest = revisions.newest(deployment, sets)
        old = tuple(one for one in sets if one is not newest)
        await self._sync(_note_pause(Rollout(deployment, newest, old)))
        self._watch_deadline(key)

    def _owners_of_set(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        keys: dict[Key, None] = {}
        for one in (old, new):
            owner = owners.controller_of(one) if one else None
            if one and owner and owner["kind"] == "Deployment":
                keys[one["metadata"]["namespace"], owner["name"]] = None
        if new and owners.controller_of(new) is None:
            for deployment in self.deployments.items(new["metadata"]["namespace"]):
                if LabelSelector.from_object(deployment["spec"]["selector"]).matches(new):
                    keys[key_of(deployment)] = None
        return keys

    def _recreating(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """Deployments that wait for their last old pod to be gone."""
        owner = owners.controller_of(old) if old and new is None else None
        if not old or not owner or owner["kind"] != "ReplicaSet":
            return
        replica_set = self.sets.get(old["metadata"]["namespace"], owner["name"])
        above = owners.controller_of(replica_set) if replica_set else None
        deployment = self.deployments.get(old["metadata"]["namespace"], above["name"]) if above else None
        if deployment and (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
            yield key_of(deployment)

    async def _sync(self, rollout: Rollout) -> None:
        deployment = rollout.deployment
        if deployment["metadata"].get("deletionTimestamp"):
            status = deployment_status.counted(deployment, rollout.newest, rollout.sets)
            await self._write(rollout, status)
        elif deployment["spec"].get("paused") or rollouts.is_scaling(deployment, rollout.sets):
            await self._scale(rollout)
        elif rollout.is_recreate:
            await self._recreate(rollout)
        else:
            await self._roll(rollout)

    async def _scale(self, rollout: Rollout) -> None:
        if rollout.newest is not None:
            rollout = await self._number(rollout, rollout.newest)
        sizes = rollouts.scaled(rollout.deployment, rollout.newest, rollout.old)
        rollout = await self._resize(rollout, sizes)
        if rollout.deployment["spec"].get("paused"):
            await self._forget_old(rollout)
        status = deployment_status.counted(rollout.deployment, rollout.newest, rollout.sets)
        await self._write(rollout, status)

    async def _roll(self, rollout: Rollout) -> None:
        rollout = await self._with_newest(rollout)
        if rollout.newest is not None:
            size = rollouts.new_size(rollout.deployment, rollout.sets, rollouts.wanted(rollout.newest))
            sizes = {rollout.newest["metadata"]["name"]: size}
            if size == rollouts.wanted(rollout.newest):
                sizes = rollouts.old_sizes(rollout.deployment, rollout.newest, rollout.old)
            rollout = await self._resize(rollout, sizes)
        await self._finish(rollout)

    async def _recreate(self, rollout: Rollout) -> None:
        if having := rollouts.active(rollout.old):
            rollout = await self._resize(rollout, {one["metadata"]["name"]: 0 for one in having})
        elif not self._old_pods_run(rollout.old):
            rollout = await self._with_newest(rollout)
            if rollout.newest is not None:
                size = rollouts.wanted(rollout.deployment)
                rollout = await self._resize(rollout, {rollout.newest["metadata"]["name"]: size})
        await self._finish(rollout)

    def _old_pods_run(self, old: Sequence[Object]) -> bool:
        pods = (pod for one in old for pod in self.pods.indexed(owners.BY_OWNER, one["metadata"]["uid"]))
        return any(not pod_status.is_terminal(pod) for pod in pods)

    async def _finish(self, rollout: Rollout) -> None:
        status = deployment_status.progressed(rollout.deployment, rollout.newest, rollout.sets)
        if deployment_status.is_complete(rollout.deployment, status):
            await self._forget_old(rollout)
        await self._write(rollout, status)

    async def _with_newest(self, rollout: Rollout) -> Rollout:
        """The rollout with a replica set for the deployment's template, made if there is none."""
        if rollout.newest is None:
            return await self._make_newest(rollout)
        name = rollout.newest["metadata"]["name"]
        rollout = await self._number(rollout, rollout.newest)
        if deployment_status.condition(rollout.deployment.get("status") or {}, "Progressing") is None:
            words = f'Found new replica set "{name}"'
            rollout = rollout.with_condition("True", "FoundNewReplicaSet", words)
        return rollout

    async def _number(self, rollout: Rollout, newest: Object) -> Rollout:
        """Give the newest replica set the highest revision number, and the deployment the same."""
        wanted = revisions.annotations_for(rollout.deployment, newest, _next_revision(rollout.old))
        changed = revisions.with_annotations(newest, wanted)
        wait = rollout.deployment["spec"].get("minReadySeconds", 0)
        if changed["spec"].get("minReadySeconds", 0) != wait:
            changed = {**changed, "spec": {**changed["spec"], "minReadySeconds": wait}}
        if changed is not newest:
            rollout = rollout.with_set(await self.write(self.sets, changed))
        return await self._show_revision(rollout, revisions.annotation(changed, revisions.REVISION))

    async def _show_revision(self, rollout: Rollout, revision: str) -> Rollout:
        """Write the revision through the status: as a change of metadata it would be a new generation."""
        deployment = rollout.deployment
        changed = revisions.with_annotations(deployment, {revisions.REVISION: revision})
        if changed is deployment:
            return rollout
        namespace = deployment["metadata"]["namespace"]
        written = await self.client.update("deployments.apps", changed, namespace, subresource="status")
        self.deployments.observe(written)
        return replace(rollout, deployment=written)

    async def _make_newest(self, rollout: Rollout) -> Rollout:
        deployment = rollout.deployment
        revision = _next_revision(rollout.old)
        new = revisions.replica_set_for(deployment, revision)
        new["metadata"]["ownerReferences"] = [owners.controller_reference(deployment)]
        size = rollouts.new_size(deployment, [*rollout.old, new], 0)
        surge = rollouts.limits(deployment).surge
        new["spec"]["replicas"] = size
        new["metadata"]["annotations"] |= revisions.replica_annotations(rollouts.wanted(deployment), surge)
        try:
            made = await self.client.create("replicasets.apps", new, deployment["metadata"]["namespace"])
        except StatusError as error:
            return await self._not_made(rollout, new, error)
        self.sets.observe(made)
        name = made["metadata"]["name"]
        if size:
            self._tell_scaled(deployment, name, 0, size)
        rollout = replace(rollout, newest=made)
        rollout = rollout.with_condition("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')
        return await self._show_revision(rollout, str(revision))

    async def _not_made(self, rollout: Rollout, new: Object, error: StatusError) -> Rollout:
        """The API refused the new replica set: another has its name, or it is not allowed."""
        name = new["metadata"]["name"]
        if error.reason == "AlreadyExists":
            namespace = rollout.deployment["metadata"]["namespace"]
            existing = await self.client.get("replicasets.apps", name, namespace)
            return await self._collided(rollout, existing, error)
        if namespace_is_going(error):
            raise error
        words = f'Failed to create new replica set "{name}": {error.message}'
        self.recorder.warning(rollout.deployment, "ReplicaSetCreateError", words)
        rollout = rollout.with_condition("False", "ReplicaSetCreateError", error.message)
        await self._write(rollout, rollout.deployment["status"])
        raise error

    async def _collided(self, rollout: Rollout, existing: Object, error: StatusError) -> Rollout:
        deployment = rollout.deployment
        self.sets.observe(existing)
        owner = owners.controller_of(existing)
        mine = owner is not None and owner["uid"] == deployment["metadata"]["uid"]
        if not mine or not revisions.same_template(existing["spec"]["template"], deployment["spec"]["template"]):
            status = deployment.get("status") or {}
            await self._write(rollout, {**status, "collisionCount": status.get("collisionCount", 0) + 1})
        raise error

    async def _resize(self, rollout: Rollout, sizes: rollouts.Sizes) -> Rollout:
        """Give replica sets new sizes, and note on each how large the deployment is meant to be."""
        deployment = rollout.deployment
        desired, surge = rollouts.wanted(deployment), rollouts.limits(deployment).surge
        for one in rollout.sets:
            name = one["metadata"]["name"]
            if name not in sizes:
                continue
            changed = revisions.with_annotations(one, revisions.replica_annotations(desired, surge))
            before, after = rollouts.wanted(one), sizes[name]
            if before != after:
                changed = {**changed, "spec": {**changed["spec"], "replicas": after}}
            if changed is not one:
                rollout = rollout.with_set(await self.write(self.sets, changed))
            if before != after:
                self._tell_scaled(deployment, name, before, after)
        return rollout

    def _tell_scaled(self, deployment: Object, name: str, before: int, after: int) -> None:
        direction = "up" if after > before else "down"
        message = f"Scaled {direction} replica set {name} from {before} to {after}"
        self.recorder.normal(deployment, "ScalingReplicaSet", message)

    async def _forget_old(self, rollout: Rollout) -> None:
        """Delete the oldest empty replica sets beyond the history limit."""
        limit = rollout.deployment["spec"].get("revisionHistoryLimit", DEFAULT_HISTORY)
        kept = [one for one in rollout.old if not one["metadata"].get("deletionTimestamp")]
        for one in sorted(kept, key=lambda one: (revisions.number(one), revisions.created(one)))[
            : max(0, len(kept) - limit)
        ]:
            status = one.get("status") or {}
            observed = status.get("observedGeneration", 0) >= one["metadata"]["generation"]
            if observed and not status.get("replicas", 0) and rollouts.wanted(one) == 0:
                await self._delete_set(one["metadata"])

    async def _delete_set(self, metadata: Object) -> None:
        try:
            await self.client.delete("replicasets.apps", metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except StatusError as error:
            if error.code not in (404, 409):
                raise

    async def _write(self, rollout: Rollout, status: Object) -> None:
        stored = self.deployments.get(*key_of(rollout.deployment)) or rollout.deployment
        if stored["metadata"]["resourceVersion"] != rollout.deployment["metadata"]["resourceVersion"]:
            raise _changed_meanwhile(rollout.deployment["metadata"]["name"])
        await self.write_status(self.deployments, stored, status)

    def _watch_deadline(self, key: Key) -> None:
        deployment = self.deployments.get(*key)
        left = deployment_status.seconds_to_deadline(deployment) if deployment else None
        if left is not None and left > 0:
            self.queue.add_after(key, left + 0.1)


def _note_pause(rollout: Rollout) -> Rollout:
    """Pausing suspends the progress deadline, which a condition says."""
    current = deployment_status.condition(rollout.deployment.get("status") or {}, "Progressing")
    if current is not None and current["reason"] == "ProgressDeadlineExceeded":
        return rollout
    noted = current is not None and current["reason"] == "DeploymentPaused"
    paused = bool(rollout.deployment["spec"].get("paused"))
    if paused and not noted:
        return rollout.with_condition("Unknown", "DeploymentPaused", "Deployment is paused")
    if noted and not paused:
        return rollout.with_condition("Unknown", "DeploymentResumed", "Deployment is resumed")
    return rollout


def _next_revision(old: Sequence[Object]) -> int:
    return max((revisions.number(one) for one in old), default=0) + 1


def _changed_meanwhile(name: str) -> StatusError:
    words = f'Operation cannot be fulfilled on deployments.apps "{name}": the object has been modified'
    return StatusError(409, "Conflict", words)

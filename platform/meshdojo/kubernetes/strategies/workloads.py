"""Deployments (annotations count as a generation too) and jobs (their pods stay by default)."""

from __future__ import annotations

import copy

from meshdojo.cluster.client import Object, Propagation
from meshdojo.kubernetes.requests import Options
from meshdojo.kubernetes.schema.defaults.workloads import default_job
from meshdojo.kubernetes.strategies.strategy import Strategy, with_field

JOB_WARNING = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
    "propagationPolicy=Orphan to suppress this warning"
)


class DeploymentStrategy(Strategy):
    """Source: pkg/registry/apps/deployment/strategy.go."""

    def changes_generation(self, new: Object, old: Object) -> bool:
        """Annotations travel on to the replica sets, so changing them is a new generation."""
        annotations = (obj["metadata"].get("annotations") or {} for obj in (new, old))
        return super().changes_generation(new, old) or next(annotations) != next(annotations)

    def prepare_status(self, new: Object, old: Object) -> Object:
        """Annotations may come with a status: so the controller writes the revision without making a new generation."""
        prepared = super().prepare_status(new, old)
        metadata = with_field(prepared["metadata"], "annotations", new["metadata"].get("annotations"))
        return {**prepared, "metadata": metadata}


class JobStrategy(Strategy):
    """Source: pkg/registry/batch/job/strategy.go."""

    def prepare_create(self, obj: Object) -> Object:
        """The selector and labels that tie pods to their job need its uid, which it has only now."""
        job = copy.deepcopy(super().prepare_create(obj))
        default_job(job)
        return job

    def default_propagation(self, options: Options) -> Propagation:
        """batch/v1 keeps the pods, and says so."""
        options.warnings.append(JOB_WARNING)
        return "Orphan"

"""Which strategy a resource has."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.allocator import Allocator
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.strategies.crds import CustomResourceDefinitionStrategy
from meshdojo.kubernetes.strategies.namespaces import NamespaceStrategy
from meshdojo.kubernetes.strategies.pods import PodStrategy
from meshdojo.kubernetes.strategies.secrets import SecretStrategy
from meshdojo.kubernetes.strategies.services import ServiceStrategy
from meshdojo.kubernetes.strategies.strategy import Strategy
from meshdojo.kubernetes.strategies.workloads import DeploymentStrategy, JobStrategy

_OWN: dict[str, type[Strategy]] = {
    "deployments.apps": DeploymentStrategy,
    "jobs.batch": JobStrategy,
    "namespaces": NamespaceStrategy,
    "pods": PodStrategy,
    "secrets": SecretStrategy,
}


class Strategies:
    """A strategy for each resource, made when it is first asked for."""

    def __init__(self, allocator: Allocator, definitions: Callable[[], Iterable[Object]]) -> None:
        """`definitions` lists the stored CustomResourceDefinitions."""
        self._allocator = allocator
        self._definitions = definitions
        self._made: dict[Resource, Strategy] = {}

    def of(self, resource: Resource) -> Strategy:
        """The strategy of this resource."""
        strategy = self._made.get(resource)
        if strategy is None:
            strategy = self._made[resource] = self._make(resource)
        return strategy

    def _make(self, resource: Resource) -> Strategy:
        if resource.crd is None and resource.storage == "services":
            return ServiceStrategy(resource, self._allocator)
        if resource.crd is None and resource.storage == "customresourcedefinitions.apiextensions.k8s.io":
            return CustomResourceDefinitionStrategy(resource, self._definitions)
        if resource.crd is None and resource.storage in _OWN:
            return _OWN[resource.storage](resource)
        return Strategy(resource)

"""Starts and stops all controllers, as kube-controller-manager does.

async with Controllers(api, node=NodeFacts("meshdojo", "127.64.0.1", "v1.34.4"), ca=pem, volumes=directory):
    ...
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

from meshdojo.cluster.informer import Informers
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.controllers.clusterroles import ClusterRoleAggregation
from meshdojo.kubernetes.controllers.controller import Cluster, Controller
from meshdojo.kubernetes.controllers.cronjobs import CronJobController
from meshdojo.kubernetes.controllers.daemonsets import DaemonSetController
from meshdojo.kubernetes.controllers.deployments import DeploymentController
from meshdojo.kubernetes.controllers.disruption import DisruptionController
from meshdojo.kubernetes.controllers.endpoints import EndpointsController
from meshdojo.kubernetes.controllers.endpointslices import EndpointSliceController
from meshdojo.kubernetes.controllers.event_ttl import EventTTL
from meshdojo.kubernetes.controllers.events import Events
from meshdojo.kubernetes.controllers.everything import Everything
from meshdojo.kubernetes.controllers.garbage_collector import GarbageCollector
from meshdojo.kubernetes.controllers.jobs import JobController
from meshdojo.kubernetes.controllers.namespaces import NamespaceController
from meshdojo.kubernetes.controllers.nodes import NodeFacts, NodeRegistration
from meshdojo.kubernetes.controllers.quotas import QuotaController
from meshdojo.kubernetes.controllers.replicasets import ReplicaSetController, ReplicationControllerController
from meshdojo.kubernetes.controllers.scheduler import Scheduler
from meshdojo.kubernetes.controllers.serviceaccounts import RootCAPublisher, ServiceAccountController
from meshdojo.kubernetes.controllers.statefulsets import StatefulSetController
from meshdojo.kubernetes.controllers.taints import TaintEviction
from meshdojo.kubernetes.controllers.volume_binding import VolumeBinder
from meshdojo.kubernetes.controllers.volume_protection import VolumeProtection
from meshdojo.kubernetes.controllers.volume_provisioner import VolumeProvisioner


class Controllers:
    """All controllers over one API. Use it as an async context manager, in the event loop of the API.

    The namespaces of `bootstrap` are there already.

    `volumes` is the directory for what claims of the default storage class get.
    `ca` is the PEM certificate that signed the API server's, for pods. `informers` may be shared with others in the
    same process (the kubelet); they are started here and stopped with the controllers.
    """

    def __init__(
        self, client: Api, *, node: NodeFacts, ca: str, volumes: Path, informers: Informers | None = None
    ) -> None:
        self.client = client
        self.informers = informers or Informers(client)
        self.events = Events(client)
        self._node = NodeRegistration(client, node)
        cluster = Cluster(client, self.informers, self.events)
        everything = Everything(self.informers)
        self.controllers: tuple[Controller | GarbageCollector, ...] = (
            ServiceAccountController(cluster),
            RootCAPublisher(cluster, ca),
            DeploymentController(cluster),
            ReplicaSetController(cluster),
            ReplicationControllerController(cluster),
            StatefulSetController(cluster),
            DaemonSetController(cluster),
            JobController(cluster),
            CronJobController(cluster),
            VolumeBinder(cluster),
            VolumeProvisioner(cluster, volumes),
            VolumeProtection(cluster),
            Scheduler(cluster),
            TaintEviction(cluster),
            EndpointSliceController(cluster),
            EndpointsController(cluster),
            NamespaceController(cluster, everything),
            GarbageCollector(client, everything),
            EventTTL(cluster),
            ClusterRoleAggregation(cluster),
            QuotaController(cluster, everything, client.quotas.used),
            DisruptionController(cluster),
        )

    async def __aenter__(self) -> Self:
        await self._node.start()
        self.events.start()
        await self.informers.start()
        for controller in self.controllers:
            controller.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.gather(*(controller.stop() for controller in self.controllers))
        await self.informers.stop()
        await self.events.stop()
        await self._node.stop()

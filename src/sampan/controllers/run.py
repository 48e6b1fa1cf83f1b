"""Starts every controller over one set of caches, each with its own identity, and stops them again.

Upstream: ``cmd/kube-controller-manager/app/controllermanager.go``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from sampan.client.events import EventRecorder
from sampan.client.informer import Informers
from sampan.client.queue import run_workers
from sampan.client.rest import Client
from sampan.controllers.base import Config, Context, Controller
from sampan.controllers.clusterrole_aggregation import ClusterRoleAggregationController
from sampan.controllers.deployment.controller import DeploymentController
from sampan.controllers.endpoints import EndpointsController
from sampan.controllers.endpointslice.controller import EndpointSliceController
from sampan.controllers.event_ttl import EventTtlController
from sampan.controllers.garbagecollector.controller import GarbageCollector
from sampan.controllers.initial_namespaces import InitialNamespacesController
from sampan.controllers.kubernetes_service import KubernetesServiceController
from sampan.controllers.namespace.controller import NamespaceController
from sampan.controllers.node_ipam import NodeIpamController
from sampan.controllers.nodelifecycle.controller import NodeLifecycleController
from sampan.controllers.podgc import PodGarbageController
from sampan.controllers.replicaset.controller import ReplicaSetController
from sampan.controllers.root_ca import RootCaController
from sampan.controllers.serviceaccount import ServiceAccountController
from sampan.controllers.taint_eviction import TaintEvictionController
from sampan.controllers.token_secrets import TokenSecretsController

Clients = Callable[[str], Client]

CACHES = "controller-manager"
#: Whose rights a controller uses, where not those of upstream's role ``system:controller:<its own name>``. What is part
#: of kube-apiserver upstream is marked ``apiserver``.
IDENTITIES = {
    "system-namespaces-controller": "apiserver", "kubernetes-service-controller": "apiserver",
    "event-ttl-controller": "apiserver", "node-ipam-controller": "node-controller", "tokens-controller": CACHES,
}

ALWAYS: tuple[Callable[[Context], Controller], ...] = (
    InitialNamespacesController, ServiceAccountController, NodeIpamController, NodeLifecycleController,
    DeploymentController, ReplicaSetController, EndpointSliceController, EndpointsController, NamespaceController,
    GarbageCollector, PodGarbageController, TaintEvictionController, EventTtlController,
    ClusterRoleAggregationController,
)


@dataclass(slots=True)
class Controllers:
    """What runs. ``informers`` may be shared with others in the process (the scheduler)."""

    informers: Informers
    controllers: list[Controller]
    _tasks: list[asyncio.Task[None]]
    _recorders: list[EventRecorder]
    _owns_informers: bool

    async def close(self) -> None:
        for controller in self.controllers:
            controller.queue.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for recorder in self._recorders:
            await recorder.close()
        if self._owns_informers:
            await self.informers.close()


async def start(clients: Clients, *, config: Config, informers: Informers | None = None) -> Controllers:
    """Start all. ``clients(identity)`` makes the client of one controller.

    An identity is ``apiserver``, ``controller-manager`` (the caches, too) or a controller's name such as
    ``deployment-controller``.  Returns before the caches are filled: workers begin when those are.
    """
    shared = informers if informers is not None else Informers(clients(CACHES))
    running = Controllers(shared, [], [], [], informers is None)
    for make in _wanted(config):
        name = getattr(make, "name", "")
        client = clients(IDENTITIES.get(name, name))
        recorder = EventRecorder(client, name)
        running._recorders.append(recorder)
        running.controllers.append(make(Context(shared, client, recorder, config)))
    await shared.start()
    for controller in running.controllers:
        running._tasks.append(asyncio.create_task(_run(shared, controller), name=controller.name))
    return running


def _wanted(config: Config) -> list[Callable[[Context], Controller]]:
    """Three need something that only the assembler can give."""
    wanted = list(ALWAYS)
    if config.root_ca_pem:
        wanted.append(RootCaController)
    issue, service = config.issue_legacy_token, config.kubernetes_service
    if issue is not None:
        wanted.append(_named(TokenSecretsController.name, lambda context: TokenSecretsController(context, issue)))
    if service is not None:
        wanted.append(_named(KubernetesServiceController.name,
                             lambda context: KubernetesServiceController(context, service)))
    return wanted


def _named(name: str, make: Callable[[Context], Controller]) -> Callable[[Context], Controller]:
    make.name = name  # type: ignore[attr-defined]
    return make


async def _run(informers: Informers, controller: Controller) -> None:
    # A cache that is not full yet looks like a world in which everything is missing.
    if not isinstance(controller, InitialNamespacesController):
        await informers.synced()
    await run_workers(controller.queue, controller.reconcile, controller.workers)

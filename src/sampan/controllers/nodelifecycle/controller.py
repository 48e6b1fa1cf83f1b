"""Watches the nodes' signs of life; woken by every change of a node or lease, and when a node has been silent too long.

Upstream: ``pkg/controller/nodelifecycle/node_lifecycle_controller.go``.
"""

from __future__ import annotations

import asyncio
from typing import Any

from sampan.api import clock, meta
from sampan.api.errors import Conflict, NotFound
from sampan.api.resources import LEASES, NODES, PODS
from sampan.client.queue import WorkQueue
from sampan.client.rest import MERGE_PATCH
from sampan.controllers import podstate
from sampan.controllers.base import Context
from sampan.controllers.nodelifecycle import health
from sampan.controllers.nodelifecycle.taints import desired_taints
from sampan.controllers.podgc import BY_NODE

Object = dict[str, Any]

LEASE_NAMESPACE = "kube-node-lease"


class NodeLifecycleController:
    name = "node-controller"
    workers = 4

    def __init__(self, context: Context) -> None:
        self._context = context
        self.queue: WorkQueue[str] = WorkQueue()
        self._nodes = context.informers.informer(NODES)
        self._leases = context.informers.informer(LEASES)
        self._pods = context.informers.informer(PODS)
        self._pods.add_index(BY_NODE, lambda pod: [podstate.node_name(pod)])
        self._sightings: dict[str, health.Sighting] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._nodes.on_change(self._node_changed)
        self._leases.on_change(self._lease_changed)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        name = meta.name(new or old or {})
        if new is None:
            self._sightings.pop(name, None)
            timer = self._timers.pop(name, None)
            if timer is not None:
                timer.cancel()
        else:
            self._sight(name)
            self.queue.add(name)

    def _lease_changed(self, old: Object | None, new: Object | None) -> None:
        """A renewal only moves the deadline: a healthy node costs no reconcile every ten seconds."""
        if new is not None and meta.namespace(new) == LEASE_NAMESPACE and self._nodes.get(meta.name(new)) is not None:
            self._sight(meta.name(new))

    def _sight(self, name: str) -> None:
        node, lease = self._nodes.get(name), self._leases.get(f"{LEASE_NAMESPACE}/{name}")
        assert node is not None
        now = asyncio.get_running_loop().time()
        fresh = health.sighted(self._sightings.get(name), node, lease, now)
        if self._sightings.get(name) is not fresh:
            self._sightings[name] = fresh
            self._set_timer(name, node, fresh)

    def _set_timer(self, name: str, node: Object, sighting: health.Sighting) -> None:
        config = self._context.config
        grace = health.grace_seconds(node, config.node_monitor_grace_period_seconds,
                                     config.node_startup_grace_period_seconds)
        before = self._timers.get(name)
        if before is not None:
            before.cancel()
        self._timers[name] = asyncio.get_running_loop().call_at(sighting.seen_at + grace, self.queue.add, name)

    def _is_silent(self, name: str, node: Object) -> bool:
        timer = self._timers.get(name)
        return timer is not None and asyncio.get_running_loop().time() >= timer.when()

    async def reconcile(self, key: str) -> float | None:
        node = self._nodes.get(key)
        if node is None:
            return None
        try:
            if self._is_silent(key, node):
                node = await self._mark_unknown(node)
            await self._taint(node)
        except Conflict:
            return 0.005  # the cache was behind
        except NotFound:
            return None
        ready = meta.condition(node, "Ready")
        if ready is not None and ready["status"] != "True":
            await self._mark_pods_not_ready(node)
        return None

    async def _mark_unknown(self, node: Object) -> Object:
        conditions = health.unknown_conditions(node, self._context.now())
        if conditions is None:
            return node
        was_ready = meta.is_true(node, "Ready")
        fresh = node | {"status": (node.get("status") or {}) | {"conditions": conditions}}
        node = await self._context.client.update(NODES, fresh, subresource="status")
        if was_ready:
            self._context.events.event(node, "Normal", "NodeNotReady",
                                       f"Node {meta.name(node)} status is now: NodeNotReady")
        return node

    async def _taint(self, node: Object) -> None:
        taints = desired_taints(node, self._context.now())
        if taints is not None:
            patch = {"metadata": {"resourceVersion": meta.resource_version(node)}, "spec": {"taints": taints or None}}
            await self._context.client.patch(NODES, meta.name(node), patch, content_type=MERGE_PATCH)

    async def _mark_pods_not_ready(self, node: Object) -> None:
        """The node can't say so itself any more, and endpoints must not lead to it."""
        for pod in self._pods.by_index(BY_NODE, meta.name(node)):
            if not podstate.is_ready(pod):
                continue
            now = clock.rfc3339(self._context.now())
            condition = {"type": "Ready", "status": "False", "reason": "NodeNotReady", "lastTransitionTime": now}
            patch = {"metadata": {"uid": meta.uid(pod)}, "status": {"conditions": [condition]}}
            try:
                await self._context.client.patch(PODS, meta.name(pod), patch, meta.namespace(pod),
                                                 subresource="status")
            except (NotFound, Conflict):
                continue
            self._context.events.event(pod, "Warning", "NodeNotReady", "Node is not ready")

"""Speaks for the machine: the Node object, its conditions, and the lease that says it is alive.

The Node is registered with its whole status at once, so it is Ready with the first write.  Then the lease is renewed
every ten seconds, and the status written when it changes, or every five minutes.  Upstream:
``pkg/kubelet/kubelet_node_status.go``, ``component-helpers/apimachinery/lease``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sampan.api import clock
from sampan.api.errors import AlreadyExists, ApiError, Conflict, NotFound
from sampan.api.resources import LEASES, NODES
from sampan.client.events import EventRecorder
from sampan.client.rest import Client
from sampan.kubelet import machine
from sampan.kubelet.config import KubeletConfig
from sampan.kubelet.node_status import heartbeat_only, node_status
from sampan.runtime.base import Runtime, RuntimeFailure

log = logging.getLogger(__name__)

LEASE_NAMESPACE = "kube-node-lease"
LEASE_RENEW_SECONDS = 10.0
CHECK_SECONDS = 10.0
MERGE = "application/merge-patch+json"


class NodeReporter:
    """``set_network_ready`` is called by whoever sets the pod network up; until then the node is not Ready."""

    def __init__(
        self,
        config: KubeletConfig,
        client: Client,
        runtime: Runtime,
        events: EventRecorder,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._client = client
        self._runtime = runtime
        self._events = events
        self._now = now
        self._network = "" if config.pod_cidr else "container runtime network not ready: no pod network was set up"
        self._node: dict[str, Any] = {}
        self._written_at = 0.0
        self._look = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Register, Ready if it is. Raises: ApiError when the API server refuses the node."""
        await self._register()
        self._events.event(self._node, "Normal", "Starting", "Starting kubelet.")
        self._tasks = [
            asyncio.create_task(self._keep_lease(), name="node lease"),
            asyncio.create_task(self._keep_status(), name="node status"),
        ]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def set_network_ready(self, ready: bool, message: str = "") -> None:
        self._network = "" if ready else message or "container runtime network not ready"
        self._look.set()

    # registration

    async def _register(self) -> None:
        wanted = await self._desired({})
        try:
            self._node = await self._client.create(NODES, wanted)
        except AlreadyExists:
            self._node = await self._client.get(NODES, self._config.node_name)
            await self._take_over(wanted)
        if (self._node.get("status") or {}).get("conditions") != wanted["status"]["conditions"]:
            await self._write_status(await self._status())

    async def _take_over(self, wanted: Mapping[str, Any]) -> None:
        """The node of an earlier agent: put its labels right, leave those of others alone."""
        labels = wanted["metadata"]["labels"]
        have = self._node["metadata"].get("labels") or {}
        if any(have.get(k) != v for k, v in labels.items()):
            patch = {"metadata": {"labels": labels}}
            self._node = await self._client.patch(NODES, self._config.node_name, patch, content_type=MERGE)

    async def _desired(self, before: Mapping[str, Any]) -> dict[str, Any]:
        config = self._config
        labels = {
            "beta.kubernetes.io/arch": machine.architecture(),
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": machine.architecture(),
            "kubernetes.io/hostname": config.node_name,
            "kubernetes.io/os": "linux",
            **config.node_labels,
        }
        spec = {"podCIDR": config.pod_cidr, "podCIDRs": [config.pod_cidr]} if config.pod_cidr else {}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": config.node_name, "labels": labels},
            "spec": spec,
            "status": await self._status(before),
        }

    # status

    async def _status(self, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            images = list(await self._runtime.list_images())
            problem = self._network
        except RuntimeFailure as error:
            images, problem = [], f"container runtime is down: {error}"
        old = before if before is not None else self._node.get("status") or {}
        return node_status(self._config, old, images, self._runtime.version(), problem, self._now())

    async def _keep_status(self) -> None:
        while True:
            self._look.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), CHECK_SECONDS)
            try:
                status = await self._status()
                due = self._now() - self._written_at >= self._config.node_status_report_seconds
                if due or not heartbeat_only(self._node.get("status") or {}, status):
                    await self._write_status(status)
            except NotFound:
                log.warning("node was deleted, registering again node=%s", self._config.node_name)
                await self._try_to_register()
            except ApiError as error:
                log.warning("node status was not written node=%s error=%s", self._config.node_name, error)

    async def _try_to_register(self) -> None:
        try:
            await self._register()
        except ApiError as error:
            log.warning("node was not registered node=%s error=%s", self._config.node_name, error)

    async def _write_status(self, status: Mapping[str, Any]) -> None:
        was_ready, is_ready = _ready(self._node.get("status") or {}), _ready(status)
        patch = {"status": dict(status)}
        self._node = await self._client.patch(
            NODES, self._config.node_name, patch, content_type=MERGE, subresource="status"
        )
        self._written_at = self._now()
        if is_ready != was_ready:
            reason = "NodeReady" if is_ready else "NodeNotReady"
            self._events.event(self._node, "Normal", reason, f"Node {self._config.node_name} status is now: {reason}")

    # lease

    async def _keep_lease(self) -> None:
        lease: dict[str, Any] | None = None
        while True:
            try:
                lease = await self._renew(lease)
                await asyncio.sleep(LEASE_RENEW_SECONDS)
            except Conflict:
                lease = None
            except ApiError as error:
                log.warning("node lease was not renewed node=%s error=%s", self._config.node_name, error)
                lease = None
                await asyncio.sleep(1.0)

    async def _renew(self, lease: dict[str, Any] | None) -> dict[str, Any]:
        if lease is None:
            try:
                lease = await self._client.get(LEASES, self._config.node_name, LEASE_NAMESPACE)
            except NotFound:
                return await self._client.create(LEASES, self._lease())
        fresh = self._lease()
        return await self._client.update(LEASES, {**lease, "spec": {**(lease.get("spec") or {}), **fresh["spec"]}})

    def _lease(self) -> dict[str, Any]:
        name = self._config.node_name
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": self._node["metadata"]["uid"]}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]},
            "spec": {
                "holderIdentity": name,
                "leaseDurationSeconds": self._config.node_lease_duration_seconds,
                "renewTime": clock.rfc3339_micro(datetime.fromtimestamp(self._now(), UTC)),
            },
        }


def _ready(status: Mapping[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ())

"""The kubelet of one node: watches its pods, gives each a worker, and lets nothing run that the API does not know.

Sources of change, each of which only wakes workers: the pod informer, the runtime's events, a seldom relist, and the
watches on referenced ConfigMaps and Secrets.  Upstream: ``pkg/kubelet/kubelet.go`` ``syncLoop``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sampan.api.resources import PODS, SERVICES
from sampan.client.events import EventRecorder
from sampan.client.informer import Informers
from sampan.client.rest import Client
from sampan.kubelet import labels
from sampan.kubelet.cgroups import Cgroups
from sampan.kubelet.config import KubeletConfig
from sampan.kubelet.containers import Pod
from sampan.kubelet.context import Context, PodCgroups
from sampan.kubelet.images import Images
from sampan.kubelet.log_rotation import rotate_logs
from sampan.kubelet.machine import allocatable, memory_capacity
from sampan.kubelet.node import NodeReporter
from sampan.kubelet.objects import ReferencedObjects
from sampan.kubelet.pod_worker import PodWorker
from sampan.kubelet.resolv import Resolver, parse
from sampan.kubelet.runtime_state import PodState, RuntimeCache
from sampan.kubelet.server import KubeletServer
from sampan.kubelet.status_writer import StatusWriter
from sampan.kubelet.tokens import PodTokens
from sampan.kubelet.volumes.base import Mounter
from sampan.kubelet.volumes.mounts import KernelMounter
from sampan.kubelet.volumes.pod_volumes import Providers
from sampan.runtime.base import Runtime, RuntimeFailure

log = logging.getLogger(__name__)

ROTATION_SECONDS = 10.0


class Kubelet:
    """``start`` returns once the node is registered; ``close`` lets go of every container without stopping it."""

    def __init__(
        self,
        config: KubeletConfig,
        client: Client,
        runtime: Runtime,
        *,
        mounter: Mounter | None = None,
        cgroups: PodCgroups | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self._runtime = runtime
        self._informers = Informers(client)
        self._pods = self._informers.informer(PODS, field_selector=f"spec.nodeName={config.node_name}")
        self._services = self._informers.informer(SERVICES)
        self._cache = RuntimeCache(runtime)
        self._workers: dict[str, PodWorker] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._events = EventRecorder(client, "kubelet", config.node_name)
        self.context = self._make_context(client, mounter or KernelMounter(), cgroups, now)
        self.node = NodeReporter(config, client, runtime, self._events, now=now)
        self._server = KubeletServer(self) if config.tls_cert_file else None

    def _make_context(
        self, client: Client, mounter: Mounter, cgroups: PodCgroups | None, now: Callable[[], float]
    ) -> Context:
        config, runtime = self.config, self._runtime
        objects = ReferencedObjects(client, self._objects_changed)
        tokens = PodTokens(client, now)
        return Context(
            config=config,
            client=client,
            runtime=runtime,
            cache=self._cache,
            events=self._events,
            images=Images(runtime, self._events, serialize=config.serialize_image_pulls, now=now),
            objects=objects,
            tokens=tokens,
            volumes=Providers(objects, tokens.token, mounter, allocatable(config)),
            cgroups=cgroups or Cgroups(config.cgroup_root, config.cgroup_mount),
            status=StatusWriter(client),
            resolver=_node_resolver(config),
            services=lambda: list[Mapping[str, Any]](self._services.list()),
            memory_bytes=memory_capacity(),
            slots=asyncio.Semaphore(config.concurrent_starts),
            now=now,
        )

    async def start(self, api: Awaitable[object] | None = None) -> None:
        """Register the node, take over what runs, then follow the API, which is not asked before ``api`` is done.

        Raises: ApiError, OSError.
        """
        await self._runtime.start()
        if api is not None:
            await api
        await self._informers.start()
        await asyncio.gather(self._cache.relist(), self.node.start(), self._serve())
        self._tasks = [
            asyncio.create_task(self._follow_pods(), name="kubelet pods"),
            asyncio.create_task(self._follow_runtime(), name="kubelet runtime events"),
            asyncio.create_task(self._relist(), name="kubelet relist"),
            asyncio.create_task(self._rotate(), name="kubelet log rotation"),
        ]

    async def close(self) -> None:
        """Stop following. Containers stay as they are, for the next agent."""
        if self._server:
            await self._server.close()
        everything = [*self._tasks, *self._running.values()]
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)
        await self.node.close()
        await self._informers.close()
        await self.context.objects.close()
        await self.context.status.close()
        await self._events.close()
        await self._runtime.close()

    # what others may ask

    def pods(self) -> list[Pod]:
        return [w.pod for w in self._workers.values()]

    def pod(self, namespace: str, name: str) -> Pod | None:
        """The pod of that name; of several (one may be ending) the newest."""
        found = [
            p for p in self.pods() if p["metadata"]["name"] == name and p["metadata"].get("namespace") == namespace
        ]
        return max(found, key=lambda p: str(p["metadata"].get("creationTimestamp", "")), default=None)

    def state(self, uid: str) -> PodState:
        return self._cache.state(uid)

    # following

    async def _serve(self) -> None:
        if self._server:
            await self._server.start()

    async def _follow_pods(self) -> None:
        """Start with the first list; only then is it known which pods the API does not have."""
        self._pods.on_change(self._pod_changed)
        await asyncio.gather(self._pods.synced(), self._services.synced())
        self._synced = True
        for pod in self._pods.list():
            self._pod_changed(None, pod)
        self._end_orphans()

    _synced = False

    def _pod_changed(self, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> None:
        if not self._synced:
            return  # a worker must see Services, and know that its pod is not an orphan
        if new is None:
            worker = self._workers.get(old["metadata"]["uid"]) if old else None
            if worker:
                worker.gone()
            return
        uid = new["metadata"]["uid"]
        if uid in self._workers:
            self._workers[uid].update(new)
        else:
            self._employ(new)

    def _employ(self, pod: Pod) -> PodWorker:
        worker = PodWorker(self.context, pod)
        self._workers[worker.uid] = worker
        task = asyncio.get_running_loop().create_task(worker.run(), name=f"pod {pod['metadata']['name']}")
        self._running[worker.uid] = task
        task.add_done_callback(lambda done: self._dismiss(worker, done))
        return worker

    def _dismiss(self, worker: PodWorker, task: asyncio.Task[None]) -> None:
        self._workers.pop(worker.uid, None)
        self._running.pop(worker.uid, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("pod worker failed uid=%s", worker.uid, exc_info=error)
            asyncio.get_running_loop().call_later(1.0, self._employ_again, worker.uid)

    def _employ_again(self, uid: str) -> None:
        pod = next((p for p in self._pods.list() if p["metadata"]["uid"] == uid), None)
        if pod is not None and uid not in self._workers:
            self._employ(pod)

    def _end_orphans(self) -> None:
        """What runs, or lies about, of pods that the API no longer has is ended like any other pod.

        Containers without a pod's uid are somebody else's, and left alone.
        """
        known = {"", *self._workers, *(p["metadata"]["uid"] for p in self._pods.list())}
        pods = self.config.data_dir / "pods"
        left = {d.name for d in pods.iterdir()} if pods.is_dir() else set()
        for uid in (self._cache.uids() | left) - known:
            pod = _orphan(uid, self._cache.state(uid))
            log.info("pod without an API object was found, ending it pod=%s uid=%s", pod["metadata"]["name"], uid)
            self._employ(pod).gone()

    async def _follow_runtime(self) -> None:
        async for event in self._runtime.events():
            with _logged("runtime event was not followed"):
                await self._cache.refresh(event.id)
            if event.pod_uid in self._workers:
                self._workers[event.pod_uid].wake()

    async def _relist(self) -> None:
        while True:
            await asyncio.sleep(self.config.relist_seconds)
            with _logged("runtime was not listed"):
                for uid in await self._cache.relist():
                    if uid in self._workers:
                        self._workers[uid].wake()
                if self._synced:
                    self._end_orphans()

    async def _rotate(self) -> None:
        while True:
            await asyncio.sleep(ROTATION_SECONDS)
            with _logged("logs were not rotated"):
                await rotate_logs(self.config, self._runtime, self._cache)

    def _objects_changed(self, uids: set[str]) -> None:
        for uid in uids & set(self._workers):
            self._workers[uid].objects_changed()


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """A loop of the kubelet outlives a runtime that fails for a while."""
    try:
        yield
    except (RuntimeFailure, OSError) as error:
        log.warning("%s error=%s", what, error)


def _node_resolver(config: KubeletConfig) -> Resolver:
    try:
        return parse(config.resolv_conf.read_text(errors="replace"))
    except OSError as error:
        log.warning("node resolv.conf was not read path=%s error=%s", config.resolv_conf, error)
        return Resolver()


def _orphan(uid: str, state: PodState) -> dict[str, Any]:
    """A pod with just enough to be ended, from the labels of what runs."""
    known = [*(s.config.labels for s in state.sandboxes), *(c.config.labels for c in state.containers)]
    names = known[0] if known else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": names.get(labels.POD_NAME, ""),
            "namespace": names.get(labels.POD_NAMESPACE, ""),
            "uid": uid,
        },
        "spec": {"containers": []},
    }

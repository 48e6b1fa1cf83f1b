"""The ConfigMaps and Secrets that this node's pods refer to, and no others.

Each object gets a watch of its own (``metadata.name=x``), shared by the pods that use it, so that a node never reads
the secrets of other nodes' pods and an update reaches a volume at once.  When the last pod has gone the watch stays for
a minute: ``kube-root-ca.crt`` is in every pod.  Upstream: ``pkg/kubelet/util/manager/watch_based_manager.go``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sampan.api.resources import CONFIGMAPS, SECRETS, Resource
from sampan.client.informer import Informer
from sampan.client.rest import Client
from sampan.kubelet.containers import Pod, containers_of

LINGER_SECONDS = 60.0
SYNC_SECONDS = 30.0

Reference = tuple[str, str, str]  # ("configmaps" | "secrets", namespace, name)
_RESOURCES: Mapping[str, Resource] = {"configmaps": CONFIGMAPS, "secrets": SECRETS}


@dataclass
class _Watched:
    informer: Informer
    users: set[str] = field(default_factory=set)
    leaving: asyncio.TimerHandle | None = None


class ReferencedObjects:
    """Reference-counted by pod uid. ``on_change(uids)`` is called when an object that pods hold has changed."""

    def __init__(self, client: Client, on_change: Callable[[set[str]], None]) -> None:
        self._client = client
        self._on_change = on_change
        self._watched: dict[Reference, _Watched] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def hold(self, pod: Pod) -> None:
        """Watch all that the pod refers to, and wait until it is known. A second call adds what is new."""
        uid = pod["metadata"]["uid"]
        for reference in set(references(pod)):
            watched = await self._watch(reference)
            watched.users.add(uid)
        await asyncio.gather(*(self._known(r) for r in set(references(pod))))

    def release(self, uid: str) -> None:
        for reference, watched in list(self._watched.items()):
            watched.users.discard(uid)
            if not watched.users and watched.leaving is None:
                loop = asyncio.get_running_loop()
                watched.leaving = loop.call_later(LINGER_SECONDS, self._drop, reference)

    async def config_map(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        return await self._known(("configmaps", namespace, name))

    async def secret(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        return await self._known(("secrets", namespace, name))

    def cached(self, kind: str, namespace: str, name: str) -> Mapping[str, Any] | None:
        """What is known now of an object that ``hold`` waited for."""
        watched = self._watched.get((kind, namespace, name))
        return watched.informer.get(f"{namespace}/{name}") if watched else None

    async def close(self) -> None:
        for watched in self._watched.values():
            if watched.leaving:
                watched.leaving.cancel()
            await watched.informer.close()
        self._watched.clear()
        await asyncio.gather(*self._closing)

    async def _known(self, reference: Reference) -> Mapping[str, Any] | None:
        watched = await self._watch(reference)
        await asyncio.wait_for(watched.informer.synced(), SYNC_SECONDS)
        return watched.informer.get(f"{reference[1]}/{reference[2]}")

    async def _watch(self, reference: Reference) -> _Watched:
        watched = self._watched.get(reference)
        if watched is None:
            kind, namespace, name = reference
            selector = f"metadata.name={name}"
            informer = Informer(self._client, _RESOURCES[kind], namespace, field_selector=selector)
            watched = self._watched[reference] = _Watched(informer)
            informer.on_change(lambda old, new: self._on_change(set(watched.users)))
            await informer.start()
        elif watched.leaving is not None:
            watched.leaving.cancel()
            watched.leaving = None
        return watched

    def _drop(self, reference: Reference) -> None:
        watched = self._watched.pop(reference)
        task = asyncio.get_running_loop().create_task(watched.informer.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class PodReferences:
    """The ``References`` of ``env``: the objects of one pod's namespace."""

    def __init__(self, objects: ReferencedObjects, namespace: str) -> None:
        self._objects = objects
        self._namespace = namespace

    def config_map(self, name: str) -> Mapping[str, Any] | None:
        return self._objects.cached("configmaps", self._namespace, name)

    def secret(self, name: str) -> Mapping[str, Any] | None:
        return self._objects.cached("secrets", self._namespace, name)


def references(pod: Pod) -> Iterator[Reference]:
    """Every ConfigMap and Secret that the pod's env, volumes and imagePullSecrets name."""
    namespace = pod["metadata"]["namespace"]
    for container in containers_of(pod):
        for source in container.spec.get("envFrom") or ():
            yield from _named(namespace, source.get("configMapRef"), source.get("secretRef"))
        for variable in container.spec.get("env") or ():
            value = variable.get("valueFrom") or {}
            yield from _named(namespace, value.get("configMapKeyRef"), value.get("secretKeyRef"))
    for volume in pod["spec"].get("volumes") or ():
        yield from _named(namespace, volume.get("configMap"), volume.get("secret"))
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _named(namespace, source.get("configMap"), source.get("secret"))
    for secret in pod["spec"].get("imagePullSecrets") or ():
        yield from _named(namespace, None, secret)


def _named(
    namespace: str, config_map: Mapping[str, Any] | None, secret: Mapping[str, Any] | None
) -> Iterator[Reference]:
    if config_map and config_map.get("name"):
        yield "configmaps", namespace, config_map["name"]
    name = (secret or {}).get("name") or (secret or {}).get("secretName")
    if name:
        yield "secrets", namespace, name

"""All volumes of one pod: set up before its first container, refreshed while it lives, taken down at the end.

Files from ConfigMaps, Secrets, tokens and the downward API live in a tmpfs of their own, so that no secret is ever
written to a disk.  Other kinds are refused by name.  Upstream: ``pkg/kubelet/volumemanager``.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sampan.kubelet.containers import Pod, containers_of
from sampan.kubelet.volumes import atomic_writer, config_map, downward_api, empty_dir, host_path, projected, secret
from sampan.kubelet.volumes.base import Mounter, ObjectReader, Payload, TokenSource, VolumeContext, VolumeError
from sampan.kubelet.volumes.ownership import set_group

PAYLOADS: Mapping[str, Callable[[VolumeContext], Awaitable[Payload]]] = {
    "configMap": config_map.payload,
    "secret": secret.payload,
    "downwardAPI": downward_api.payload,
    "projected": projected.payload,
}
DIRECTORIES: Mapping[str, Callable[[VolumeContext], Awaitable[str]]] = {
    "emptyDir": empty_dir.set_up,
    "hostPath": host_path.set_up,
}
PLUGIN_DIRECTORY = {
    "configMap": "kubernetes.io~configmap",
    "secret": "kubernetes.io~secret",
    "downwardAPI": "kubernetes.io~downward-api",
    "projected": "kubernetes.io~projected",
    "emptyDir": "kubernetes.io~empty-dir",
    "hostPath": "kubernetes.io~host-path",
}


@dataclass(frozen=True, slots=True)
class Providers:
    """What volumes are made with; the same for all pods of a node."""

    objects: ObjectReader
    token: TokenSource
    mounter: Mounter
    allocatable: Mapping[str, str]


class PodVolumes:
    """``paths``: volume name -> directory or file on the host, complete after ``set_up``."""

    def __init__(self, pod_directory: Path, providers: Providers) -> None:
        self.directory = pod_directory
        self.paths: dict[str, str] = {}
        self._providers = providers
        self._lock = asyncio.Lock()

    async def set_up(self, pod: Pod) -> None:
        """Idempotent; only volumes that some container mounts are made. Raises: VolumeError naming the volume."""
        async with self._lock:
            await asyncio.gather(*(self._make(pod, v) for v in _mounted(pod) if v["name"] not in self.paths))

    async def refresh(self, pod: Pod) -> None:
        """Write again what has changed in ConfigMaps, Secrets, tokens and labels."""
        async with self._lock:
            for volume in _mounted(pod):
                kind, source = kind_of(volume)
                if kind in PAYLOADS and volume["name"] in self.paths:
                    context = self._context(pod, volume["name"], kind, source)
                    files = await PAYLOADS[kind](context)
                    await asyncio.to_thread(atomic_writer.write, context.directory, files, context.fs_group)

    async def tear_down(self) -> None:
        """Unmount everything and remove it. Idempotent, also for a pod that an earlier agent set up."""
        async with self._lock:
            self.paths.clear()
            await asyncio.to_thread(self._remove)

    def _remove(self) -> None:
        if not self.directory.exists():
            return
        self._providers.mounter.unmount_below(self.directory)
        for part in ("volumes", "volume-subpaths"):
            shutil.rmtree(self.directory / part, ignore_errors=True)

    async def _make(self, pod: Pod, volume: Mapping[str, Any]) -> None:
        kind, source = kind_of(volume)
        name = volume["name"]
        if kind not in PLUGIN_DIRECTORY:
            why = f"volumes of kind {kind} are not supported"
            raise VolumeError(f'MountVolume.SetUp failed for volume "{name}" : {why}')
        context = self._context(pod, name, kind, source)
        try:
            self.paths[name] = await self._set_up(context, kind)
        except (VolumeError, OSError) as error:
            raise VolumeError(f'MountVolume.SetUp failed for volume "{name}" : {error}') from error

    async def _set_up(self, context: VolumeContext, kind: str) -> str:
        if kind in PAYLOADS:
            files = await PAYLOADS[kind](context)
            await asyncio.to_thread(self._write, context, files)
            return str(context.directory)
        path = await DIRECTORIES[kind](context)
        if kind == "emptyDir" and context.fs_group is not None:
            await asyncio.to_thread(_share, context)
        return path

    def _write(self, context: VolumeContext, files: Payload) -> None:
        context.mounter.tmpfs(context.directory)
        atomic_writer.write(context.directory, files, context.fs_group)

    def _context(self, pod: Pod, name: str, kind: str, source: Mapping[str, Any]) -> VolumeContext:
        directory = self.directory / "volumes" / PLUGIN_DIRECTORY[kind] / name
        providers = self._providers
        return VolumeContext(
            pod, name, source, directory, providers.objects, providers.token, providers.mounter, providers.allocatable
        )


def _share(context: VolumeContext) -> None:
    policy = (context.pod["spec"].get("securityContext") or {}).get("fsGroupChangePolicy")
    assert context.fs_group is not None
    set_group(context.directory, context.fs_group, on_root_mismatch=policy == "OnRootMismatch")


def kind_of(volume: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """``("configMap", {...})`` of a volume of the pod spec. Without any source it is an emptyDir."""
    for kind, source in volume.items():
        if kind != "name":
            return kind, source or {}
    return "emptyDir", {}


def _mounted(pod: Pod) -> list[Mapping[str, Any]]:
    used = {m["name"] for c in containers_of(pod) for m in c.spec.get("volumeMounts") or ()}
    return [v for v in pod["spec"].get("volumes") or () if v["name"] in used]

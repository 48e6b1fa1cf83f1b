"""emptyDir: a directory that lives as long as the pod, on disk or (``medium: Memory``) in memory.

``sizeLimit`` bounds a memory volume by the file system itself.  On disk it would be enforced by eviction.
Upstream: ``pkg/volume/emptydir``.
"""

from __future__ import annotations

import asyncio

from sampan.api import quantity
from sampan.kubelet.volumes.base import VolumeContext, VolumeError

MODE = 0o777


async def set_up(context: VolumeContext) -> str:
    medium = context.source.get("medium") or ""
    if medium not in ("", "Memory"):
        raise VolumeError(f"unknown storage medium {medium!r}: only the node's default and Memory are supported")
    limit = context.source.get("sizeLimit")
    size = quantity.value(limit) if limit is not None else 0
    await asyncio.to_thread(_make, context, medium == "Memory", size)
    return str(context.directory)


def _make(context: VolumeContext, in_memory: bool, size_bytes: int) -> None:
    if context.directory.exists() and not in_memory:
        return
    context.directory.mkdir(parents=True, exist_ok=True)
    if in_memory:
        context.mounter.tmpfs(context.directory, size_bytes=size_bytes, mode=MODE)
    context.directory.chmod(MODE)

"""The very end of a pod: the API forgets it, then the node does.

First the last status is written, then the object is deleted with grace period 0 and the uid as a precondition; only
then are dead containers, sandboxes, logs, directories and cgroups removed.  A crash in between leaves remains without a
pod, which the next agent finds and removes the same way.

Upstream: ``pkg/kubelet/pod_workers.go`` ``SyncTerminatedPod``.
"""

from __future__ import annotations

import asyncio
import shutil

from sampan.api.errors import Conflict, NotFound
from sampan.api.resources import PODS
from sampan.kubelet.config import KubeletConfig
from sampan.kubelet.containers import Pod
from sampan.kubelet.context import Context
from sampan.kubelet.runtime_state import PodState


async def delete_pod(context: Context, pod: Pod) -> None:
    """Take the pod out of the API. A pod of the same name with another uid is left alone."""
    meta = pod["metadata"]
    await context.status.flush(meta["uid"])
    try:
        await context.client.delete(PODS, meta["name"], meta["namespace"], uid=meta["uid"], grace_period_seconds=0)
    except (NotFound, Conflict):
        return


async def remove(context: Context, pod: Pod, state: PodState) -> None:
    """Remove what the node still has of the pod."""
    meta = pod["metadata"]
    for container in state.containers:
        await context.runtime.remove_container(container.id)
        await context.cache.refresh_container(container.id)
    for sandbox in state.sandboxes:
        await context.runtime.remove_pod_sandbox(sandbox.id)
        await context.cache.refresh_sandbox(sandbox.id)
    await asyncio.to_thread(context.cgroups.remove, meta["uid"])
    context.images.forget(meta["uid"])
    await context.status.forget(meta["uid"])
    await asyncio.to_thread(_remove_directories, context.config, meta["uid"])


def _remove_directories(config: KubeletConfig, uid: str) -> None:
    """By the uid alone: an orphan's name may not be known any more."""
    for directory in (config.pod_dir(uid), *(config.data_dir / "logs").glob(f"*_{uid}")):
        shutil.rmtree(directory, ignore_errors=True)

"""What a container uses, and changing what it may use: its cgroup's files."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from sampan.runtime.base import ContainerStats, Resources, RuntimeFailure
from sampan.runtime.native import records, rootfs
from sampan.runtime.native.cgroups import Cgroup
from sampan.runtime.native.records import ContainerRecord
from sampan.runtime.native.state import NodeState


async def stats(state: NodeState, record: ContainerRecord) -> ContainerStats:
    return await asyncio.to_thread(_read, state, record)


def _read(state: NodeState, record: ContainerRecord) -> ContainerStats:
    cgroup = Cgroup(record.cgroup)
    usage, working_set = cgroup.memory()
    written = rootfs.size_bytes(state.container_dir(record.id))
    return ContainerStats(record.id, records.now(), cgroup.cpu_nanoseconds(), usage, working_set, written)


async def update_resources(state: NodeState, record: ContainerRecord, resources: Resources) -> None:
    """What is 0 in ``resources`` stays as it is. Raises: RuntimeFailure when the kernel refuses."""
    async with state.lock(record.id):
        if record.phase == "running":
            try:
                await asyncio.to_thread(Cgroup(record.cgroup).apply, resources)
            except OSError as error:
                raise RuntimeFailure(f"cannot update resources of container {record.id!r}: {error}") from error
        record.config = replace(record.config, resources=merged(record.config.resources, resources))
        state.save(record)


def merged(old: Resources, new: Resources) -> Resources:
    names = Resources.__dataclass_fields__
    return Resources(**{name: getattr(new, name) or getattr(old, name) for name in names})

"""Making a container ready to start, and taking it away: root file system, bundle, record.

    containers/<id>/container.json   the record
                    config.json      what runc is told
                    rootfs/          overlay of the image's layers and upper/
                    attach ctl winsz conmon's socket and fifos, while it runs
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from sampan.runtime.base import ContainerConfig, ImagePullFailure, RuntimeFailure
from sampan.runtime.images import reference
from sampan.runtime.images.store import ImageRecord
from sampan.runtime.native import files, host, oci, records, rootfs, stop, users
from sampan.runtime.native.cgroups import Cgroup
from sampan.runtime.native.children import alive
from sampan.runtime.native.records import ContainerRecord, SandboxRecord
from sampan.runtime.native.state import NodeState


async def create(state: NodeState, sandbox_id: str, config: ContainerConfig) -> str:
    """Raises: RuntimeFailure when sandbox, image or user is not there; then nothing of the container is left."""
    pod = state.sandbox(sandbox_id)
    if pod.phase != "ready":
        raise RuntimeFailure(f"sandbox {sandbox_id!r} is not running")
    image, known_as = await asyncio.to_thread(_image, state, config.image)
    container_id = records.new_id()
    directory = state.container_dir(container_id)
    record = ContainerRecord(
        container_id, sandbox_id, config, image.id, records.now(), _log_path(pod, config, directory),
        f"{state.cgroup_parent(pod.config)}/{container_id}", stop_signal(config, image.config),
        image_name=known_as, image_digest=next(iter(image.digests), ""),
    )  # fmt: skip
    try:
        await asyncio.to_thread(_prepare, state, pod, record, image)
    except BaseException as error:
        await asyncio.to_thread(delete, state, record.id, record.cgroup)
        if isinstance(error, OSError):
            raise RuntimeFailure(f"failed to create container {config.name!r}: {error}") from error
        raise
    state.containers[container_id] = record
    state.announce_container("created", record)
    return container_id


def _image(state: NodeState, name: str) -> tuple[ImageRecord, str]:
    """The image, and its tag when it was asked for by id."""
    try:
        found = state.images.find(name)
    except ImagePullFailure as error:
        raise RuntimeFailure(str(error)) from error
    if found is None:
        raise RuntimeFailure(f"failed to resolve image {name!r}: not found")
    tags = state.images.image(found).tags if reference.image_id(name) else ()
    return found, next(iter(tags), "")


def _log_path(pod: SandboxRecord, config: ContainerConfig, directory: Path) -> str:
    if not (pod.config.log_directory and config.log_path):
        return str(directory / "log")
    path = os.path.join(pod.config.log_directory, config.log_path)
    if ":" in path:  # conmon would cut it there
        raise RuntimeFailure(f"log path {path!r} has a colon")
    return path


def stop_signal(config: ContainerConfig, image: Mapping[str, Any]) -> int:
    """The container's, else the image's, else SIGTERM. Raises: RuntimeFailure for an unknown name."""
    name = str(config.stop_signal or image.get("StopSignal") or "SIGTERM").upper()
    if name.isdecimal() and 0 < int(name) <= signal.SIGRTMAX:
        return int(name)
    name = name if name.startswith("SIG") else f"SIG{name}"
    base, sign, offset = name.partition("+")
    try:
        return int(signal.Signals[base]) + (int(offset) if sign else 0)
    except (KeyError, ValueError):
        raise RuntimeFailure(f"unknown stop signal {name!r}") from None


def _prepare(state: NodeState, pod: SandboxRecord, record: ContainerRecord, image: ImageRecord) -> None:
    directory = state.container_dir(record.id)
    directory.mkdir()
    state.save(record)  # before anything that would have to be undone
    state.images.lease(record.id, image.id, directory)
    root = rootfs.mount(directory, state.images.layer_paths(image))
    records.make_directory(os.path.dirname(record.log_path))
    for mount in record.config.mounts:
        if not os.path.exists(mount.host_path):
            records.make_directory(mount.host_path)
    spec = oci.container_spec(_bundle(state, pod, record, image, root), state.host)
    (directory / "config.json").write_bytes(orjson.dumps(spec))
    record.phase = "created"
    state.save(record)


def _bundle(
    state: NodeState, pod: SandboxRecord, record: ContainerRecord, image: ImageRecord, root: Path
) -> oci.Bundle:
    config = record.config
    passwd, group = (rootfs.read_text(root, f"etc/{name}") for name in ("passwd", "group"))
    user = users.resolve(config.security, str(image.config.get("User") or ""), passwd, group)
    return oci.Bundle(
        config, pod.config, image.config, user, str(root), record.cgroup, _pod_namespaces(pod),
        _target_pid(state, config), files.mounts(state.sandbox_dir(pod.id), pod.config),
        host.devices() if config.security.privileged else (),
    )  # fmt: skip


def _pod_namespaces(pod: SandboxRecord) -> dict[str, str]:
    shared = {"pid": f"/proc/{pod.pid}/ns/pid"} if pod.config.pid == "pod" else {}
    return {**pod.pins, **shared}


def _target_pid(state: NodeState, config: ContainerConfig) -> int:
    if not config.pid_target:
        return 0
    target = state.container(config.pid_target)
    if target.phase != "running" or not alive(target.pid, target.pid_start):
        raise RuntimeFailure(f"target container {config.pid_target!r} is not running")
    return target.pid


def release(state: NodeState, record: ContainerRecord) -> None:
    """Give back what only a running container needs: processes left over, cgroup, mount. Blocks."""
    _release(state, record.id, record.cgroup)


def _release(state: NodeState, container_id: str, cgroup: str) -> None:
    if cgroup:
        Cgroup(cgroup).remove()
    rootfs.unmount(state.container_dir(container_id))
    shutil.rmtree(state.runtime_root / container_id, ignore_errors=True)


def delete(state: NodeState, container_id: str, cgroup: str) -> None:
    """Everything of it, made or half-made. Blocks."""
    _release(state, container_id, cgroup)
    state.images.release(container_id)
    records.remove_directory(state.container_dir(container_id))
    state.exit_file(container_id).unlink(missing_ok=True)


async def remove(state: NodeState, record: ContainerRecord) -> None:
    """Also of a running one, which is killed. The log stays: it is the kubelet's."""
    await stop.stop(state, record, 0)
    async with state.lock(record.id):
        await asyncio.to_thread(delete, state, record.id, record.cgroup)
    if state.containers.get(record.id) is record:
        state.announce_container("deleted", record)
        state.forget(record.id)

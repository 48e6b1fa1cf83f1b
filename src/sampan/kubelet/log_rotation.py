"""Keeps the logs of running containers small: at 10 MiB a file is renamed and the runtime opens a new one.

Renamed files are compressed, and all but the newest few are removed.
Upstream: ``pkg/kubelet/logs/container_log_manager.go``.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import shutil
import time
from pathlib import Path

from sampan.kubelet.config import KubeletConfig
from sampan.kubelet.runtime_state import RuntimeCache
from sampan.runtime.base import ContainerStatus, Runtime, RuntimeFailure

log = logging.getLogger(__name__)


async def rotate_logs(config: KubeletConfig, runtime: Runtime, cache: RuntimeCache) -> None:
    """Look at every running container's log once."""
    for uid in cache.uids():
        for status in cache.state(uid).containers:
            if status.state == "running" and _size(status.log_path) > config.container_log_max_bytes:
                await _rotate(config, runtime, status)


async def _rotate(config: KubeletConfig, runtime: Runtime, status: ContainerStatus) -> None:
    path = Path(status.log_path)
    renamed = path.with_name(f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}")
    await asyncio.to_thread(clean_up, path, config.container_log_max_files)
    os.rename(path, renamed)
    try:
        await runtime.reopen_container_log(status.id)
    except RuntimeFailure as error:
        os.rename(renamed, path)  # or the container would go on writing to a file that nobody reads
        log.warning("log was not rotated container=%s error=%s", status.id, error)


def clean_up(path: Path, max_files: int) -> None:
    """Compress earlier rotations, and keep room for the live file and the one about to be renamed. Blocks."""
    rotated = sorted(p for p in path.parent.glob(f"{path.name}.*") if not p.name.endswith(".tmp"))
    keep = max(max_files - 2, 0)
    stale = rotated[: len(rotated) - keep] if len(rotated) > keep else []
    for old in stale:
        old.unlink()
    for old in rotated:
        if old not in stale and old.suffix != ".gz":
            _compress(old)


def _compress(path: Path) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    with path.open("rb") as plain, gzip.open(temporary, "wb") as packed:
        shutil.copyfileobj(plain, packed)
    os.replace(temporary, path.with_name(f"{path.name}.gz"))
    path.unlink()


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0

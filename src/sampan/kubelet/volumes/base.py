"""What every kind of volume is given, and how it refuses.

A kind is one async function.  ``set_up`` kinds return a directory on the host; ``payload`` kinds return files, which
``pod_volumes`` writes as one and writes again when they change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sampan.kubelet.containers import Pod


class VolumeError(Exception):
    """The volume can't be had now. The message goes into a FailedMount event."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a payload. ``owner`` is a user id, ``None`` for root."""

    data: bytes
    mode: int
    owner: int | None = None


Payload = Mapping[str, File]


class Mounter(Protocol):
    """The kernel's side. All three block, and are called in threads."""

    def tmpfs(self, path: Path, *, size_bytes: int = 0, mode: int = 0o755) -> None: ...
    def bind(self, source: str, target: Path) -> None: ...
    def unmount_below(self, path: Path) -> None: ...


class ObjectReader(Protocol):
    """ConfigMaps and Secrets, by namespace and name; ``None``: there is none."""

    async def config_map(self, namespace: str, name: str) -> Mapping[str, Any] | None: ...
    async def secret(self, namespace: str, name: str) -> Mapping[str, Any] | None: ...


#: ``(pod, audience, expiration seconds) -> token``
TokenSource = Callable[[Pod, str, int], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class VolumeContext:
    """One volume of one pod. ``directory`` is where it may put its files."""

    pod: Pod
    name: str
    source: Mapping[str, Any]
    directory: Path
    objects: ObjectReader
    token: TokenSource
    mounter: Mounter
    allocatable: Mapping[str, str]

    @property
    def namespace(self) -> str:
        return str(self.pod["metadata"]["namespace"])

    @property
    def fs_group(self) -> int | None:
        group = (self.pod["spec"].get("securityContext") or {}).get("fsGroup")
        return None if group is None else int(group)


def select(
    data: Mapping[str, bytes], items: Sequence[Mapping[str, Any]] | None, default_mode: int, optional: bool
) -> dict[str, File]:
    """All keys, or the ``items`` among them at their own paths and modes. Raises: VolumeError for a missing key."""
    if not items:
        return {key: File(value, default_mode) for key, value in data.items()}
    chosen: dict[str, File] = {}
    for item in items:
        if item["key"] not in data:
            if optional:
                continue
            raise VolumeError(f"references non-existent config key: {item['key']}")
        mode = item.get("mode")
        chosen[checked_path(item["path"])] = File(data[item["key"]], default_mode if mode is None else mode)
    return chosen


def checked_path(path: str) -> str:
    """The path if it stays inside the volume. Raises: VolumeError."""
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or parts[0].startswith("..") or not path:
        raise VolumeError(f"invalid path: {path}: must be relative and not contain '..'")
    return path

"""What is known of each sandbox and container, in memory and in one small JSON file each.

The file is written before the first side effect and renamed into place, so that whatever line a crash happens on, the
next start finds a record whose ``phase`` says how far it came.  There is no fsync: after a power loss every process is
gone too, and a record that is lost or torn then means "clean up what is left" (``recover``).
"""

from __future__ import annotations

import logging
import os
import shutil
import time
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import orjson

from sampan.runtime.base import (
    ContainerConfig,
    ContainerState,
    ContainerStatus,
    SandboxConfig,
    SandboxStatus,
)

log = logging.getLogger(__name__)

REMOVE_ATTEMPTS = 100
T = TypeVar("T")
Phase = Literal["creating", "created", "starting", "running", "exited"]
_STATES: dict[Phase, ContainerState] = {
    "creating": "created", "created": "created", "starting": "created", "running": "running", "exited": "exited",
}  # fmt: skip


@dataclass(slots=True)
class SandboxRecord:
    """``phase`` goes creating -> ready -> stopped; a pid counts only together with its start time (``pid_start``).

    ``pid`` and ``cgroup`` are the pause process's.
    """

    id: str
    config: SandboxConfig
    created_at: float
    phase: Literal["creating", "ready", "stopped"] = "creating"
    pid: int = 0
    pid_start: int = 0
    ips: tuple[str, ...] = ()
    pins: Mapping[str, str] = field(default_factory=dict)  # OCI namespace type -> where it is held
    cgroup: str = ""

    @property
    def netns(self) -> str:
        return self.pins.get("network", "")

    def status(self) -> SandboxStatus:
        ready = self.phase == "ready"
        return SandboxStatus(
            self.id, ready, self.created_at, self.ips, self.pid if ready else 0, self.netns, self.config
        )


@dataclass(slots=True)
class ContainerRecord:
    id: str
    sandbox_id: str
    config: ContainerConfig
    image_id: str
    created_at: float
    log_path: str
    cgroup: str
    stop_signal: int
    phase: Phase = "creating"
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    pid: int = 0
    pid_start: int = 0
    image_name: str = ""  # a tag and a digest that people know, where the configuration names the image by its id
    image_digest: str = ""

    def status(self) -> ContainerStatus:
        return ContainerStatus(
            self.id, self.sandbox_id, _STATES[self.phase], self.created_at, self.started_at, self.finished_at,
            self.exit_code, self.reason, self.message, self.pid if self.phase == "running" else 0,
            self.image_name or self.config.image, self.image_digest or self.image_id, self.log_path, self.config,
        )  # fmt: skip


def new_id() -> str:
    return os.urandom(32).hex()


def now() -> float:
    return time.time()


def write_atomic(path: Path, data: bytes) -> None:
    """Readers see the old or the new content, never a part."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(data)
    fresh.rename(path)


def save(path: Path, record: SandboxRecord | ContainerRecord) -> None:
    write_atomic(path, orjson.dumps(record))


def load(path: Path, kind: type[T]) -> T | None:
    """None when the file is missing or torn."""
    try:
        return cast(T, revive(kind, orjson.loads(path.read_bytes())))
    except (OSError, ValueError, TypeError, KeyError):
        return None


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def revive(kind: Any, value: Any) -> Any:
    """The inverse of ``orjson.dumps`` for dataclasses: lists become the tuples that the annotations ask for."""
    if is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        return kind(**{f.name: revive(hints[f.name], value[f.name]) for f in fields(kind) if f.name in value})
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else revive(next(a for a in args if a is not type(None)), value)
    if origin is tuple:
        item = args[0] if len(args) == 2 and args[1] is Ellipsis else None
        return tuple(revive(item, v) if item else revive(a, v) for v, a in zip(value, args * len(value), strict=False))
    if origin is Mapping:
        return dict(value)
    return value


def remove_directory(path: Path) -> None:
    """Gone when this returns, also where a monitor that is just ending still writes into it. Blocks."""
    for _ in range(REMOVE_ATTEMPTS):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(0.01)
    log.warning("could not remove path=%s", path)


def make_directory(path: str) -> None:
    Path(path).mkdir(parents=True, exist_ok=True)

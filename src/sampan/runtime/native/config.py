"""Where a node keeps its sandboxes and containers, and which programs it uses."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from sampan.runtime.base import RuntimeFailure


@dataclass(frozen=True, slots=True)
class NativeConfig:
    """``state`` belongs to one node alone; ``images`` is shared by all nodes of the machine."""

    state: Path
    images: Path
    cgroup_root: str = "/sampan"  # parent of sandboxes that name none
    runtime: str = "runc"
    conmon: str = "conmon"
    pause: str = "catatonit"
    registry_mirrors: tuple[tuple[str, str], ...] = ()  # (registry, base URL), tried in order before the registry
    insecure_registries: tuple[str, ...] = ()  # host[:port] that may be spoken to by plain HTTP
    shm_bytes: int = 64 << 20

    def checked(self) -> NativeConfig:
        """With absolute program paths. Raises: RuntimeFailure naming the Debian package that is missing."""
        found = {}
        for field, package in (("runtime", "runc"), ("conmon", "conmon"), ("pause", "catatonit")):
            program = getattr(self, field)
            path = shutil.which(program, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            if path is None:
                raise RuntimeFailure(f"{program} is not installed: apt-get install {package}")
            found[field] = path
        return NativeConfig(
            self.state, self.images, self.cgroup_root, found["runtime"], found["conmon"], found["pause"],
            self.registry_mirrors, self.insecure_registries, self.shm_bytes,
        )  # fmt: skip

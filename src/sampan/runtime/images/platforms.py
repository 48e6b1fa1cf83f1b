"""Pure: which manifest of a multi-architecture image is this machine's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sampan.runtime.base import ImagePullFailure
from sampan.runtime.images.rootfs import architecture

# Variants a machine can run, best first.
_VARIANTS = {"arm64": ("v8", ""), "arm": ("v7", "v6", "v5", "")}


def choose(manifests: Sequence[Mapping[str, Any]], name: str, machine: str = "") -> str:
    """The digest of the fitting entry. Raises: ImagePullFailure when none fits."""
    machine = machine or architecture()
    fitting: dict[str, str] = {}
    for entry in manifests:
        platform = entry.get("platform") or {}
        if platform.get("os") == "linux" and platform.get("architecture") == machine:
            fitting.setdefault(platform.get("variant", ""), str(entry["digest"]))
    for variant in _VARIANTS.get(machine, ()):
        if variant in fitting:
            return fitting[variant]
    if fitting:
        return next(iter(fitting.values()))
    if len(manifests) == 1 and not manifests[0].get("platform"):
        return str(manifests[0]["digest"])
    raise ImagePullFailure(f"{name}: no match for platform linux/{machine} in manifest: not found")

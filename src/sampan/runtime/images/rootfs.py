"""An image of one layer, from a directory that is a root file system."""

from __future__ import annotations

import datetime
import hashlib
import platform
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

import orjson

from sampan.runtime.base import RuntimeFailure
from sampan.runtime.images.store import ImageStore

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def architecture() -> str:
    """This machine's, in Go's words as registries use them."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def image_config(config: Mapping[str, Any], layers: list[str], created: str = "") -> bytes:
    """The OCI image configuration as bytes; its digest is the image id."""
    return orjson.dumps({
        "created": created or datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "architecture": architecture(),
        "os": "linux",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": layers},
    })  # fmt: skip


def from_rootfs(
    store: ImageStore, directory: Path, config: Mapping[str, Any], tag: str, *, consume: bool = False
) -> str:
    """Make ``directory`` an image; returns its id.

    With ``consume`` the directory, which must lie in the store (``store.scratch``), becomes the layer; else it is
    copied.
    """
    with store.adding():
        diff_id, size = _digest(directory)
        if not store.has_layer(diff_id):
            fresh = directory if consume else _copy(store, directory)
            store.adopt_layer(fresh, diff_id)
        elif consume:
            shutil.rmtree(directory)
        return store.add_image(image_config(config, [diff_id]), [diff_id], [tag], size=size)


def _tar(directory: Path) -> subprocess.Popen[bytes]:
    # Sorted, without access times: the same tree has the same digest.
    argv = ["tar", "-C", str(directory), "--sort=name", "--numeric-owner", "--format=posix", "--xattrs",
            "--pax-option=delete=atime,delete=ctime", "-cf", "-", "."]  # fmt: skip
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _digest(directory: Path) -> tuple[str, int]:
    hashed, size = hashlib.sha256(), 0
    with _tar(directory) as tar:
        while chunk := cast(IO[bytes], tar.stdout).read(1 << 20):
            hashed.update(chunk)
            size += len(chunk)
        why = cast(IO[bytes], tar.stderr).read().decode().strip()
    if tar.returncode:
        raise RuntimeFailure(f"cannot read {directory}: {why}")
    return f"sha256:{hashed.hexdigest()}", size


def _copy(store: ImageStore, directory: Path) -> Path:
    fresh = store.scratch()
    fresh.rmdir()
    subprocess.run(["cp", "-a", "--reflink=auto", str(directory), str(fresh)], check=True)
    return fresh

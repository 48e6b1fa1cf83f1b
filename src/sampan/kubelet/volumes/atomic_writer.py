"""Many files change as one: a fresh hidden directory, and one rename that swaps the symbolic link ``..data``.

``volume/key`` is a link to ``..data/key``, and ``..data`` a link to ``..2026_11_22_15_00_00.123456789``.  A reader that
opens ``..data`` once sees either all old or all new files.  Upstream: ``pkg/volume/util/atomic_writer.go``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

from sampan.kubelet.volumes.base import File, Payload

DATA = "..data"


def write(directory: Path, payload: Payload, fs_group: int | None) -> bool:
    """Make the directory show exactly ``payload``; returns whether anything had to change. Blocks."""
    directory.mkdir(parents=True, exist_ok=True)
    current = directory / DATA
    old = directory / os.readlink(current) if current.is_symlink() else None
    if old is not None and _shows(old, payload):
        _link_names(directory, payload)
        return False
    fresh = Path(tempfile.mkdtemp(prefix=time.strftime("..%Y_%m_%d_%H_%M_%S.", time.gmtime()), dir=directory))
    fresh.chmod(0o755)
    for path, file in payload.items():
        _write_file(fresh, path, file, fs_group)
    _give_to_group(fresh, fs_group)
    _swap(directory, fresh.name)
    _link_names(directory, payload)
    _unlink_stale(directory, payload)
    if old is not None and old.parent == directory:
        shutil.rmtree(old, ignore_errors=True)
    return True


def _shows(shown: Path, payload: Payload) -> bool:
    there = {str(p.relative_to(shown)) for p in shown.rglob("*") if p.is_file()}
    return there == set(payload) and all((shown / path).read_bytes() == f.data for path, f in payload.items())


def _write_file(root: Path, path: str, file: File, fs_group: int | None) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(file.data)
    owner = -1 if file.owner is None else file.owner
    mode = file.mode
    if fs_group is not None:
        mode |= (mode & 0o400) >> 3  # what root may read, the group may read
    os.chown(target, owner, -1 if fs_group is None else fs_group)
    target.chmod(mode)


def _give_to_group(root: Path, fs_group: int | None) -> None:
    if fs_group is None:
        return
    for path in [root, *(p for p in root.rglob("*") if p.is_dir())]:
        os.chown(path, -1, fs_group)
        path.chmod(0o2775)


def _swap(directory: Path, name: str) -> None:
    temporary = directory / "..data_tmp"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(name)
    temporary.rename(directory / DATA)


def _link_names(directory: Path, payload: Payload) -> None:
    for top in {path.partition("/")[0] for path in payload}:
        link = directory / top
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{top}")


def _unlink_stale(directory: Path, payload: Payload) -> None:
    wanted = {path.partition("/")[0] for path in payload}
    for entry in directory.iterdir():
        if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in wanted:
            entry.unlink()

"""A layer's tar becomes a directory that overlayfs can mount.

A layer says "this is gone" by a file ``.wh.NAME`` and "nothing from below" by ``.wh..wh..opq``; overlayfs wants a
character device 0:0 and the attribute ``trusted.overlay.opaque``.  The tar comes from strangers: every path is
resolved by the kernel with the layer as root (openat2 RESOLVE_IN_ROOT), so neither ``..`` nor a symlink planted
earlier in the same tar leads out.  Upstream: OCI image-spec layer.md; containerd pkg/archive.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import shutil
import stat
import tarfile
from pathlib import Path
from typing import IO, Any, Protocol, cast

from sampan.runtime.native import syscalls

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_XATTR = "SCHILY.xattr."


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def unpack(tar_stream: Readable, target: Path) -> int:
    """Extract an uncompressed tar into the empty directory ``target``; returns the bytes of file content.

    Raises: tarfile.TarError or OSError. What was extracted until then is left for the caller to delete.
    """
    stream = cast(IO[bytes], tar_stream)
    with tarfile.open(fileobj=stream, mode="r|", errorlevel=2) as tar, contextlib.closing(_Layer(target)) as layer:
        size = 0
        for member in tar:
            layer.add(tar, member)
            size += member.size if member.isreg() else 0
            cast(Any, tar).members.clear()  # or a layer of 100,000 files is held in memory as a whole
        layer.finish()
        return size


class _Layer:
    """The directory being filled. The descriptor of the last parent is kept: tars list a directory's files in a row."""

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._parent_path = ""
        self._parent = os.dup(self._root)
        self._directory_times: list[tuple[str, float]] = []

    def close(self) -> None:
        os.close(self._parent)
        os.close(self._root)

    def add(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = posixpath.normpath("/" + member.name).lstrip("/")
        if not path:
            self._metadata(member, ".", self._root)
            return
        parent, name = posixpath.split(path)
        where = self._open_parent(parent)
        if name == _OPAQUE:
            os.setxattr(f"/proc/self/fd/{where}", "trusted.overlay.opaque", b"y")
        elif name.startswith(_WHITEOUT):
            hidden = name.removeprefix(_WHITEOUT)
            self._clear(hidden, where)
            os.mknod(hidden, stat.S_IFCHR, 0, dir_fd=where)
        else:
            self._create(tar, member, name, where)
            self._metadata(member, name, where)
            if member.isdir():
                self._directory_times.append((path, member.mtime))

    def finish(self) -> None:
        """Directories get their times last: filling them had changed these."""
        for path, mtime in self._directory_times:
            with contextlib.suppress(OSError):
                parent, name = posixpath.split(path)
                os.utime(name, (mtime, mtime), dir_fd=self._open_parent(parent), follow_symlinks=False)

    def _open_parent(self, path: str) -> int:
        if path != self._parent_path:
            fresh = self._open_directory(path)
            os.close(self._parent)
            self._parent, self._parent_path = fresh, path
        return self._parent

    def _open_directory(self, path: str) -> int:
        flags = os.O_PATH | os.O_DIRECTORY
        try:
            return syscalls.open_in_root(self._root, path or ".", flags)
        except FileNotFoundError:
            upper, name = posixpath.split(path)
            above = self._open_directory(upper)
            try:
                os.mkdir(name, 0o755, dir_fd=above)
                return syscalls.open_in_root(above, name, flags)
            except FileExistsError:  # a symlink whose target the layer has not made yet
                target = os.readlink(name, dir_fd=above)
            finally:
                os.close(above)
            return self._open_directory(posixpath.normpath(posixpath.join("/", upper, target)).lstrip("/"))

    def _clear(self, name: str, where: int) -> None:
        """A later entry of the same name replaces the earlier one."""
        try:
            os.unlink(name, dir_fd=where)
        except FileNotFoundError:
            return
        except IsADirectoryError:
            shutil.rmtree(name, dir_fd=where)
        self._forget_parent()

    def _forget_parent(self) -> None:
        os.close(self._parent)
        self._parent, self._parent_path = os.dup(self._root), ""

    def _create(self, tar: tarfile.TarFile, member: tarfile.TarInfo, name: str, where: int) -> None:
        if member.isdir():
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=where)
            if stat.S_ISDIR(os.stat(name, dir_fd=where, follow_symlinks=False).st_mode):
                return
        where = os.dup(where)  # clearing may close the cached one
        try:
            self._clear(name, where)
            self._make(tar, member, name, where)
        finally:
            os.close(where)

    def _make(self, tar: tarfile.TarFile, member: tarfile.TarInfo, name: str, where: int) -> None:
        if member.isdir():
            os.mkdir(name, 0o755, dir_fd=where)
        elif member.isreg():
            fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=where)
            with os.fdopen(fd, "wb", buffering=0) as file:
                content = tar.extractfile(member)
                if content is not None:
                    shutil.copyfileobj(content, file, 1 << 18)
        elif member.issym():
            os.symlink(member.linkname, name, dir_fd=where)
        elif member.islnk():
            self._link(member, name, where)
        elif member.isfifo():
            os.mkfifo(name, 0o600, dir_fd=where)
        elif member.ischr() or member.isblk():
            kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK
            os.mknod(name, kind | 0o600, os.makedev(member.devmajor, member.devminor), dir_fd=where)
        else:
            raise tarfile.ExtractError(f"{member.name}: unknown type {member.type!r}")

    def _link(self, member: tarfile.TarInfo, name: str, where: int) -> None:
        source = posixpath.normpath("/" + member.linkname).lstrip("/")
        parent, base = posixpath.split(source)
        directory = self._open_directory(parent)
        try:
            os.link(base, name, src_dir_fd=directory, dst_dir_fd=where, follow_symlinks=False)
        finally:
            os.close(directory)

    def _metadata(self, member: tarfile.TarInfo, name: str, where: int) -> None:
        if member.islnk():
            return  # it is the other name's
        os.chown(name, member.uid, member.gid, dir_fd=where, follow_symlinks=False)
        if not member.issym():  # after chown, which takes set-user-id away
            os.chmod(name, stat.S_IMODE(member.mode), dir_fd=where)
        for key, value in member.pax_headers.items():
            if key.startswith(_XATTR):
                self._set_attribute(name, where, key.removeprefix(_XATTR), value)
        if not member.isdir():
            os.utime(name, (member.mtime, member.mtime), dir_fd=where, follow_symlinks=False)

    def _set_attribute(self, name: str, where: int, key: str, value: str) -> None:
        # trusted.overlay.* would let an image forge what overlayfs believes.
        if key.startswith("trusted.overlay."):
            return
        path, data = f"/proc/self/fd/{where}/{name}", value.encode("utf-8", "surrogateescape")
        with contextlib.suppress(OSError):  # as upstream: a file system without attributes is no reason to fail
            os.setxattr(path, key, data, follow_symlinks=False)

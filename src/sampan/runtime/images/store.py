"""The machine's images on disk.

    layers/<diff id>/      one unpacked layer, shared by all images and containers that have it
    records/<image id>     JSON: layers, digests, the OCI config; an image exists when its record does
    refs/<quoted name>     the image id that a tag points to
    leases/<container id>  JSON: a container that uses an image, and the directory that proves it still exists
    lock                   flock: shared while an image is being added, exclusive while layers are deleted

Compressed blobs are not kept: a layer is needed unpacked, and a registry can be asked again.  Everything appears by
rename, so a process that dies half-way leaves only a ``tmp-`` entry, deleted with the next collection.  Layers are
keyed by diff id alone, not by chain, so equal layers are stored once whatever lies below them. All methods block on
the disk: call them from a thread.  Upstream: OCI image-spec.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import orjson

from sampan.runtime.base import Image, RuntimeFailure
from sampan.runtime.images import reference
from sampan.runtime.images.unpack import Readable, unpack


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """What ``records/`` holds. ``config`` is the OCI image configuration's inner ``config`` object."""

    id: str
    layers: tuple[str, ...]
    digests: tuple[str, ...]
    size_bytes: int
    config: Mapping[str, Any] = field(default_factory=dict)


class ImageStore:
    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("layers", "records", "refs", "leases"):
            (root / name).mkdir(parents=True, exist_ok=True)

    # Reading

    def find(self, text: str) -> ImageRecord | None:
        """By id, by tag or by digest. Raises: ImagePullFailure for a malformed name."""
        if found := reference.image_id(text):
            return self._record(found)
        wanted = reference.parse(text)
        if wanted.digest:
            digested = wanted.digested(wanted.digest)
            return next((r for r in self._records() if digested in r.digests), None)
        with contextlib.suppress(FileNotFoundError):
            return self._record(self._ref(str(wanted)).read_text())
        return None

    def images(self) -> list[Image]:
        tags: dict[str, list[str]] = {}
        for ref in sorted((self.root / "refs").iterdir()):
            if not ref.name.startswith("tmp-"):
                with contextlib.suppress(FileNotFoundError):
                    tags.setdefault(ref.read_text(), []).append(unquote(ref.name))
        return [_image(record, tags.get(record.id, [])) for record in self._records()]

    def image(self, record: ImageRecord) -> Image:
        return next((i for i in self.images() if i.id == record.id), _image(record, []))

    def layer_paths(self, record: ImageRecord) -> list[Path]:
        """The unpacked layers, base first."""
        return [self.layer(diff_id) for diff_id in record.layers]

    def layer(self, diff_id: str) -> Path:
        return self.root / "layers" / diff_id.removeprefix("sha256:")

    def has_layer(self, diff_id: str) -> bool:
        return self.layer(diff_id).is_dir()

    # Adding

    @contextlib.contextmanager
    def adding(self) -> Iterator[None]:
        """While an image is put together its layers belong to no record yet: nobody may collect them."""
        with self._locked(fcntl.LOCK_SH):
            yield

    def add_layer(self, tar_stream: Readable, expected: str = "") -> str:
        """Unpack an uncompressed tar as a layer; returns its diff id.

        Raises: RuntimeFailure when it isn't ``expected``.
        """
        fresh = self._fresh("layers")
        fresh.mkdir()
        hashed = _Hashing(tar_stream)
        try:
            unpack(hashed, fresh)
            hashed.drain()
            diff_id = f"sha256:{hashed.digest.hexdigest()}"
            if expected and diff_id != expected:
                raise RuntimeFailure(f"layer {expected} unpacked to {diff_id}")
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        self.adopt_layer(fresh, diff_id)
        return diff_id

    def adopt_layer(self, directory: Path, diff_id: str) -> None:
        """Make a directory on the store's file system a layer, by rename. The first of two wins."""
        try:
            directory.rename(self.layer(diff_id))
        except OSError:
            if not self.has_layer(diff_id):
                raise
            shutil.rmtree(directory, ignore_errors=True)

    def scratch(self) -> Path:
        """A new empty directory on the store's file system, for whoever makes a layer; left ones are collected."""
        fresh = self._fresh("layers")
        fresh.mkdir()
        return fresh

    def add_image(
        self, config: bytes, layers: Sequence[str], tags: Sequence[str], digests: Sequence[str] = (), size: int = 0
    ) -> str:
        """Record an image whose layers are all there; returns its id, the digest of ``config``."""
        found = f"sha256:{hashlib.sha256(config).hexdigest()}"
        if missing := [layer for layer in layers if not self.has_layer(layer)]:
            raise RuntimeFailure(f"image {found} lacks layer {missing[0]}")
        known = self._record(found)
        digests = sorted({*digests, *(known.digests if known else ())})
        size = size or (known.size_bytes if known else 0)
        inner = orjson.loads(config).get("config") or {}
        record = ImageRecord(found, tuple(layers), tuple(digests), size, inner)
        self._write("records", found.removeprefix("sha256:"), orjson.dumps(record))
        for tag in tags:
            self.tag(found, tag)
        return found

    def tag(self, image: str, name: str) -> None:
        self._write("refs", quote(str(reference.parse(name)), safe=""), image.encode())

    # Using and removing

    def lease(self, container: str, image: str, proof: Path) -> None:
        """Container ``container`` uses the image for as long as the directory ``proof`` exists."""
        self._write("leases", container, orjson.dumps({"image": image, "proof": str(proof)}))

    def release(self, container: str) -> None:
        (self.root / "leases" / container).unlink(missing_ok=True)

    def users(self, image: str) -> list[str]:
        """Containers that use an image, on any node of the machine."""
        found = []
        for lease in (self.root / "leases").iterdir():
            with contextlib.suppress(OSError, ValueError, KeyError):
                entry = orjson.loads(lease.read_bytes())
                if not Path(entry["proof"]).exists():
                    lease.unlink(missing_ok=True)
                elif entry["image"] == image:
                    found.append(lease.name)
        return found

    def remove(self, text: str) -> None:
        """Take a tag away, or by id the image with all its tags. Not there: nothing to do.

        Raises: RuntimeFailure in use.
        """
        record = self.find(text)
        if record is None:
            return
        tags = list(self.image(record).tags)
        by_tag = reference.image_id(text) is None and "@" not in text
        doomed = [str(reference.parse(text))] if by_tag else tags
        last = set(doomed) >= set(tags)
        if last and (users := self.users(record.id)):
            raise RuntimeFailure(f"image {text} is in use by container {users[0]}")
        for tag in doomed:
            self._ref(tag).unlink(missing_ok=True)
        if last:
            self._record_path(record.id).unlink(missing_ok=True)
            self.collect()

    def collect(self) -> None:
        """Delete layers that no record names. Left for later while somebody is adding an image."""
        with contextlib.suppress(BlockingIOError), self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB):
            wanted = {layer.removeprefix("sha256:") for record in self._records() for layer in record.layers}
            for layer in (self.root / "layers").iterdir():
                if layer.name not in wanted:
                    shutil.rmtree(layer, ignore_errors=True)

    def _record_path(self, image: str) -> Path:
        return self.root / "records" / image.removeprefix("sha256:")

    def _ref(self, name: str) -> Path:
        return self.root / "refs" / quote(name, safe="")

    def _record(self, image: str) -> ImageRecord | None:
        try:
            found = orjson.loads(self._record_path(image).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return ImageRecord(
            found["id"], tuple(found["layers"]), tuple(found["digests"]), found["size_bytes"], found["config"]
        )

    def _records(self) -> list[ImageRecord]:
        names = [p.name for p in (self.root / "records").iterdir() if not p.name.startswith("tmp-")]
        return [record for name in sorted(names) if (record := self._record(name))]

    def _fresh(self, room: str) -> Path:
        return self.root / room / f"tmp-{os.urandom(8).hex()}"

    def _write(self, room: str, name: str, data: bytes) -> None:
        fresh = self._fresh(room)
        fresh.write_bytes(data)
        fresh.rename(self.root / room / name)

    @contextlib.contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        fd = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, how)
            yield
        finally:
            os.close(fd)


class _Hashing:
    """A byte stream that learns its own digest. tarfile stops at the end mark: ``drain`` reads what follows."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self.digest.update(data)
        return data

    def drain(self) -> None:
        while self.read(1 << 20):
            pass


def _image(record: ImageRecord, tags: Sequence[str]) -> Image:
    return Image(record.id, tuple(tags), record.digests, record.size_bytes, record.config)

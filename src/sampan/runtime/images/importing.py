"""Images from a file: what `docker save` or `podman save` wrote, or an OCI image layout, as a tar (compressed or not).

Both kinds are a tar of blobs with a table of contents: ``manifest.json`` in Docker's, ``index.json`` in OCI's. A new
`docker save` writes both; Docker's is read then, because it knows the tags.
Upstream: OCI image-spec image-layout.md; docker image/tarexport.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, cast

import orjson

from sampan.runtime.base import RuntimeFailure
from sampan.runtime.images import reference
from sampan.runtime.images.decompress import decompressed
from sampan.runtime.images.platforms import choose
from sampan.runtime.images.store import ImageStore

_INDEX_KINDS = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")


def import_archive(store: ImageStore, archive: Path, tags: Sequence[str] = ()) -> list[str]:
    """Add every image of the file; returns their ids. ``tags`` go to the first one. Raises: RuntimeFailure."""
    try:
        with store.adding(), tarfile.open(archive) as tar:
            found = _Archive(tar)
            if "manifest.json" in found:
                ids = _docker(store, found)
            elif "index.json" in found:
                ids = _oci(store, found)
            else:
                raise RuntimeFailure(f"{archive} is neither a docker-save nor an OCI archive")
    except (tarfile.TarError, OSError, ValueError, KeyError) as error:
        raise RuntimeFailure(f"cannot import {archive}: {error}") from error
    for tag in tags:
        store.tag(ids[0], tag)
    return ids


class _Archive:
    """Members by name; blobs are looked up as ``blobs/sha256/<hex>`` and must hash to that."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._members = {member.name.removeprefix("./"): member for member in tar}

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def open(self, name: str) -> IO[bytes]:
        file = self._tar.extractfile(self._members[name])
        if file is None:
            raise RuntimeFailure(f"{name} in the archive is no file")
        return file

    def json(self, name: str) -> Any:
        return orjson.loads(self.open(name).read())

    def blob(self, digest: str) -> bytes:
        data = self.open(_blob_name(digest)).read()
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            raise RuntimeFailure(f"blob {digest} in the archive has another digest")
        return data

    def size(self, name: str) -> int:
        return self._members[name].size


def _blob_name(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _docker(store: ImageStore, archive: _Archive) -> list[str]:
    ids = []
    for entry in archive.json("manifest.json"):
        config = archive.open(entry["Config"]).read()
        ids.append(_add(store, archive, config, entry["Layers"], entry.get("RepoTags") or []))
    if not ids:
        raise RuntimeFailure("the archive holds no image")
    return ids


def _oci(store: ImageStore, archive: _Archive) -> list[str]:
    ids = []
    for entry in archive.json("index.json")["manifests"]:
        notes = entry.get("annotations") or {}
        name = notes.get("io.containerd.image.name") or notes.get("org.opencontainers.image.ref.name") or ""
        manifest = orjson.loads(archive.blob(entry["digest"]))
        if entry.get("mediaType") in _INDEX_KINDS or "manifests" in manifest:
            manifest = orjson.loads(archive.blob(choose(manifest["manifests"], name or "archive")))
        config = archive.blob(manifest["config"]["digest"])
        layers = [_blob_name(layer["digest"]) for layer in manifest["layers"]]
        ids.append(_add(store, archive, config, layers, [name] if _is_a_name(name) else []))
    if not ids:
        raise RuntimeFailure("the archive holds no image")
    return ids


def _is_a_name(name: str) -> bool:
    """``ref.name`` may be a full name, or just a tag: then nobody knows of what."""
    return "/" in name and reference.parse(name) is not None


def _add(store: ImageStore, archive: _Archive, config: bytes, layers: Sequence[str], tags: Sequence[str]) -> str:
    diff_ids = cast(list[str], orjson.loads(config)["rootfs"]["diff_ids"])
    if len(diff_ids) != len(layers):
        raise RuntimeFailure(f"the archive has {len(layers)} layers, its config names {len(diff_ids)}")
    for name, diff_id in zip(layers, diff_ids, strict=True):
        if not store.has_layer(diff_id):
            store.add_layer(decompressed(archive.open(name)), diff_id)
    return store.add_image(config, diff_ids, tags, size=sum(map(archive.size, layers)))

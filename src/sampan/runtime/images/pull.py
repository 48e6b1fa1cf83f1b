"""Pulling: name -> manifest -> this machine's platform -> config and layers -> one record in the store.

Layers come in parallel, and one that the store has is not asked for again. The same image asked for twice at the same
time is pulled once.  Upstream: containerd core/remotes, pkg/cri/server/image_pull.go, whose messages are kept.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from sampan import __version__
from sampan.runtime.base import Credentials, ImagePullFailure, RuntimeFailure
from sampan.runtime.images import reference
from sampan.runtime.images.decompress import decompressed
from sampan.runtime.images.platforms import choose
from sampan.runtime.images.reference import Reference
from sampan.runtime.images.registry import INDEXES, MANIFESTS, Registry, bases
from sampan.runtime.images.store import ImageStore

_PARALLEL_LAYERS = 3


class Puller:
    def __init__(
        self, store: ImageStore, *, mirrors: Sequence[tuple[str, str]] = (), insecure: Sequence[str] = ()
    ) -> None:
        self._store = store
        self._mirrors = mirrors
        self._insecure = insecure
        self._running: dict[tuple[str, Credentials], asyncio.Task[str]] = {}

    async def pull(self, text: str, credentials: Credentials) -> str:
        """Returns the image id. Raises: ImagePullFailure."""
        wanted = reference.parse(text)
        key = (str(wanted), credentials)
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._pull(wanted, credentials))
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task)

    async def _pull(self, wanted: Reference, credentials: Credentials) -> str:
        timeout = aiohttp.ClientTimeout(total=None, connect=30, sock_read=60)
        agent = {"User-Agent": f"sampan/{__version__}"}
        failure: Exception = ImagePullFailure("no registry to ask")
        trusted = await asyncio.to_thread(ssl.create_default_context)  # reading all authorities takes 50 ms
        session = aiohttp.ClientSession(
            timeout=timeout, headers=agent, auto_decompress=False, connector=aiohttp.TCPConnector(ssl=trusted))
        async with session:
            for base in bases(wanted, self._mirrors, self._insecure):
                try:
                    return await self._from(Registry(session, base, wanted, credentials), wanted)
                except (ImagePullFailure, aiohttp.ClientError, TimeoutError, OSError, RuntimeFailure) as error:
                    failure = error
        why = str(failure) or type(failure).__name__
        raise ImagePullFailure(f'failed to pull and unpack image "{wanted}": {why}') from failure

    async def _from(self, registry: Registry, wanted: Reference) -> str:
        manifest, digest = await registry.manifest(wanted.target)
        if manifest["mediaType"] in INDEXES or "manifests" in manifest:
            manifest, _ = await registry.manifest(choose(manifest["manifests"], str(wanted)))
        if manifest["mediaType"] not in MANIFESTS and "layers" not in manifest:
            raise ImagePullFailure(f"manifest type {manifest['mediaType']} is not supported")
        room = self._store.root / "downloads"
        room.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=room) as scratch:
            adding = self._store.adding()
            await asyncio.to_thread(adding.__enter__)
            try:
                return await self._fetch(registry, wanted, manifest, digest, Path(scratch))
            finally:
                adding.__exit__(None, None, None)

    async def _fetch(
        self, registry: Registry, wanted: Reference, manifest: dict[str, Any], digest: str, scratch: Path
    ) -> str:
        await registry.blob(manifest["config"]["digest"], scratch / "config")
        config = (scratch / "config").read_bytes()
        diff_ids = orjson.loads(config).get("rootfs", {}).get("diff_ids", [])
        if len(diff_ids) != len(manifest["layers"]):
            raise ImagePullFailure(f"{len(manifest['layers'])} layers, but the config names {len(diff_ids)}")
        turn = asyncio.Semaphore(_PARALLEL_LAYERS)
        try:
            async with asyncio.TaskGroup() as group:
                for number, (layer, diff_id) in enumerate(zip(manifest["layers"], diff_ids, strict=True)):
                    group.create_task(self._layer(registry, layer, diff_id, scratch / str(number), turn))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        size = sum(layer.get("size", 0) for layer in manifest["layers"]) + len(config)
        tags = [str(wanted)] if wanted.tag else []
        return await asyncio.to_thread(
            self._store.add_image, config, diff_ids, tags, [wanted.digested(digest)], size
        )

    async def _layer(
        self, registry: Registry, layer: dict[str, Any], diff_id: str, into: Path, turn: asyncio.Semaphore
    ) -> None:
        async with turn:
            if self._store.has_layer(diff_id):
                return
            await registry.blob(layer["digest"], into)
            await asyncio.to_thread(self._unpack, into, diff_id)

    def _unpack(self, blob: Path, diff_id: str) -> None:
        with blob.open("rb") as file:
            self._store.add_layer(decompressed(file), diff_id)
        blob.unlink()

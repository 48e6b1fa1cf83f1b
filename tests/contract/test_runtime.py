"""The contract of ``runtime.Runtime`` on every runtime, with real containers."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from sampan.runtime.images.busybox import build_busybox
from sampan.runtime.images.store import ImageStore
from sampan.runtime.native.cgroups import Cgroup
from sampan.runtime.native.config import NativeConfig
from sampan.runtime.native.runtime import NativeRuntime
from sampan.testing import check_runtime, check_runtime_streams
from sampan.testing.check_runtime import IMAGE, Rig

pytestmark = pytest.mark.linux


class Loopback:
    """A pod network that has nothing but lo, which the runtime itself brings up."""

    async def attach(self, sandbox_id: str, netns: str) -> list[str]:
        assert os.stat(netns)
        return ["127.0.0.1"]

    async def detach(self, sandbox_id: str) -> None:
        pass

    async def garbage_collect(self, live: set[str]) -> None:
        pass


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    build_busybox(ImageStore(path), IMAGE)
    return path


@contextlib.asynccontextmanager
async def native(tmp_path: Path, images: Path):
    cgroup = f"/sampan-test-{os.urandom(4).hex()}"
    config = NativeConfig(tmp_path / "node", images, cgroup_root=cgroup)
    started: list[NativeRuntime] = []

    async def start() -> NativeRuntime:
        if started:
            await started[-1].close()
        started.append(NativeRuntime(config, Loopback()))
        await started[-1].start()
        return started[-1]

    rig = Rig(await start(), tmp_path, f"{cgroup}/pod", start)
    try:
        yield rig
    finally:
        for sandbox in await rig.runtime.list_pod_sandboxes():
            await rig.runtime.remove_pod_sandbox(sandbox.id)
        await rig.runtime.close()
        Cgroup(cgroup).remove()


CHECKS = check_runtime.CHECKS + check_runtime_streams.CHECKS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
async def test_it_keeps_its_promise(check, tmp_path, images):
    async with native(tmp_path, images) as rig:
        await check(rig)

"""A native runtime with a busybox image and a network that is only lo; everything it makes is taken away again."""

from __future__ import annotations

import os

import pytest

from sampan.runtime.images.busybox import build_busybox
from sampan.runtime.images.store import ImageStore
from sampan.runtime.native.cgroups import Cgroup
from sampan.runtime.native.config import NativeConfig
from sampan.runtime.native.runtime import NativeRuntime


class Loopback:
    def __init__(self) -> None:
        self.attached: set[str] = set()
        self.live: set[str] | None = None
        self.full = False

    async def attach(self, sandbox_id: str, netns: str) -> list[str]:
        if self.full:
            raise OSError("no address is left in 10.244.0.0/24")
        self.attached.add(sandbox_id)
        return ["127.0.0.1"]

    async def detach(self, sandbox_id: str) -> None:
        self.attached.discard(sandbox_id)

    async def garbage_collect(self, live: set[str]) -> None:
        self.live = live


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    build_busybox(ImageStore(path), "busybox")
    return path


@pytest.fixture
def network():
    return Loopback()


@pytest.fixture
def config(tmp_path, images):
    cgroup = f"/sampan-test-{os.urandom(4).hex()}"
    yield NativeConfig(tmp_path / "node", images, cgroup_root=cgroup)
    Cgroup(cgroup).remove()


@pytest.fixture
async def runtime(config, network):
    runtime = NativeRuntime(config, network)
    await runtime.start()
    yield runtime
    for sandbox in await runtime.list_pod_sandboxes():
        await runtime.remove_pod_sandbox(sandbox.id)
    await runtime.close()

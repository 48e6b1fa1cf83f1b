"""A kubelet on the native runtime, with real mounts and cgroups; only the API is a fake."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager

import pytest

from sampan.api.resources import PODS
from sampan.kubelet.cgroups import Cgroups
from sampan.kubelet.config import KubeletConfig
from sampan.kubelet.kubelet import Kubelet
from sampan.runtime.images.busybox import build_busybox
from sampan.runtime.images.store import ImageStore
from sampan.runtime.native.cgroups import Cgroup
from sampan.runtime.native.config import NativeConfig
from sampan.runtime.native.runtime import NativeRuntime
from sampan.testing.fake_client import FakeClient

IMAGE = "docker.io/library/busybox:latest"


class Loopback:
    """A pod network that is only lo."""

    async def attach(self, sandbox_id, netns):
        return ["127.0.0.1"]

    async def detach(self, sandbox_id):
        pass

    async def garbage_collect(self, live):
        pass


class Node:
    def __init__(self, directory, images):
        self.client = FakeClient(time.time)
        self.cgroup = f"/sampan-test-{os.urandom(4).hex()}"
        self.directory = directory
        self.images = images
        self.kubelet = self._kubelet()

    def _kubelet(self):
        self.runtime = NativeRuntime(NativeConfig(self.directory / "runtime", self.images, self.cgroup), Loopback())
        config = KubeletConfig("n1", "127.0.0.1", self.directory / "kubelet", pod_cidr="10.244.0.0/24",
                               cgroup_root=self.cgroup)
        return Kubelet(config, self.client, self.runtime)

    async def restart(self):
        await self.kubelet.close()
        self.kubelet = self._kubelet()
        await self.kubelet.start()

    def create(self, name="web", *, containers, **spec):
        for c in containers:
            c.setdefault("image", IMAGE)
            c.setdefault("imagePullPolicy", "IfNotPresent")
        spec = {"containers": containers, "nodeName": "n1", "restartPolicy": "Always",
                "terminationGracePeriodSeconds": 1, **spec}
        meta = {"name": name, "namespace": "default", "uid": f"uid-{name}"}
        return self.client.put(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec,
                                      "status": {"phase": "Pending"}})

    def pod(self, name="web"):
        return self.client.find(PODS, name)

    def container(self, name="web", index=0):
        return ((self.pod(name) or {}).get("status", {}).get("containerStatuses") or [{}])[index]

    def ready(self, name="web"):
        conditions = (self.pod(name) or {}).get("status", {}).get("conditions", ())
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    async def until(self, condition, seconds=20):
        async with asyncio.timeout(seconds):
            await self.client.until(condition)

    async def sh(self, script, name="web", container="app"):
        state = self.kubelet.state(f"uid-{name}")
        result = await self.runtime.exec_sync(state.latest(container).id, ["sh", "-c", script], 10)
        return (result.stdout + result.stderr).decode()

    def cgroups(self):
        return Cgroups(self.cgroup).uids()

    def mounts(self):
        with open("/proc/self/mountinfo") as lines:
            return [line.split()[4] for line in lines if str(self.directory) in line]


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    build_busybox(ImageStore(path), "busybox")
    return path


@asynccontextmanager
async def running_node(directory, images):
    made = Node(directory, images)
    await made.kubelet.start()
    try:
        yield made
    finally:
        for sandbox in await made.runtime.list_pod_sandboxes():
            await made.runtime.remove_pod_sandbox(sandbox.id)
        await made.kubelet.close()
        for mounted in sorted(made.mounts(), key=len, reverse=True):
            os.system(f"umount -l {mounted}")  # noqa: ASYNC221 - only what a failed test left
        Cgroup(made.cgroup).remove()


@pytest.fixture
async def node(tmp_path, images):
    async with running_node(tmp_path, images) as made:
        yield made

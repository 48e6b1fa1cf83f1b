"""Builders: a pod, what the runtime has of it, and a whole node in virtual time."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from sampan.api.resources import PODS
from sampan.kubelet.actions import Observed
from sampan.kubelet.config import KubeletConfig
from sampan.kubelet.containers import spec_hash
from sampan.kubelet.kubelet import Kubelet
from sampan.kubelet.labels import BACKOFF, HASH, container_labels
from sampan.kubelet.runtime_state import PodState
from sampan.runtime.base import ContainerConfig, ContainerStatus, SandboxConfig, SandboxStatus
from sampan.testing import virtual_time
from sampan.testing.fake_client import FakeClient
from sampan.testing.fake_runtime import FakeRuntime

NOW = 1_795_000_000.0


def container(name, **spec):
    return {"name": name, "image": "app:1", "imagePullPolicy": "IfNotPresent", **spec}


def make_pod(name="web", *, containers=None, init=(), uid="", meta=None, **spec):
    spec = {
        "containers": containers if containers is not None else [container("app")],
        "nodeName": "n1", "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, **spec,
    }
    if init:
        spec["initContainers"] = list(init)
    metadata = {"name": name, "namespace": "default", "uid": uid or f"uid-{name}", "generation": 1, **(meta or {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}


def sandbox(id="s1", *, ready=True, attempt=0):
    config = SandboxConfig("web", "default", "uid-web", attempt)
    return SandboxStatus(id, ready, NOW - 100, ("10.244.0.2",), 1 if ready else 0, "/netns", config)


def ran(pod, name, state="running", *, id="", attempt=0, code=0, ago=1.0, lasted=5.0, backoff=0, sandbox="s1"):
    """One attempt: ``ago`` seconds since it ended (or began, if it runs)."""
    spec = next(c for key in ("initContainers", "containers", "ephemeralContainers")
                for c in pod["spec"].get(key, ()) if c["name"] == name)
    config = ContainerConfig(name, "app:1", attempt, labels=container_labels(pod, name),
                             annotations={HASH: spec_hash(spec), BACKOFF: str(backoff)})
    ended = NOW - ago if state == "exited" else 0
    started = {"exited": NOW - ago - lasted, "running": NOW - ago}.get(state, 0)
    reason = "" if state != "exited" else "Completed" if code == 0 else "Error"
    return ContainerStatus(id or f"{name}-{attempt}", sandbox, state, NOW - 200 + attempt, started, ended, code, reason,
                           "", 0, "app:1", "sha256:app:1", "", config)


def seen(*containers, sandboxes=None, **more):
    state = PodState(tuple([sandbox()] if sandboxes is None else sandboxes), tuple(containers))
    return Observed(state, more.pop("now", NOW), **more)


class NoMounts:
    """A ``Mounter`` that makes plain directories."""

    def tmpfs(self, path, *, size_bytes=0, mode=0o755):
        path.mkdir(parents=True, exist_ok=True)

    def bind(self, source, target):
        pass

    def unmount_below(self, path):
        pass


class NoCgroups:
    def __init__(self):
        self.made = set()

    def create(self, pod):
        self.made.add(pod["metadata"]["uid"])
        return f"/test/{pod['metadata']['uid']}"

    def remove(self, uid):
        self.made.discard(uid)


class Node:
    """A kubelet with fakes around it. ``restart`` is ``kill -9`` of the agent and a new one on the same runtime."""

    def __init__(self, directory: Path, **config):
        now = virtual_time.now
        self.client = FakeClient(now)
        self.runtime = FakeRuntime(now)
        self.cgroups = NoCgroups()
        settings = {"node_name": "n1", "node_ip": "172.29.0.2", "data_dir": directory, "pod_cidr": "10.244.0.0/24"}
        self.config = KubeletConfig(**{**settings, **config})
        self.kubelet = self._kubelet()

    def _kubelet(self):
        return Kubelet(self.config, self.client, self.runtime, mounter=NoMounts(), cgroups=self.cgroups,
                       now=virtual_time.now)

    async def restart(self):
        await self.kubelet.close()
        self.runtime.crash_after = None
        self.kubelet = self._kubelet()
        await self.kubelet.start()

    def create(self, pod):
        return self.client.put(PODS, pod)

    def pod(self, name="web"):
        return self.client.find(PODS, name)

    def status(self, name="web"):
        return (self.pod(name) or {}).get("status") or {}

    def ready(self, name="web"):
        return any(c["type"] == "Ready" and c["status"] == "True" for c in self.status(name).get("conditions", ()))

    def events(self, reason=""):
        found = [o for kind, o in self.client.history if o.get("kind") == "Event"]
        return [e["message"] for e in found if reason in ("", e["reason"])]

    async def until(self, condition):
        await self.client.until(condition)

    async def delete(self, name="web", grace=None):
        await self.client.delete(PODS, name, "default", grace_period_seconds=grace)


@asynccontextmanager
async def node(directory, **config):
    made = Node(directory, **config)
    await made.kubelet.start()
    try:
        yield made
    finally:
        await made.kubelet.close()


def on_a_node(directory, scenario, **config):
    """Run ``scenario(node)`` in virtual time."""

    async def main():
        async with node(directory, **config) as made:
            await scenario(made)

    virtual_time.run(main())


async def settle(seconds):
    await asyncio.sleep(seconds)


def with_status(pod, **status):
    return {**pod, "status": {**pod["status"], **status}}


def changed(status, **fields):
    return replace(status, **fields)

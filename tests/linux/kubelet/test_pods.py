"""Pods on the real kernel: what a container sees, and that nothing of it stays."""

import asyncio
import base64
import time

import pytest

from sampan.api.resources import CONFIGMAPS, PODS, SECRETS
from sampan.kubelet.volumes.mounts import KernelMounter, mounts_below

# ruff: noqa: ASYNC110  (the kernel has no event to wait for)

pytestmark = pytest.mark.linux

SLEEP = {"name": "app", "command": ["sleep", "1000"]}


async def gone(node, name="web"):
    await node.client.delete(PODS, name, "default")
    await node.until(lambda: node.pod(name) is None)


async def test_pod_is_ready_quickly_and_gone_with_everything(node):
    node.create(containers=[dict(SLEEP, resources={"requests": {"cpu": "100m"}, "limits": {"memory": "64Mi"}})])
    await node.until(node.ready)
    assert node.cgroups() == {"uid-web"}
    begun = time.monotonic()
    await gone(node)
    assert time.monotonic() - begun < 3
    deadline = time.monotonic() + 5
    while node.cgroups() or await node.runtime.list_pod_sandboxes():  # removed after the API has forgotten it
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert node.mounts() == []


async def test_what_a_container_sees(node):
    node.client.put(CONFIGMAPS, {"kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "default"},
                                 "data": {"a": "one"}})
    secret = base64.b64encode(b"s3cret").decode()
    node.client.put(SECRETS, {"kind": "Secret", "metadata": {"name": "keys", "namespace": "default"},
                              "data": {"k": secret}})
    mounts = [{"name": "c", "mountPath": "/c"}, {"name": "s", "mountPath": "/s", "readOnly": True},
              {"name": "m", "mountPath": "/m"}, {"name": "e", "mountPath": "/e", "subPathExpr": "$(POD)/x"}]
    env = [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
           {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    node.create(
        containers=[dict(SLEEP, volumeMounts=mounts, env=env)],
        volumes=[{"name": "c", "configMap": {"name": "settings"}}, {"name": "s", "secret": {"secretName": "keys"}},
                 {"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
                 {"name": "e", "emptyDir": {}}],
        securityContext={"fsGroup": 4711}, hostAliases=[{"ip": "192.0.2.9", "hostnames": ["far"]}],
    )
    await node.until(node.ready)
    assert await node.sh("cat /c/a /s/k") == "ones3cret"
    assert await node.sh("echo $POD $IP; hostname") == "web 127.0.0.1\nweb\n"
    assert "192.0.2.9\tfar" in await node.sh("cat /etc/hosts")
    assert "Read-only file system" in await node.sh("touch /s/x")
    assert (await node.sh("stat -c %g /e /m /c/a/")).split()[:2] == ["4711", "4711"]
    assert "No space left" in await node.sh("dd if=/dev/zero of=/m/big bs=1M count=3")
    assert await node.sh("touch /e/here; ls /e") == "here\n"
    node.client.put(CONFIGMAPS, {"kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "default"},
                                 "data": {"a": "two"}})
    deadline = time.monotonic() + 5
    while await node.sh("cat /c/a") != "two":
        assert time.monotonic() < deadline
    await gone(node)
    assert mounts_below(node.directory / "kubelet") == []


async def test_termination_message_exit_code_and_restart(node):
    script = "echo last words > /dev/termination-log; exit 3"
    node.create(containers=[{"name": "app", "command": ["sh", "-c", script]}], restartPolicy="Never")
    await node.until(lambda: node.pod()["status"]["phase"] == "Failed")
    ended = node.container()["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "last words\n")


async def test_message_falls_back_to_the_log(node):
    app = {"name": "app", "command": ["sh", "-c", "echo from the log; exit 1"],
           "terminationMessagePolicy": "FallbackToLogsOnError"}
    node.create(containers=[app], restartPolicy="Never")
    await node.until(lambda: node.pod()["status"]["phase"] == "Failed")
    assert node.container()["state"]["terminated"]["message"] == "from the log\n"


async def test_restart_of_the_agent_keeps_processes(node):
    node.create(containers=[dict(SLEEP)])
    await node.until(node.ready)
    before = node.kubelet.state("uid-web").latest("app")
    await node.restart()
    after = node.kubelet.state("uid-web").latest("app")
    assert (after.id, after.pid) == (before.id, before.pid)
    await gone(node)


async def test_command_that_does_not_exist_says_so(node):
    node.create(containers=[{"name": "app", "command": ["/no/such"]}])
    await node.until(lambda: node.container().get("restartCount", 0) >= 1
                     or "waiting" in node.container().get("state", {})
                     and node.container()["state"]["waiting"]["reason"] != "ContainerCreating")
    state = node.container()["state"]
    assert "/no/such" in str(state) + str(node.container()["lastState"])


async def test_init_and_exec_probe(node):
    probe = {"exec": {"command": ["test", "-e", "/v/made"]}, "periodSeconds": 1}
    mounts = [{"name": "v", "mountPath": "/v"}]
    node.create(
        containers=[dict(SLEEP, readinessProbe=probe, volumeMounts=mounts)],
        initContainers=[{"name": "i", "image": "docker.io/library/busybox:latest", "command": ["touch", "/v/made"],
                         "volumeMounts": mounts, "imagePullPolicy": "Never"}],
        volumes=[{"name": "v", "emptyDir": {}}],
    )
    await node.until(node.ready)


def test_tmpfs_is_mounted_once_and_unmounted(tmp_path):
    mounter = KernelMounter()
    for _ in range(2):
        mounter.tmpfs(tmp_path / "t", size_bytes=4096)
    assert mounts_below(tmp_path) == [str(tmp_path / "t")]
    mounter.unmount_below(tmp_path)
    assert mounts_below(tmp_path) == []

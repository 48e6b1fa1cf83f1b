"""The agent may be killed at any moment; the next one finds what runs, and takes back what was half-made."""

# ruff: noqa: ASYNC110, ASYNC240  (a test has its loop for itself)

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sampan.runtime.base import ContainerConfig, RuntimeFailure, SandboxConfig
from sampan.runtime.native import syscalls
from sampan.runtime.native.cgroups import hasten_migration
from sampan.runtime.native.runtime import NativeRuntime

pytestmark = pytest.mark.linux

AGENT = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[4])
from conftest import Loopback
from sampan.runtime.base import ContainerConfig, SandboxConfig
from sampan.runtime.native.config import NativeConfig
from sampan.runtime.native.runtime import NativeRuntime

async def main():
    runtime = NativeRuntime(NativeConfig(Path(sys.argv[1]), Path(sys.argv[2]), cgroup_root=sys.argv[3]), Loopback())
    await runtime.start()
    print("up", flush=True)
    for number in range(100):
        pid = ("pod", "container")[number % 2]
        sandbox = SandboxConfig(f"p{number}", "default", f"u{number}", hostname="p", pid=pid)
        pod = await runtime.run_pod_sandbox(sandbox)
        config = ContainerConfig("c", "busybox", command=("sh", "-c", sys.argv[5]))
        container = await runtime.create_container(pod, config)
        await runtime.start_container(container)
        print((await runtime.container_status(container)).pid, container, flush=True)

asyncio.run(main())
"""


def agent(config) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", AGENT, str(config.state), str(config.images), config.cgroup_root,
            str(Path(__file__).parent), "while [ ! -e /stop ]; do sleep 0.01; done; exit 9"]  # fmt: skip
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": "src"})
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    return process


async def take_over(config, network) -> NativeRuntime:
    runtime = NativeRuntime(config, network)
    await runtime.start()
    return runtime


async def remove_all(runtime: NativeRuntime) -> None:
    for pod in await runtime.list_pod_sandboxes():
        await runtime.remove_pod_sandbox(pod.id)
    await runtime.close()


async def test_containers_outlive_a_killed_agent(config, network):
    process = agent(config)
    assert process.stdout is not None
    started = [process.stdout.readline().split() for _ in range(2)]
    process.kill()
    process.communicate()
    runtime = await take_over(config, network)
    try:
        for pid, container in started:
            status = await runtime.container_status(container)
            assert (status.state, status.pid) == ("running", int(pid))
        container = started[0][1]
        await runtime.exec_sync(container, ["touch", "/stop"], 5)
        async with asyncio.timeout(5):
            while (await runtime.container_status(container)).state != "exited":
                await asyncio.sleep(0.01)
        assert (await runtime.container_status(container)).exit_code == 9
    finally:
        await remove_all(runtime)


@pytest.mark.parametrize("milliseconds", [3, 11, 23, 37, 47, 61, 79, 97])
async def test_half_made_things_vanish(config, network, milliseconds):
    mounts = Path("/proc/self/mounts").read_text()
    process = agent(config)
    await asyncio.sleep(milliseconds / 1000)
    process.kill()
    process.communicate()
    runtime = await take_over(config, network)
    try:
        live = {s.id for s in await runtime.list_pod_sandboxes()}
        assert network.live == live
        for room in ("netns", "ipcns", "utsns"):
            assert {p.name for p in (config.state / room).iterdir()} == live
        for status in await runtime.list_containers():
            assert status.sandbox_id in live and status.state in ("created", "running", "exited")
    finally:
        await remove_all(runtime)
    assert Path("/proc/self/mounts").read_text() == mounts
    assert not list((config.state / "containers").iterdir()) and not list((config.state / "run").iterdir())


async def test_a_torn_record_is_taken_back(config, network):
    runtime = await take_over(config, network)
    pod = await runtime.run_pod_sandbox(SandboxConfig("p", "default", "u", hostname="p", pid="pod"))
    await runtime.close()
    (config.state / "sandboxes" / pod / "sandbox.json").write_text("")
    status = (config.state / "sandboxes" / pod / "pid").read_text()
    runtime = await take_over(config, network)
    assert not await runtime.list_pod_sandboxes() and not list((config.state / "netns").iterdir())
    await remove_all(runtime)
    os.kill(int(status), signal.SIGKILL)


async def test_a_killed_monitor_is_noticed(runtime, config, monkeypatch):
    monkeypatch.setattr("sampan.runtime.native.exits._CONMON_GRACE_SECONDS", 0.05)
    pod = await runtime.run_pod_sandbox(SandboxConfig("p", "default", "u", hostname="p"))
    container = await runtime.create_container(pod, ContainerConfig("c", "busybox", command=("sleep", "1000")))
    await runtime.start_container(container)
    os.kill(int((config.state / "containers" / container / "conmon.pid").read_text()), signal.SIGKILL)
    os.kill((await runtime.container_status(container)).pid, signal.SIGKILL)
    async with asyncio.timeout(5):
        while (await runtime.container_status(container)).state != "exited":
            await asyncio.sleep(0.01)
    status = await runtime.container_status(container)
    assert (status.exit_code, status.reason) == (255, "Unknown")


async def test_namespaces_that_are_gone_make_the_sandbox_not_ready(config, network):
    runtime = await take_over(config, network)
    pod = await runtime.run_pod_sandbox(SandboxConfig("p", "default", "u", hostname="p"))
    await runtime.close()
    syscalls.unmount(str(config.state / "ipcns" / pod))  # as a restart of the machine does
    runtime = await take_over(config, network)
    assert not (await runtime.pod_sandbox_status(pod)).ready
    await remove_all(runtime)


async def test_sysctls_are_the_pods_alone(runtime):
    wanted = {"net.ipv4.ip_local_port_range": "1234\t5678", "kernel.shm_rmid_forced": "1"}
    before = {name: Path("/proc/sys", name.replace(".", "/")).read_text() for name in wanted}
    pod = await runtime.run_pod_sandbox(SandboxConfig("p", "default", "u", hostname="p", sysctls=wanted))
    container = await runtime.create_container(pod, ContainerConfig("c", "busybox", command=("sleep", "1000")))
    await runtime.start_container(container)
    paths = [f"/proc/sys/{name.replace('.', '/')}" for name in wanted]
    shown = await runtime.exec_sync(container, ["cat", *paths, "/proc/sys/kernel/hostname"], 5)
    assert shown.stdout == b"1234\t5678\n1\np\n"
    assert before == {name: Path("/proc/sys", name.replace(".", "/")).read_text() for name in wanted}
    with pytest.raises(RuntimeFailure, match="not in a separate kernel namespace"):
        await runtime.run_pod_sandbox(SandboxConfig("q", "default", "v", hostname="q", sysctls={"vm.swappiness": "1"}))
    assert [s.id for s in await runtime.list_pod_sandboxes()] == [pod]


@pytest.mark.parametrize("pid", ["container", "pod"])
async def test_a_dead_pause_process_makes_the_sandbox_not_ready(runtime, pid):
    pod = await runtime.run_pod_sandbox(SandboxConfig("p", "default", "u", hostname="p", pid=pid))
    os.kill((await runtime.pod_sandbox_status(pod)).pid, signal.SIGKILL)
    async with asyncio.timeout(5):
        while (await runtime.pod_sandbox_status(pod)).ready:
            await asyncio.sleep(0.01)
    await runtime.stop_pod_sandbox(pod)


async def test_a_sandbox_that_cannot_be_made_leaves_nothing(runtime, config, network, monkeypatch):
    network.full = True
    with pytest.raises(RuntimeFailure, match="no address is left"):
        await runtime.run_pod_sandbox(SandboxConfig("p", "default", "u", hostname="p"))
    network.full = False
    with pytest.raises(RuntimeFailure, match="sysctl"):
        await runtime.run_pod_sandbox(SandboxConfig("p", "default", "u", hostname="p", sysctls={"kernel.no_such": "1"}))
    for room in ("sandboxes", "netns", "ipcns", "utsns", "run"):
        assert not list((config.state / room).iterdir())
    assert not network.attached


def test_a_hastened_migration_moves_nobody():
    before = Path("/proc/self/cgroup").read_text()
    hasten_migration()
    assert Path("/proc/self/cgroup").read_text() == before

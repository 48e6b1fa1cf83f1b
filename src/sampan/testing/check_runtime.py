"""What every container runtime must do, whatever is behind it: run each of ``CHECKS`` on each implementation.

A ``Rig`` gives a started runtime that knows a busybox image, and takes everything away afterwards.  The checks look
from outside: at /proc, at log files, at what a program inside a container prints.  Streams (exec, attach,
port-forward) are in ``check_runtime_streams``.  Needs root and a kernel.
"""

# ruff: noqa: ASYNC110, ASYNC240  (a check has its loop for itself, and files in /proc have no event to wait for)

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sampan.runtime.base import (
    ContainerConfig,
    ContainerStatus,
    Mount,
    NotFoundInRuntime,
    Resources,
    Runtime,
    RuntimeFailure,
    SandboxConfig,
    SecurityContext,
)

IMAGE = "docker.io/library/busybox:latest"


@dataclass
class Rig:
    """``restart`` gives a second runtime on the same state, as a new agent after the old one has died."""

    runtime: Runtime
    scratch: Path
    cgroup_parent: str
    restart: Callable[[], Awaitable[Runtime]]

    def sandbox_config(self, name: str = "web", **changes: object) -> SandboxConfig:
        config = SandboxConfig(
            name, "default", f"uid-{name}", hostname=name, log_directory=str(self.scratch / "logs" / name),
            cgroup_parent=self.cgroup_parent,
        )  # fmt: skip
        return replace(config, **changes)  # type: ignore[arg-type]

    @asynccontextmanager
    async def sandbox(self, name: str = "web", **changes: object) -> AsyncIterator[str]:
        sandbox = await self.runtime.run_pod_sandbox(self.sandbox_config(name, **changes))
        try:
            yield sandbox
        finally:
            await self.runtime.remove_pod_sandbox(sandbox)

    async def run(self, sandbox: str, script: str = "", name: str = "c", **changes: object) -> str:
        """A started container: a shell script, or a shell that sleeps."""
        config = ContainerConfig(
            name, IMAGE, command=("sh", "-c", script or "trap 'exit 0' TERM; sleep 1000 & wait"), log_path=f"{name}.log"
        )
        container = await self.runtime.create_container(sandbox, replace(config, **changes))  # type: ignore[arg-type]
        await self.runtime.start_container(container)
        return container

    async def ended(self, container: str, seconds: float = 10.0) -> ContainerStatus:
        """Its status once it has exited."""
        end = time.monotonic() + seconds
        while (status := await self.runtime.container_status(container)).state != "exited":
            assert time.monotonic() < end, f"still {status.state} after {seconds} s"
            await asyncio.sleep(0.005)
        return status

    async def output(self, sandbox: str, script: str, **changes: object) -> list[str]:
        """The lines that a script prints in a container of its own."""
        status = await self.ended(await self.run(sandbox, script, **changes))  # type: ignore[arg-type]
        return [text for stream, text in read_log(status.log_path) if stream == "stdout"]


def read_log(path: str) -> list[tuple[str, str]]:
    """[(stream, text), ...]; raises when a line is not in CRI format."""
    found = []
    for line in Path(path).read_text().splitlines():
        stamp, stream, tag, text = line.split(" ", 3)
        assert stamp[10] == "T" and tag in ("F", "P") and stream in ("stdout", "stderr"), line
        found.append((stream, text))
    return found


def namespace(pid: int | str, kind: str) -> str:
    return os.readlink(f"/proc/{pid}/ns/{kind}")


async def refused(call: Awaitable[object], *words: str, kind: type[Exception] = RuntimeFailure) -> str:
    try:
        await call
    except kind as error:
        assert all(word in str(error) for word in words), f"{words} not all in {error}"
        return str(error)
    raise AssertionError(f"was not refused with {kind.__name__}")


async def check_containers_share_the_pods_namespaces(rig: Rig) -> None:
    async with rig.sandbox() as sandbox:
        status = await rig.runtime.pod_sandbox_status(sandbox)
        assert status.ready and status.ips and status.pid and status.netns
        one, two = await rig.run(sandbox, name="one"), await rig.run(sandbox, name="two")
        pids = [(await rig.runtime.container_status(c)).pid for c in (one, two)]
        for kind in ("net", "ipc", "uts"):
            (shared,) = {namespace(pid, kind) for pid in pids}
            assert shared != namespace("self", kind)
            assert namespace(status.pid, kind) == shared, kind
        assert os.stat(status.netns).st_ino == os.stat(f"/proc/{pids[0]}/ns/net").st_ino
        for kind in ("mnt", "pid"):
            assert namespace(pids[0], kind) != namespace(pids[1], kind), kind
        await rig.runtime.exec_sync(one, ["sh", "-c", "echo hello > /dev/shm/x"], 5)
        read = await rig.runtime.exec_sync(two, ["cat", "/dev/shm/x", "/etc/hostname"], 5)
        assert read.stdout == b"hello\nweb\n"


async def check_shared_and_node_namespaces(rig: Rig) -> None:
    async with rig.sandbox(pid="pod") as sandbox:
        pause = (await rig.runtime.pod_sandbox_status(sandbox)).pid
        container = await rig.run(sandbox)
        status = await rig.runtime.container_status(container)
        assert pause and namespace(status.pid, "pid") == namespace(pause, "pid")
        assert namespace(status.pid, "ipc") == namespace(pause, "ipc")
        await rig.runtime.stop_container(container, 0)
        assert (await rig.runtime.container_status(container)).exit_code == 137
    async with rig.sandbox("node", network="node", pid="node", ipc="node") as sandbox:
        assert (await rig.runtime.pod_sandbox_status(sandbox)).netns == ""
        pid = (await rig.runtime.container_status(await rig.run(sandbox))).pid
        for kind in ("net", "pid", "ipc"):
            assert namespace(pid, kind) == namespace("self", kind), kind


async def check_logs_and_exit_codes(rig: Rig) -> None:
    async with rig.sandbox() as sandbox:
        container = await rig.run(sandbox, "echo out; echo err >&2; printf partial; exit 3")
        status = await rig.ended(container)
        assert (status.exit_code, status.reason, status.pid) == (3, "Error", 0)
        assert status.started_at and status.finished_at >= status.started_at - 1
        assert sorted(read_log(status.log_path)) == [("stderr", "err"), ("stdout", "out"), ("stdout", "partial")]
        good = await rig.ended(await rig.run(sandbox, "true", name="good"))
        assert (good.exit_code, good.reason) == (0, "Completed")


async def check_what_cannot_start(rig: Rig) -> None:
    async with rig.sandbox() as sandbox:
        config = ContainerConfig("c", IMAGE, command=("no-such-program",), log_path="c.log")
        container = await rig.runtime.create_container(sandbox, config)
        await refused(rig.runtime.start_container(container), "no-such-program", "executable file not found in $PATH")
        status = await rig.runtime.container_status(container)
        assert (status.state, status.exit_code, status.reason) == ("exited", 128, "StartError")
        assert "executable file not found" in status.message
        await refused(rig.runtime.create_container(sandbox, replace(config, image="nothing:here")), "not found")
        unknown = replace(config, security=SecurityContext(run_as_username="stranger"))
        await refused(rig.runtime.create_container(sandbox, unknown), "unable to find user stranger")
    await refused(rig.runtime.container_status("0" * 64), kind=NotFoundInRuntime)
    await rig.runtime.stop_container("0" * 64, 1)
    await rig.runtime.remove_container("0" * 64)
    await rig.runtime.remove_pod_sandbox("0" * 64)


async def check_stop_waits_and_then_kills(rig: Rig) -> None:
    async with rig.sandbox() as sandbox:
        polite = await rig.run(sandbox, "trap 'echo bye; exit 5' TERM; while :; do sleep 0.02; done", name="polite")
        deaf = await rig.run(sandbox, "trap '' TERM; while :; do sleep 0.02; done", name="deaf")
        special = await rig.run(
            sandbox, "trap 'exit 6' USR1; while :; do sleep 0.02; done", name="special", stop_signal="SIGUSR1"
        )
        await asyncio.sleep(0.1)  # let the shells set their traps: nothing outside shows when they have
        began = time.monotonic()
        await asyncio.gather(
            rig.runtime.stop_container(polite, 10), rig.runtime.stop_container(special, 10),
            rig.runtime.stop_container(deaf, 0.5),
        )  # fmt: skip
        assert 0.5 <= time.monotonic() - began < 5
        codes = [(await rig.runtime.container_status(c)).exit_code for c in (polite, special, deaf)]
        assert codes == [5, 6, 137]
        await rig.runtime.stop_container(polite, 10)


async def check_user_environment_and_directory(rig: Rig) -> None:
    async with rig.sandbox() as sandbox:
        lines = await rig.output(
            sandbox, "id -u; id -g; id -G; pwd; echo $GREETING; echo $HOSTNAME; cat /etc/resolv.conf | head -1",
            working_dir="/made/for/it", env=(("GREETING", "hi there"),),
            security=SecurityContext(run_as_user=1000, run_as_group=3000, supplemental_groups=(4000,)),
        )  # fmt: skip
        assert lines[:2] == ["1000", "3000"] and set(lines[2].split()) == {"3000", "4000"}
        assert lines[3:6] == ["/made/for/it", "hi there", "web"]
        named = await rig.output(sandbox, "id", name="named", security=SecurityContext(run_as_username="nobody"))
        assert named[0].startswith("uid=65534(nobody) gid=65534(nobody)")
        args = ContainerConfig("args", IMAGE, args=("echo", "from args"), log_path="args.log")
        container = await rig.runtime.create_container(sandbox, args)
        await rig.runtime.start_container(container)
        assert read_log((await rig.ended(container)).log_path) == [("stdout", "from args")]


async def check_mounts(rig: Rig) -> None:
    data, file = rig.scratch / "data", rig.scratch / "file"
    data.mkdir(exist_ok=True)
    file.write_text("content\n")
    async with rig.sandbox() as sandbox:
        lines = await rig.output(
            sandbox, "cat /etc/one; echo x > /data/new; echo x > /ro/new || echo refused; cat /etc/hosts",
            mounts=(Mount("/etc/one", str(file), readonly=True), Mount("/data", str(data)),
                    Mount("/ro", str(data), readonly=True), Mount("/etc/hosts", str(file))),
        )  # fmt: skip
        assert lines == ["content", "refused", "content"] and (data / "new").exists()
        readonly = await rig.output(
            sandbox, "touch /x || echo refused", name="ro", security=SecurityContext(readonly_rootfs=True)
        )
        assert readonly == ["refused"]


async def check_privileges(rig: Rig) -> None:
    show = (
        "grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status; "
        "echo x 2>/dev/null > /proc/sys/kernel/domainname || echo readonly; cat /proc/timer_list | wc -c"
    )
    async with rig.sandbox() as sandbox:
        plain = await rig.output(sandbox, show, name="plain")
        assert plain[0].split()[1] == "00000000a80425fb" and plain[2:] == ["readonly", "0"], plain
        security = SecurityContext(drop_capabilities=("ALL",), add_capabilities=("NET_ADMIN",), no_new_privileges=True)
        tight = await rig.output(sandbox, show, name="tight", security=security)
        assert tight[0].split()[1] == f"{1 << 12:016x}" and tight[1].split()[1] == "1"
        strong = await rig.output(
            sandbox,
            "mount -t tmpfs x /tmp && echo mounted; grep ' /sys sysfs rw' /proc/mounts | wc -l; ls /dev | wc -l",
            name="strong", security=SecurityContext(privileged=True),
        )  # fmt: skip
        assert strong[:2] == ["mounted", "1"] and int(strong[2]) > 20, strong
        filtered = await rig.output(
            sandbox, "unshare -r true || echo refused; echo fine", name="filtered",
            security=SecurityContext(seccomp="RuntimeDefault"),
        )  # fmt: skip
        assert filtered == ["refused", "fine"]


async def check_resources(rig: Rig) -> None:
    limits = Resources(memory_limit_bytes=32 << 20, cpu_shares=512, cpu_quota_microseconds=50_000, pids_limit=100)
    async with rig.sandbox() as sandbox:
        hungry = await rig.run(sandbox, "x=a; while :; do x=$x$x; done", name="hungry", resources=limits)
        status = await rig.ended(hungry, 30)
        assert (status.exit_code, status.reason) == (137, "OOMKilled")
        container = await rig.run(sandbox, resources=limits)
        stats = await rig.runtime.container_stats(container)
        assert 0 < stats.memory_working_set_bytes <= 32 << 20 and stats.cpu_usage_nanoseconds > 0
        for bytes_ in (64 << 20, 16 << 20):
            await rig.runtime.update_container_resources(container, Resources(memory_limit_bytes=bytes_))
            kept = (await rig.runtime.container_status(container)).config.resources
            assert (kept.memory_limit_bytes, kept.cpu_shares) == (bytes_, 512)


async def _until(seen: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not seen():
            await asyncio.sleep(0.005)


async def check_log_is_reopened(rig: Rig) -> None:
    async with rig.sandbox() as sandbox:
        container = await rig.run(sandbox, "echo first; trap 'exit 0' TERM; sleep 1000 & wait")
        log = Path((await rig.runtime.container_status(container)).log_path)
        await _until(lambda: read_log(str(log)))
        log.rename(old := log.with_suffix(".1"))
        await rig.runtime.reopen_container_log(container)
        await _until(log.exists)
        await rig.runtime.exec_sync(container, ["sh", "-c", "echo second > /proc/1/fd/1"], 5)
        await _until(lambda: read_log(str(log)))
        assert (read_log(str(old)), read_log(str(log))) == ([("stdout", "first")], [("stdout", "second")])


async def check_restart_finds_everything(rig: Rig) -> None:
    sandbox = await rig.runtime.run_pod_sandbox(rig.sandbox_config())
    runs = await rig.run(sandbox, name="runs")
    ends = await rig.run(sandbox, "while [ ! -e /stop ]; do sleep 0.01; done; exit 9", name="ends")
    ready = ContainerConfig("ready", IMAGE, command=("true",), log_path="ready.log")
    created = await rig.runtime.create_container(sandbox, ready)
    before = await rig.runtime.container_status(runs)
    await rig.runtime.exec_sync(ends, ["touch", "/stop"], 5)
    rig.runtime = await rig.restart()
    after = await rig.runtime.container_status(runs)
    assert (after.state, after.pid, after.started_at) == ("running", before.pid, before.started_at)
    assert after.config == before.config
    assert (await rig.ended(ends)).exit_code == 9
    status = await rig.runtime.pod_sandbox_status(sandbox)
    assert status.ready and status.ips and status.config == rig.sandbox_config()
    await rig.runtime.start_container(created)
    assert (await rig.ended(created)).exit_code == 0
    assert (await rig.runtime.exec_sync(runs, ["echo", "still"], 5)).stdout == b"still\n"
    await rig.runtime.stop_container(runs, 5)
    assert (await rig.runtime.container_status(runs)).state == "exited"
    await rig.runtime.remove_pod_sandbox(sandbox)
    assert not await rig.runtime.list_containers() and not await rig.runtime.list_pod_sandboxes()


async def check_events_tell_of_changes(rig: Rig) -> None:
    events = rig.runtime.events()
    seen: list[str] = []

    async def collect() -> None:
        async for event in events:
            seen.append(event.type)
            assert event.pod_uid == "uid-web"

    listening = asyncio.create_task(collect())
    await asyncio.sleep(0)
    async with rig.sandbox() as sandbox:
        await rig.ended(await rig.run(sandbox, "true"))
    await asyncio.sleep(0)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert seen == ["started", "created", "started", "stopped", "stopped", "deleted", "deleted"], seen


async def check_nothing_is_left(rig: Rig) -> None:
    before = Path("/proc/self/mounts").read_text()
    async with rig.sandbox(pid="pod") as sandbox:
        pause = (await rig.runtime.pod_sandbox_status(sandbox)).pid
        container = await rig.run(sandbox)
        pid = (await rig.runtime.container_status(container)).pid
        await rig.runtime.remove_container(container)
        assert not Path(f"/proc/{pid}/exe").exists()
        await rig.run(sandbox, name="other")
    assert Path("/proc/self/mounts").read_text() == before
    assert not Path(f"/proc/{pause}/exe").exists()
    assert not await rig.runtime.list_containers() and not await rig.runtime.list_pod_sandboxes()


CHECKS = tuple(check for name, check in list(globals().items()) if name.startswith("check_"))

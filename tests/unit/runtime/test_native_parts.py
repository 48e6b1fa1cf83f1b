"""The small pure parts of the native runtime."""

import signal

import pytest

from sampan.runtime.base import (
    ContainerConfig,
    Mount,
    Resources,
    RuntimeFailure,
    SandboxConfig,
    SecurityContext,
)
from sampan.runtime.native import records
from sampan.runtime.native.cgroups import cpu_weight, files_for
from sampan.runtime.native.container import stop_signal
from sampan.runtime.native.exits import reason
from sampan.runtime.native.failures import runtime_message
from sampan.runtime.native.files import mounts, resolv_conf
from sampan.runtime.native.records import ContainerRecord, SandboxRecord
from sampan.runtime.native.stats import merged
from sampan.runtime.native.syscalls import inotify_names
from sampan.runtime.native.users import User, resolve

PASSWD = "root:x:0:0::/root:/bin/sh\nweb:x:33:44:,,:/:\nbroken line\n"
GROUP = "root:x:0:\nweb:x:44:\nextra:x:55:other,web\nstaff:x:66:\n"


@pytest.mark.parametrize(
    ("security", "image_user", "expected"),
    [
        ({}, "", User(0, 0)),
        ({}, "web", User(33, 44, (55,))),
        ({}, "33", User(33, 44, (55,))),
        ({}, "web:staff", User(33, 66, (55,))),
        ({}, "999:888", User(999, 888)),
        ({"run_as_user": 1000}, "web", User(1000, 0)),
        ({"run_as_user": 33, "run_as_group": 7}, "", User(33, 7, (55,))),
        ({"run_as_group": 7}, "web", User(33, 7, (55,))),
        ({"supplemental_groups": (9, 55)}, "web", User(33, 44, (55, 9))),
        ({"run_as_username": "web"}, "root", User(33, 44, (55,))),
    ],
)
def test_users(security, image_user, expected):
    assert resolve(SecurityContext(**security), image_user, PASSWD, GROUP) == expected


@pytest.mark.parametrize("user", ["nobody", "root:nogroup"])
def test_unknown_users(user):
    with pytest.raises(RuntimeFailure, match="no matching entries in"):
        resolve(SecurityContext(), user, PASSWD, GROUP)


def test_cpu_weight():
    assert [cpu_weight(shares) for shares in (2, 1024, 262144, 1, 10**9)] == [1, 39, 10000, 1, 10000]


def test_cgroup_files():
    limits = Resources(cpu_shares=512, cpu_quota_microseconds=5000, memory_limit_bytes=100, pids_limit=7)
    assert files_for(limits, v2=False) == [
        ("cpu", "cpu.shares", "512"), ("cpu", "cpu.cfs_period_us", "100000"), ("cpu", "cpu.cfs_quota_us", "5000"),
        ("memory", "memory.limit_in_bytes", "100"), ("pids", "pids.max", "7"),
    ]  # fmt: skip
    assert files_for(limits, v2=True) == [
        ("cpu", "cpu.weight", "20"), ("cpu", "cpu.max", "5000 100000"),
        ("memory", "memory.max", "100"), ("pids", "pids.max", "7"),
    ]  # fmt: skip
    assert files_for(Resources(cpu_quota_microseconds=-1, memory_limit_bytes=-1), v2=True) == [
        ("cpu", "cpu.max", "max 100000"), ("memory", "memory.max", "max"),
    ]  # fmt: skip
    assert files_for(Resources(), v2=True) == []


@pytest.mark.parametrize(
    ("config", "image", "expected"),
    [("", {}, signal.SIGTERM), ("", {"StopSignal": "SIGQUIT"}, signal.SIGQUIT), ("HUP", {"StopSignal": "9"}, 1),
     ("", {"StopSignal": "9"}, 9), ("SIGRTMIN+3", {}, signal.SIGRTMIN + 3)],
)  # fmt: skip
def test_stop_signals(config, image, expected):
    assert stop_signal(ContainerConfig("c", "i", stop_signal=config), image) == expected


def test_an_unknown_stop_signal():
    with pytest.raises(RuntimeFailure, match="SIGNONE"):
        stop_signal(ContainerConfig("c", "i", stop_signal="none"), {})


def test_reasons():
    assert [reason(0, 0), reason(0, 1), reason(1, 0)] == ["Completed", "Completed", "Error"]
    assert reason(137, 1) == "OOMKilled"


def test_records_come_back_as_they_were(tmp_path):
    config = ContainerConfig(
        "c", "i", env=(("A", "1"),), mounts=(Mount("/a", "/b", propagation="rslave"),), labels={"k": "v"},
        security=SecurityContext(run_as_user=0, add_capabilities=("X",), masked_paths=()), resources=Resources(5),
    )  # fmt: skip
    container = ContainerRecord("id", "s", config, "sha256:1", 1.5, "/log", "/cg", 15, phase="running", pid=7)
    sandbox = SandboxRecord("s", SandboxConfig("n", "ns", "u", sysctls={"a": "b"}), 2.5, ips=("10.0.0.1", "fd00::1"))
    for record in (container, sandbox):
        records.save(tmp_path / "r.json", record)
        assert records.load(tmp_path / "r.json", type(record)) == record
    (tmp_path / "r.json").write_text("{")
    assert records.load(tmp_path / "r.json", SandboxRecord) is None
    assert records.load(tmp_path / "none", SandboxRecord) is None


def test_status_hides_the_pid_of_what_has_ended():
    record = ContainerRecord("id", "s", ContainerConfig("c", "i"), "sha256:1", 1.5, "/log", "/cg", 15, pid=7)
    for phase, state, pid in (("creating", "created", 0), ("starting", "created", 0), ("running", "running", 7),
                              ("exited", "exited", 0)):  # fmt: skip
        record.phase = phase
        assert (record.status().state, record.status().pid) == (state, pid)


def test_resolv_conf():
    config = SandboxConfig(
        "n", "ns", "u", dns_servers=("10.96.0.10",), dns_searches=("a.local", "local"), dns_options=("ndots:5",)
    )
    assert resolv_conf(config) == "search a.local local\nnameserver 10.96.0.10\noptions ndots:5\n"
    assert resolv_conf(SandboxConfig("n", "ns", "u")) == ""


def test_the_nodes_shm_for_the_nodes_ipc(tmp_path):
    shared = {m.container_path: m.host_path for m in mounts(tmp_path, SandboxConfig("n", "ns", "u", ipc="node"))}
    own = {m.container_path: m.host_path for m in mounts(tmp_path, SandboxConfig("n", "ns", "u", hostname="h"))}
    assert shared["/dev/shm"] == "/dev/shm" and own["/dev/shm"] == str(tmp_path / "shm")
    assert "/etc/hostname" in own and "/etc/hostname" not in shared


def test_resources_are_merged():
    assert merged(Resources(cpu_shares=1, memory_limit_bytes=2), Resources(memory_limit_bytes=3)) == Resources(
        cpu_shares=1, memory_limit_bytes=3
    )


def test_the_runtimes_last_words(tmp_path):
    log = tmp_path / "log"
    assert runtime_message(log) == "unknown error"
    log.write_text('{"level":"warning","msg":"w"}\n{"level":"error","msg":"first"}\nnoise\n{"level":"error","msg":"last"}')
    assert runtime_message(log) == "last"


def test_inotify_records():
    def event(name: bytes) -> bytes:
        return b"\1\0\0\0" + b"\0" * 8 + len(name).to_bytes(4, "little") + name

    assert inotify_names(event(b"a".ljust(16, b"\0")) + event(b"bc".ljust(32, b"\0"))) == ["a", "bc"]

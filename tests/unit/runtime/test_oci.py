"""What runc is told, for what the kubelet asked."""

from dataclasses import replace

import pytest

from sampan.runtime.base import ContainerConfig, Mount, Resources, RuntimeFailure, SandboxConfig, SecurityContext
from sampan.runtime.native import oci
from sampan.runtime.native.capabilities import DEFAULT, NAMES
from sampan.runtime.native.users import User

HOST = oci.Host(unified=False, capabilities=frozenset(NAMES), lowest_oom_score_adj=-1000, swap_limits=True)
V2 = replace(HOST, unified=True)
SANDBOX = SandboxConfig("web", "default", "u", hostname="web")
CONFIG = ContainerConfig("c", "busybox", command=("true",))
PINS = {"network": "/netns/x", "ipc": "/ipcns/x", "uts": "/utsns/x"}
BUNDLE = oci.Bundle(CONFIG, SANDBOX, {}, User(0, 0), "/r", "/pod/c", PINS, 0, (Mount("/dev/shm", "/shm"),))


def spec(host=HOST, sandbox=None, **changes):
    bundle = replace(BUNDLE, config=replace(CONFIG, **changes), sandbox=replace(SANDBOX, **(sandbox or {})))
    return oci.container_spec(bundle, host)


@pytest.mark.parametrize(
    ("command", "args", "entrypoint", "cmd", "expected"),
    [
        ((), (), ["e"], ["c"], ["e", "c"]),
        ((), ("a",), ["e"], ["c"], ["e", "a"]),
        (("x",), (), ["e"], ["c"], ["x"]),
        (("x",), ("a",), ["e"], ["c"], ["x", "a"]),
        ((), (), None, ["c"], ["c"]),
    ],
)
def test_command_and_args(command, args, entrypoint, cmd, expected):
    config = replace(CONFIG, command=command, args=args)
    assert oci.arguments(config, {"Entrypoint": entrypoint, "Cmd": cmd}) == expected


def test_nothing_to_run():
    with pytest.raises(RuntimeFailure, match="no command specified"):
        oci.arguments(replace(CONFIG, command=()), {})


def test_environment_is_the_images_then_the_containers():
    image = {"Env": ["A=1", "B=2", "PATH=/bin"]}
    assert oci.environment(replace(CONFIG, env=(("B", "3"), ("C", "x=y")), tty=True), image, "web") == [
        "PATH=/bin", "HOSTNAME=web", "TERM=xterm", "A=1", "B=3", "C=x=y",
    ]  # fmt: skip


def kinds(found):
    return {n["type"]: n.get("path", "") for n in found["linux"]["namespaces"]}


def test_a_container_joins_its_pod():
    assert kinds(spec()) == {"mount": "", "pid": "", **PINS}
    shared = replace(BUNDLE, sandbox=replace(SANDBOX, pid="pod"), namespaces={**PINS, "pid": "/proc/42/ns/pid"})
    assert kinds(oci.container_spec(shared, HOST)) == {"mount": "", "pid": "/proc/42/ns/pid", **PINS}
    node = replace(BUNDLE, sandbox=replace(SANDBOX, pid="node", ipc="node", hostname=""), namespaces={})
    assert set(kinds(oci.container_spec(node, HOST))) == {"mount"}
    assert "cgroup" in kinds(spec(V2)) and "cgroup" not in kinds(spec(V2, security=SecurityContext(privileged=True)))


def test_an_ephemeral_container_joins_its_target():
    bundle = replace(BUNDLE, target_pid=77, sandbox=replace(SANDBOX, pid="pod"), namespaces={"pid": "/proc/42/ns/pid"})
    assert kinds(oci.container_spec(bundle, HOST))["pid"] == "/proc/77/ns/pid"


def granted(**security):
    return spec(security=SecurityContext(**security))["process"]["capabilities"]["effective"]


def test_capabilities():
    assert set(granted()) == set(DEFAULT)
    assert "CAP_NET_ADMIN" in granted(add_capabilities=("NET_ADMIN",))
    assert granted(drop_capabilities=("ALL",), add_capabilities=("CAP_CHOWN",)) == ["CAP_CHOWN"]
    assert set(granted(add_capabilities=("ALL",), drop_capabilities=("SYS_ADMIN",))) == set(NAMES) - {"CAP_SYS_ADMIN"}
    assert granted(privileged=True) == list(NAMES)
    poor = replace(HOST, capabilities=frozenset({"CAP_CHOWN"}))
    privileged = spec(poor, security=SecurityContext(privileged=True))
    assert privileged["process"]["capabilities"]["bounding"] == ["CAP_CHOWN"]


def test_privileged_lifts_masks_and_opens_devices():
    linux = spec(security=SecurityContext(privileged=True))["linux"]
    assert "maskedPaths" not in linux and linux["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    linux = spec(security=SecurityContext(masked_paths=(), readonly_paths=("/proc/x",)))["linux"]
    assert linux["maskedPaths"] == [] and linux["readonlyPaths"] == ["/proc/x"]


def test_the_pods_mounts_replace_the_runtimes():
    mounts = (Mount("/a/b", "/1"), Mount("/a", "/2", readonly=True, propagation="rslave"), Mount("/dev/shm", "/mine"))
    found = spec(mounts=mounts)
    targets = [m["destination"] for m in found["mounts"]]
    assert targets.index("/a") < targets.index("/a/b") and targets.count("/dev/shm") == 1
    by = {m["destination"]: m for m in found["mounts"]}
    assert by["/dev/shm"]["source"] == "/mine" and by["/a"]["options"] == ["rbind", "rslave", "ro"]
    assert found["linux"]["rootfsPropagation"] == "rslave"
    with pytest.raises(RuntimeFailure, match="not absolute"):
        spec(mounts=(Mount("relative", "/x"),))


def test_resources_of_both_versions():
    limits = Resources(memory_limit_bytes=1 << 20, cpu_shares=100, cpu_quota_microseconds=5000, pids_limit=9)
    one, two = oci.resources(limits, HOST), oci.resources(limits, V2)
    assert one["memory"] == {"limit": 1 << 20, "swap": 1 << 20} and one["pids"] == {"limit": 9}
    assert one["cpu"] == {"shares": 100, "quota": 5000, "period": 100_000}
    assert "unified" not in one and two["unified"] == {"memory.oom.group": "1"}
    assert oci.resources(Resources(), HOST) == {"devices": [{"allow": False, "access": "rwm"}]}


def test_oom_score_is_clamped_to_what_we_may_set():
    poor = replace(HOST, lowest_oom_score_adj=0)
    assert spec(poor, resources=Resources(oom_score_adj=-997))["process"]["oomScoreAdj"] == 0
    assert spec(resources=Resources(oom_score_adj=-997))["process"]["oomScoreAdj"] == -997


def test_pause_owns_the_pid_namespace_and_joins_the_others():
    pause = oci.pause_spec("/pause", "/pod/s", PINS, HOST)
    assert kinds(pause) == {"mount": "", "pid": "", **PINS}
    assert pause["root"]["readonly"] and pause["process"]["user"]["uid"] == 65535


def test_seccomp():
    assert "seccomp" not in spec()["linux"]
    rules = spec(security=SecurityContext(seccomp="RuntimeDefault"))["linux"]["seccomp"]["syscalls"]
    assert "mount" in rules[0]["names"] and {r["names"][0] for r in rules[1:]} == {"clone", "clone3"}
    opened = spec(security=SecurityContext(seccomp="RuntimeDefault", add_capabilities=("SYS_ADMIN",)))
    assert "mount" not in opened["linux"]["seccomp"]["syscalls"][0]["names"]
    with pytest.raises(RuntimeFailure, match="cannot load seccomp profile"):
        spec(security=SecurityContext(seccomp="/no/such.json"))


def test_exec_is_the_container_with_another_program():
    process = spec(security=SecurityContext(run_as_user=5))["process"]
    found = oci.exec_process(process, ["ls"], tty=True)
    assert found["args"] == ["ls"] and found["terminal"] and "TERM=xterm" in found["env"]
    assert found["user"] == process["user"] and "TERM=xterm" not in process["env"]

"""Who a container is, what it may do, and how much it may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster, Kubectl, eventually
from tests.e2e.manifest import (
    Object,
    apply,
    container,
    container_status,
    ended,
    events,
    execute,
    once,
    output,
    pod,
    running,
    status,
)

CAPABILITIES = "grep Cap /proc/self/status"


def effective(printed: str) -> int:
    return next(int(line.split()[1], 16) for line in printed.splitlines() if line.startswith("CapEff"))


def test_users_and_groups(kubectl: Kubectl) -> None:
    """The container's word goes before the pod's; files of the pod's volumes belong to fsGroup."""
    script = "id -u; id -g; id -G; ls -nd /data | tr -s ' ' | cut -d' ' -f4; touch /data/x; stat -c %g /data/x"
    said = output(kubectl, once(
        container(script, securityContext={"runAsUser": 1001}, volumeMounts=[{"name": "v", "mountPath": "/data"}]),
        securityContext={"runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000, "supplementalGroups": [4000]},
        volumes=[{"name": "v", "emptyDir": {}}]))
    user, group, groups, volume, file = said.split("\n")[:5]
    assert (user, group, volume, file) == ("1001", "3000", "2000", "2000")
    assert set(groups.split()) == {"3000", "2000", "4000"}


def test_run_as_non_root(kubectl: Kubectl) -> None:
    for name, context in (("unset", {"runAsNonRoot": True}), ("zero", {"runAsNonRoot": True, "runAsUser": 0})):
        apply(kubectl, pod(container(securityContext=context), name=name))
    waiting = eventually(lambda: container_status(kubectl, name="unset")["state"]["waiting"]["reason"] ==
                         "CreateContainerConfigError" and container_status(kubectl, name="unset")["state"]["waiting"])
    assert waiting["message"].startswith("container has runAsNonRoot and image will run as root (pod: \"unset_")
    eventually(lambda: "container's runAsUser breaks non-root policy" in
               container_status(kubectl, name="zero")["state"]["waiting"].get("message", ""))
    said = output(kubectl, once(container("id -u", securityContext={"runAsNonRoot": True, "runAsUser": 65534})))
    assert said == "65534\n"


def test_file_systems_that_are_read_only(kubectl: Kubectl) -> None:
    script = "touch /x 2>&1; echo $?; touch /data/x && echo fine; touch /fixed/x 2>&1; true"
    said = output(kubectl, once(
        container(script, securityContext={"readOnlyRootFilesystem": True},
                  volumeMounts=[{"name": "v", "mountPath": "/data"},
                                {"name": "v", "mountPath": "/fixed", "readOnly": True}]),
        volumes=[{"name": "v", "emptyDir": {}}]))
    assert said.count("Read-only file system") == 2 and "1\nfine\n" in said


def test_capabilities(kubectl: Kubectl) -> None:
    def with_context(name: str, **context: object) -> int:
        return effective(output(kubectl, once(container(CAPABILITIES, securityContext=context), name=name)))

    chown, net_admin = 1 << 0, 1 << 12
    usual = with_context("usual")
    assert usual & chown and not usual & net_admin
    assert with_context("none", capabilities={"drop": ["ALL"]}) == 0
    assert with_context("one", capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}) == net_admin
    assert with_context("less", capabilities={"drop": ["CHOWN"]}) == usual & ~chown


def test_privileges(kubectl: Kubectl) -> None:
    """A privileged container sees the machine's devices; others can't even gain what setuid files would give."""
    script = "ls /dev | wc -l; grep NoNewPrivs /proc/self/status; ip link set lo mtu 60000 2>&1; true"
    plain = output(kubectl, once(container(script), name="plain"))
    closed = output(kubectl, once(container(script, securityContext={"allowPrivilegeEscalation": False}), name="shut"))
    free = output(kubectl, once(container(script, securityContext={"privileged": True}), name="free"))
    assert "not permitted" in plain and "not permitted" not in free
    assert "NoNewPrivs:\t0" in plain and "NoNewPrivs:\t1" in closed
    assert int(free.split()[0]) > int(plain.split()[0])


def test_sysctls(kubectl: Kubectl) -> None:
    said = output(kubectl, once(container("sysctl -n kernel.shm_rmid_forced net.ipv4.ip_local_port_range"),
                                securityContext={"sysctls": [
                                    {"name": "kernel.shm_rmid_forced", "value": "1"},
                                    {"name": "net.ipv4.ip_local_port_range", "value": "2048 3000"}]}))
    assert said.split() == ["1", "2048", "3000"]
    apply(kubectl, once(container(), name="unsafe",
                        securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "10000"}]}))
    found = ended(kubectl, "unsafe")
    assert (found["phase"], found["reason"]) == ("Failed", "SysctlForbidden")
    assert 'forbidden sysctl: "kernel.msgmax" not allowlisted' in found["message"]


def test_seccomp_and_masked_paths(kubectl: Kubectl) -> None:
    script = "grep Seccomp: /proc/self/status; cat /proc/kcore 2>/dev/null | head -c 1 | wc -c; cat /proc/keys | wc -c"
    said = output(kubectl, once(container(script), securityContext={"seccompProfile": {"type": "RuntimeDefault"}}))
    assert said == "Seccomp:\t2\n0\n0\n"


@pytest.mark.parametrize(("resources", "quality"), [
    ({}, "BestEffort"),
    ({"requests": {"cpu": "10m", "memory": "8Mi"}, "limits": {"memory": "32Mi"}}, "Burstable"),
    ({"limits": {"cpu": "200m", "memory": "32Mi"}}, "Guaranteed"),
])
def test_resources_become_cgroups(cluster: Cluster, kubectl: Kubectl, resources: Object, quality: str) -> None:
    running(kubectl, pod(container(resources=resources)))
    there = kubectl.json("get", "pod", "pod")
    assert there["status"]["qosClass"] == quality
    parent = {"Guaranteed": ""}.get(quality, f"{quality.lower()}/") + f"pod{there['metadata']['uid']}"
    container_id = there["status"]["containerStatuses"][0]["containerID"].removeprefix("sampan://")
    root = Path("/sys/fs/cgroup")
    base = f"sampan/{cluster.name}/node-1/kubepods/{parent}"
    if (root / "memory").is_dir():
        memory, cpu = root / "memory" / base, root / "cpu" / base
        limit, shares, quota = "memory.limit_in_bytes", "cpu.shares", "cpu.cfs_quota_us"
    else:
        memory = cpu = root / base
        limit, shares, quota = "memory.max", "cpu.weight", "cpu.max"

    def value(directory: Path, file: str) -> str:
        return (directory / file).read_text().strip()

    own_memory, own_cpu = memory / container_id, cpu / container_id
    bounded = quality != "BestEffort"
    assert (value(own_memory, limit) == str(32 << 20)) == bounded
    assert (value(memory, limit) == str(32 << 20)) == bounded
    if shares == "cpu.shares":
        expected = {"BestEffort": ("2", "-1"), "Burstable": ("10", "-1"), "Guaranteed": ("204", "20000")}[quality]
        assert (value(own_cpu, shares), value(own_cpu, quota)) == expected
        assert value(cpu, shares) == expected[0]
    else:
        assert value(own_cpu, quota).startswith("20000 " if quality == "Guaranteed" else "max ")


def test_a_container_that_takes_too_much_memory_is_killed(kubectl: Kubectl) -> None:
    hungry = container("head -c 64m /dev/zero | tail >/dev/null; echo survived; exit 1", name="hungry",
                       resources={"limits": {"memory": "16Mi"}})
    main = container("exec tail /dev/zero", resources={"limits": {"memory": "16Mi"}})
    apply(kubectl, once(hungry, main))
    found = {s["name"]: s["state"]["terminated"] for s in ended(kubectl)["containerStatuses"]}
    assert (found["main"]["reason"], found["main"]["exitCode"]) == ("OOMKilled", 137)


def test_what_a_container_gets_shows_in_its_status(kubectl: Kubectl) -> None:
    running(kubectl, pod(container(resources={"limits": {"cpu": "100m", "memory": "32Mi"}},
                                   securityContext={"runAsUser": 7, "runAsGroup": 8})))
    found = container_status(kubectl)
    assert found["resources"] == {"limits": {"cpu": "100m", "memory": "32Mi"},
                                  "requests": {"cpu": "100m", "memory": "32Mi"}}
    assert found["allocatedResources"] == {"cpu": "100m", "memory": "32Mi"}
    assert found["user"]["linux"] == {"uid": 7, "gid": 8, "supplementalGroups": [8]}
    assert found["image"] == "docker.io/library/busybox:latest"
    assert found["imageID"].partition("sha256:")[2]
    assert status(kubectl)["qosClass"] == "Guaranteed"
    assert "Started" in events(kubectl) and execute(kubectl, "pod", "id -u") == "7\n"

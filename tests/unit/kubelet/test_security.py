"""Effective security contexts, sysctls, resources and QoS."""

import pytest

from sampan.kubelet.containers import container_named
from sampan.kubelet.env import ConfigError
from sampan.kubelet.qos import qos_class
from sampan.kubelet.resources import container_resources, pod_resources
from sampan.kubelet.security import forbidden_sysctl, security_context
from tests.unit.kubelet.pods import container, make_pod

GiB = 1 << 30


def context(image_user="", pod=None, **own):
    made = make_pod(containers=[container("app", securityContext=own)], securityContext=pod or {})
    return security_context(made, container_named(made, "app"), image_user, "/seccomp")


def test_container_comes_before_pod_and_pod_before_image():
    assert context("7", {"runAsUser": 5}, runAsUser=3).run_as_user == 3
    assert context("7", {"runAsUser": 5}).run_as_user == 5
    assert context("7:8").run_as_user == 7
    assert context("7:8").run_as_group == 8
    assert context("nginx").run_as_username == "nginx"


def test_groups_capabilities_and_profiles():
    found = context(pod={"fsGroup": 9, "supplementalGroups": [4], "seccompProfile": {"type": "RuntimeDefault"}},
                    capabilities={"add": ["NET_ADMIN"], "drop": ["ALL"]}, allowPrivilegeEscalation=False)
    assert found.supplemental_groups == (4, 9)
    assert (found.add_capabilities, found.drop_capabilities) == (("NET_ADMIN",), ("ALL",))
    assert found.no_new_privileges
    assert found.seccomp == "RuntimeDefault"
    local = context(seccompProfile={"type": "Localhost", "localhostProfile": "a.json"})
    assert local.seccomp == "/seccomp/a.json"
    assert context(privileged=True).seccomp == "Unconfined"


@pytest.mark.parametrize(("image_user", "own", "message"), [
    ("", {}, "container has runAsNonRoot and image will run as root"),
    ("0", {}, "container has runAsNonRoot and image will run as root"),
    ("nginx", {}, "container has runAsNonRoot and image has non-numeric user (nginx), cannot verify user is non-root"),
    ("7", {"runAsUser": 0}, "container's runAsUser breaks non-root policy"),
])
def test_run_as_non_root_is_checked(image_user, own, message):
    with pytest.raises(ConfigError) as error:
        context(image_user, {"runAsNonRoot": True}, **own)
    assert str(error.value) == f'{message} (pod: "web_default(uid-web)", container: app)'


@pytest.mark.parametrize(("own", "message"), [
    ({"appArmorProfile": {"type": "RuntimeDefault"}}, 'cannot enforce AppArmor: the profile type "RuntimeDefault"'),
    ({"seLinuxOptions": {"level": "s0"}}, "cannot enforce SELinux"),
])
def test_confinement_that_nobody_here_can_do_is_refused(own, message):
    with pytest.raises(ConfigError, match=message):
        context(**own)
    with pytest.raises(ConfigError, match=message):
        context(pod=own)
    context(appArmorProfile={"type": "Unconfined"})


def test_run_as_non_root_with_a_number_passes():
    assert context("1000", {"runAsNonRoot": True}).run_as_user == 1000


@pytest.mark.parametrize(("name", "spec", "refused"), [
    ("net.ipv4.tcp_syncookies", {}, False), ("kernel.shm_rmid_forced", {}, False), ("kernel.msgmax", {}, True),
    ("net.core.somaxconn", {}, False), ("net.ipv4.tcp_syncookies", {"hostNetwork": True}, True),
    ("kernel.shm_rmid_forced", {"hostIPC": True}, True),
])
def test_sysctls(name, spec, refused):
    pod = make_pod(securityContext={"sysctls": [{"name": name, "value": "1"}]}, **spec)
    assert bool(forbidden_sysctl(pod, ("net.core.*",))) == refused


def resources(limits=None, requests=None):
    return {"resources": {"limits": limits or {}, "requests": requests or {}}}


@pytest.mark.parametrize(("listed", "wanted"), [
    ([{}], "BestEffort"),
    ([resources({"cpu": "1", "memory": "1Gi"})], "Guaranteed"),
    ([resources({"cpu": "1", "memory": "1Gi"}, {"cpu": "1000m", "memory": "1024Mi"})], "Guaranteed"),
    ([resources({"cpu": "1", "memory": "1Gi"}), {}], "Burstable"),
    ([resources(requests={"cpu": "10m"})], "Burstable"),
    ([resources({"cpu": "1"})], "Burstable"),
])
def test_qos(listed, wanted):
    assert qos_class(make_pod(containers=[container(f"c{i}", **r) for i, r in enumerate(listed)])) == wanted


def test_cgroup_values():
    pod = make_pod(containers=[container("app", **resources({"cpu": "500m", "memory": "1Gi"}, {"cpu": "250m"}))])
    found = container_resources(pod, container_named(pod, "app"), 4 * GiB)
    assert (found.cpu_shares, found.cpu_quota_microseconds, found.cpu_period_microseconds) == (256, 50000, 100000)
    assert found.memory_limit_bytes == GiB
    assert found.oom_score_adj == 750


def test_pod_cgroup_has_limits_only_where_every_container_has_one():
    limited = container("a", **resources({"cpu": "1", "memory": "1Gi"}))
    both = pod_resources(make_pod(containers=[limited, {**limited, "name": "b"}]))
    assert (both.cpu_shares, both.cpu_quota_microseconds, both.memory_limit_bytes) == (2048, 200000, 2 * GiB)
    one = pod_resources(make_pod(containers=[limited, container("b")]))
    assert (one.cpu_quota_microseconds, one.memory_limit_bytes) == (0, 0)


def test_best_effort_is_killed_first():
    pod = make_pod()
    assert container_resources(pod, container_named(pod, "app"), GiB).oom_score_adj == 1000
    assert container_resources(pod, container_named(pod, "app"), GiB).cpu_shares == 2

"""Text files and small formats: hosts, resolv.conf, logs, pull secrets, cgroup settings."""

import asyncio
import base64
import json

import pytest

from sampan.kubelet.cgroups import Cgroups, settings
from sampan.kubelet.hosts import hostname, hosts_file, uts_name
from sampan.kubelet.images import default_policy, with_tag
from sampan.kubelet.log_format import parse_line
from sampan.kubelet.logs import LogOptions, read_log, tail_offset
from sampan.kubelet.pull_secrets import credentials_for
from sampan.kubelet.resolv import Resolver, parse, resolver
from sampan.kubelet.sandbox import refusal
from sampan.runtime.base import Credentials, Resources, RuntimeFailure
from tests.unit.kubelet.pods import container, make_pod

NODE = Resolver(("192.0.2.53",), ("example.org",), ("timeout:1",))
CLUSTER = (("default.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.org"), ("ndots:5",))


@pytest.mark.parametrize(("spec", "wanted"), [
    ({}, Resolver(("10.96.0.10",), *CLUSTER)),
    ({"dnsPolicy": "Default"}, NODE),
    ({"hostNetwork": True}, NODE),
    ({"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}, Resolver(("10.96.0.10",), *CLUSTER)),
    ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.1"], "searches": ["x"],
                                         "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}]}},
     Resolver(("192.0.2.1",), ("x",), ("ndots:2", "rotate"))),
    ({"dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}},
     Resolver(("10.96.0.10",), CLUSTER[0], ("ndots:1",))),
])
def test_resolver(spec, wanted):
    assert resolver(make_pod(**spec), NODE, ("10.96.0.10",), "cluster.local") == wanted


def test_resolv_conf_is_read():
    assert parse("# c\nnameserver 192.0.2.53\nsearch example.org\noptions timeout:1\n") == NODE


def test_hosts_file():
    pod = make_pod(hostname="h", subdomain="sub", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b"]}])
    text = hosts_file(pod, ["10.244.0.2"], "cluster.local")
    assert "10.244.0.2\th.sub.default.svc.cluster.local\th\n" in text
    assert text.endswith("\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n")
    assert "10.244.0.2\tweb\n" in hosts_file(make_pod(), ["10.244.0.2"], "cluster.local")


def test_long_pod_names_are_cut_for_the_host_name():
    assert hostname(make_pod("a" * 62 + "-" + "b" * 20)) == "a" * 62


def log_lines(*texts):
    return "".join(f"2026-11-22T15:00:0{i}.123456789Z stdout F {t}\n" for i, t in enumerate(texts)).encode()


async def read(path, running=lambda: False, **options):
    return b"".join([chunk async for chunk in read_log(str(path), LogOptions(**options), running)])


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "0.log"
    path.write_bytes(log_lines("one", "two", "three"))
    return path


@pytest.mark.parametrize(("options", "wanted"), [
    ({}, b"one\ntwo\nthree\n"), ({"tail_lines": 2}, b"two\nthree\n"), ({"tail_lines": 0}, b""),
    ({"tail_lines": 9}, b"one\ntwo\nthree\n"), ({"limit_bytes": 5}, b"one\nt"), ({"stream": "stderr"}, b""),
    ({"since": 1795359601.5}, b"three\n"),
    ({"timestamps": True, "tail_lines": 1}, b"2026-11-22T15:00:02.123456789Z three\n"),
])
async def test_log_options(log, options, wanted):
    assert await read(log, **options) == wanted


async def test_following_ends_with_the_container_and_misses_nothing(log):
    alive = [True]
    got = asyncio.create_task(read(log, lambda: alive[0], follow=True, tail_lines=0))
    await asyncio.sleep(0.01)
    with log.open("ab") as file:
        file.write(log_lines("four"))
    with log.open("ab") as file:
        file.write(log_lines("five"))
        alive[0] = False
    assert await asyncio.wait_for(got, 5) == b"four\nfive\n"


async def test_following_survives_rotation(log):
    alive = [True]
    got = asyncio.create_task(read(log, lambda: alive[0], follow=True, tail_lines=0))
    await asyncio.sleep(0.01)
    log.rename(log.with_name("0.log.20261122"))
    log.write_bytes(log_lines("after"))
    await asyncio.sleep(0.1)
    alive[0] = False
    with log.open("ab") as file:
        file.write(log_lines("end"))
    assert await asyncio.wait_for(got, 5) == b"after\nend\n"


def test_partial_lines_are_joined():
    assert parse_line(b"2026-11-22T15:00:00Z stderr P half\n").content == b"half"
    assert parse_line(b"2026-11-22T15:00:00Z stderr F \n").content == b"\n"
    assert parse_line(b"not finished") is None
    assert parse_line(b"garbage\n") is None


def test_tail_over_many_blocks(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"%06d %s\n" % (i, b"x" * 200) for i in range(2000)))
    with path.open("rb") as file:
        file.seek(tail_offset(file.fileno(), 1500))
        assert file.read(6) == b"000500"


def pull_secret(**auths):
    text = json.dumps({"auths": {k.replace("_", "."): v for k, v in auths.items()}}).encode()
    return {"data": {".dockerconfigjson": base64.b64encode(text).decode()}}


def test_pull_secrets_match_the_registry():
    both = base64.b64encode(b"me:pass").decode()
    secret = pull_secret(registry_example={"auth": both}, other_example={"username": "no", "password": "no"})
    assert credentials_for("registry.example/a/b:1", [secret]) == [Credentials("me", "pass")]
    assert credentials_for("nginx", [secret]) == []
    hub = {"data": {".dockerconfigjson": base64.b64encode(json.dumps(
        {"auths": {"https://index.docker.io/v1/": {"auth": both}}}).encode()).decode()}}
    assert credentials_for("nginx", [hub]) == [Credentials("me", "pass")]


@pytest.mark.parametrize(("image", "tagged", "policy"), [
    ("nginx", "nginx:latest", "Always"), ("nginx:1", "nginx:1", "IfNotPresent"),
    ("host:5000/nginx", "host:5000/nginx:latest", "Always"), ("nginx@sha256:ab", "nginx@sha256:ab", "IfNotPresent"),
])
def test_image_references(image, tagged, policy):
    assert (with_tag(image), default_policy(image)) == (tagged, policy)


def test_cgroup_settings_of_both_versions():
    resources = Resources(1024, 50000, 100000, 1 << 20)
    assert settings(resources, "", True) == {"cpu.weight": "39", "cpu.max": "50000 100000", "memory.max": "1048576"}
    assert settings(resources, "cpu", False) == {
        "cpu.shares": "1024", "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}
    assert settings(resources, "memory", False) == {"memory.limit_in_bytes": "1048576"}
    assert settings(Resources(), "memory", False) == {}


def test_v2_controllers_are_switched_on_down_to_the_parent(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpu memory hugetlb\n")
    made = Cgroups("/sampan/c/n", tmp_path)
    path = made.create(make_pod(containers=[container("app", resources={"requests": {"cpu": "1"}})]))
    assert path == "/sampan/c/n/kubepods/burstable/poduid-web"
    assert (tmp_path / "sampan/c/n/kubepods/burstable/cgroup.subtree_control").read_text() == "+cpu +memory"
    assert not (tmp_path / "sampan/c/n/kubepods/burstable/poduid-web/cgroup.subtree_control").exists()
    assert made.uids() == {"uid-web"}


def test_the_kernel_name_of_a_pod():
    assert uts_name(make_pod("web"), "node-1", "cluster.local") == "web"
    assert uts_name(make_pod("web", hostNetwork=True), "node-1", "cluster.local") == "node-1"
    named = {"hostname": "me", "subdomain": "sub", "setHostnameAsFQDN": True}
    assert uts_name(make_pod("web", **named), "node-1", "cluster.local").startswith("me.sub.")
    with pytest.raises(RuntimeFailure, match="64 characters is the max"):
        uts_name(make_pod("web", **named | {"hostname": "m" * 60}), "node-1", "cluster.local")


def test_what_a_node_refuses_by_name():
    port = {"name": "c", "image": "i", "ports": [{"containerPort": 80, "hostPort": 8080}]}
    assert "hostPort 8080 is not supported" in refusal(make_pod("web", containers=[port]))
    assert refusal(make_pod("web", containers=[port], hostNetwork=True)) == ""
    assert 'RuntimeClass "kata"' in refusal(make_pod("web", runtimeClassName="kata"))

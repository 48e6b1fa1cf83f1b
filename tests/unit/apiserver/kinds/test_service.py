"""Services: defaults, rules, and who gets which address."""

import asyncio
import copy
from dataclasses import replace

import pytest

from sampan.api.errors import AlreadyExists, InternalError, Invalid
from sampan.api.resources import SERVICES
from sampan.apiserver.kinds.registry import kind_of
from sampan.apiserver.kinds.service.ranges import ServiceRanges

KIND = kind_of(SERVICES)


def service(name="web", **spec):
    made = {"metadata": {"name": name, "namespace": "default"},
            "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}, **spec}}
    KIND.default(made)
    return made


def errors(**spec):
    return [str(e) for e in KIND.validate(service(**spec))]


def test_defaults():
    assert service()["spec"] == {
        "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "selector": {"app": "web"}}
    assert service(type="NodePort")["spec"]["externalTrafficPolicy"] == "Cluster"
    assert service(type="LoadBalancer")["spec"]["allocateLoadBalancerNodePorts"] is True
    assert service(sessionAffinity="ClientIP")["spec"]["sessionAffinityConfig"] == {
        "clientIP": {"timeoutSeconds": 10800}}
    assert service(ports=[{"port": 80, "targetPort": "http"}])["spec"]["ports"][0]["targetPort"] == "http"
    assert "internalTrafficPolicy" not in service(type="ExternalName", externalName="a.b")["spec"]


CASES = {
    "no ports": ({"ports": []}, "spec.ports: Required value"),
    "type": ({"type": "X"}, 'spec.type: Unsupported value: "X": supported values: "ClusterIP", "ExternalName", '
             '"LoadBalancer", "NodePort"'),
    "port": ({"ports": [{"port": 0}]}, "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"),
    "names": ({"ports": [{"port": 1}, {"port": 2}]}, "spec.ports[0].name: Required value"),
    "name twice": ({"ports": [{"port": 1, "name": "a"}, {"port": 2, "name": "a"}]},
                   'spec.ports[1].name: Duplicate value: "a"'),
    "port twice": ({"ports": [{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]}, "spec.ports[1]: Duplicate value"),
    "target": ({"ports": [{"port": 1, "targetPort": "A B"}]}, 'spec.ports[0].targetPort: Invalid value: "A B"'),
    "node port": ({"ports": [{"port": 1, "nodePort": 30000}]}, "spec.ports[0].nodePort: Forbidden: may not be used "
                  "when `type` is 'ClusterIP'"),
    "headless": ({"type": "NodePort", "clusterIP": "None"}, "may not be set to 'None' for NodePort services"),
    "external name": ({"type": "ExternalName"}, "spec.externalName: Required value"),
    "external name with address": ({"type": "ExternalName", "externalName": "a.b", "clusterIP": "10.96.0.9"},
                                   "spec.clusterIPs: Forbidden: may not be set for ExternalName services"),
    "affinity": ({"sessionAffinity": "X"}, 'spec.sessionAffinity: Unsupported value: "X"'),
    "affinity time": ({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}},
                      "timeoutSeconds: Invalid value: 0: must be greater than 0 and less than 86400"),
    "address": ({"clusterIP": "x"}, 'spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address'),
    "addresses": ({"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.8"]}, "first value must match `clusterIP`"),
    "policy": ({"externalTrafficPolicy": "Local"}, "may only be set for externally-accessible services"),
    "selector": ({"selector": {"a b": "c"}}, 'spec.selector: Invalid value: "a b"'),
    "external ip": ({"externalIPs": ["127.0.0.1"]}, "may not be in the loopback range"),
}


@pytest.mark.parametrize("spec,expected", CASES.values(), ids=CASES.keys())
def test_mistakes(spec, expected):
    found = errors(**spec)
    assert any(expected in text for text in found), found


@pytest.mark.parametrize("spec", [
    {}, {"clusterIP": "None", "ports": []}, {"type": "ExternalName", "externalName": "a.example.", "ports": []},
    {"ports": [{"port": 53, "name": "udp", "protocol": "UDP"}, {"port": 53, "name": "tcp"}]},
])
def test_good_ones(spec):
    assert errors(**spec) == []


def test_a_name_starts_with_a_letter():
    assert 'metadata.name: Invalid value: "1a": a DNS-1035 label must' in str(KIND.validate(service("1a"))[0])


class Cluster:
    """A server whose writes go through allocation."""

    def __init__(self, ctx, server, ranges):
        self.ctx, self.server = replace(ctx, ranges=ranges), server

    async def write(self, obj, old=None, fail=None, dry_run=False):
        async with KIND.allocation(obj, old, replace(self.ctx, dry_run=dry_run)):
            if fail:
                raise fail
            if not dry_run:
                self.server.put(SERVICES, copy.deepcopy(obj))
        return obj["spec"]

    async def update(self, new, old):
        KIND.prepare_for_update(new, old, self.ctx)
        assert KIND.validate_update(new, old) == []
        return await self.write(new, old)

    async def delete(self, obj):
        del self.server.objects[SERVICES, "default", obj["metadata"]["name"]]
        await KIND.deleted(obj, self.ctx)


@pytest.fixture
def cluster(ctx, server):
    return Cluster(ctx, server, ServiceRanges("10.0.0.0/29", (30000, 30002)))


async def test_an_address_is_drawn(cluster):
    spec = await cluster.write(service())
    assert spec["clusterIPs"] == [spec["clusterIP"]] and spec["clusterIP"].startswith("10.0.0.")
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")


async def test_no_address_where_none_is_wanted(cluster):
    assert (await cluster.write(service(clusterIP="None")))["clusterIPs"] == ["None"]
    assert "clusterIP" not in await cluster.write(service(type="ExternalName", externalName="a.b"))


async def test_every_address_once_then_full(cluster):
    given = [(await cluster.write(service(f"s{n}")))["clusterIP"] for n in range(6)]
    assert sorted(given) == [f"10.0.0.{n}" for n in range(1, 7)]
    with pytest.raises(InternalError, match="failed to allocate a serviceIP: range is full"):
        await cluster.write(service("s7"))


async def test_an_address_asked_for(cluster):
    assert (await cluster.write(service("a", clusterIP="10.0.0.3")))["clusterIP"] == "10.0.0.3"
    with pytest.raises(Invalid, match=r"spec.clusterIPs: Invalid value: \[\"10.0.0.3\"\]: failed to allocate IP "
                                      "10.0.0.3: provided IP is already allocated"):
        await cluster.write(service("b", clusterIP="10.0.0.3"))
    with pytest.raises(Invalid, match="is not in the valid range. The range of valid IPs is 10.0.0.0/29"):
        await cluster.write(service("c", clusterIP="10.9.0.1"))


async def test_what_exists_at_start_is_taken(cluster, server):
    server.put(SERVICES, service("old", clusterIP="10.0.0.3"))
    with pytest.raises(Invalid, match="already allocated"):
        await cluster.write(service("new", clusterIP="10.0.0.3"))


async def test_node_ports(cluster):
    spec = await cluster.write(service("a", type="NodePort", ports=[{"port": 80, "nodePort": 30001}]))
    assert spec["ports"][0]["nodePort"] == 30001
    with pytest.raises(Invalid, match="nodePort: Invalid value: 30001: provided port is already allocated"):
        await cluster.write(service("b", type="NodePort", ports=[{"port": 80, "nodePort": 30001}]))
    with pytest.raises(Invalid, match="The range of valid ports is 30000-30002"):
        await cluster.write(service("c", type="NodePort", ports=[{"port": 80, "nodePort": 80}]))
    drawn = [(await cluster.write(service(f"s{n}", type="NodePort")))["ports"][0]["nodePort"] for n in range(2)]
    assert sorted(drawn) == [30000, 30002]
    with pytest.raises(InternalError, match="failed to allocate a nodePort: range is full"):
        await cluster.write(service("d", type="NodePort"))


async def test_a_refused_port_gives_the_address_back(cluster):
    for _ in range(9):
        with pytest.raises(Invalid):
            await cluster.write(service("c", type="NodePort", ports=[{"port": 80, "nodePort": 80}]))
    assert [await cluster.write(service(f"s{n}")) for n in range(6)]


async def test_one_number_serves_both_protocols(cluster):
    spec = await cluster.write(service(type="NodePort", ports=[
        {"port": 53, "name": "udp", "protocol": "UDP"}, {"port": 53, "name": "tcp"}]))
    assert spec["ports"][0]["nodePort"] == spec["ports"][1]["nodePort"]


async def test_a_failed_write_and_a_dry_run_take_nothing(cluster):
    for _ in range(9):
        with pytest.raises(AlreadyExists):
            await cluster.write(service(), fail=AlreadyExists("x"))
        assert (await cluster.write(service(), dry_run=True))["clusterIP"]
    assert [await cluster.write(service(f"s{n}")) for n in range(6)]


async def test_after_an_unknown_fate_the_store_is_read_again(cluster, server):
    lost = service("lost", clusterIP="10.0.0.3")
    with pytest.raises(RuntimeError):
        await cluster.write(lost, fail=RuntimeError("no answer"))
    server.put(SERVICES, lost)  # it had been written after all
    with pytest.raises(Invalid, match="already allocated"):
        await cluster.write(service("b", clusterIP="10.0.0.3"))
    await cluster.write(service("c", clusterIP="10.0.0.4"))


async def test_writes_under_way_survive_a_reload(cluster):
    started, go = asyncio.Event(), asyncio.Event()

    async def slow():
        made = service("slow", clusterIP="10.0.0.3")
        async with KIND.allocation(made, None, cluster.ctx):
            started.set()
            await go.wait()

    task = asyncio.create_task(slow())
    await started.wait()
    cluster.ctx.ranges.forget()
    with pytest.raises(Invalid, match="already allocated"):
        await cluster.write(service("b", clusterIP="10.0.0.3"))
    go.set()
    await task


async def test_deletion_frees(cluster):
    made = service(type="NodePort", clusterIP="10.0.0.3", ports=[{"port": 80, "nodePort": 30001}])
    await cluster.write(made)
    await cluster.delete(made)
    again = service("b", type="NodePort", clusterIP="10.0.0.3", ports=[{"port": 80, "nodePort": 30001}])
    assert await cluster.write(again)


async def test_an_update_that_leaves_them_out_keeps_address_and_ports(cluster):
    old = service(type="NodePort")
    before = copy.deepcopy(await cluster.write(old))
    new = service(type="NodePort", ports=[{"port": 81}])
    spec = await cluster.update(new, old)
    assert (spec["clusterIP"], spec["ports"][0]["nodePort"]) == (before["clusterIP"], before["ports"][0]["nodePort"])


async def test_a_change_of_type_gives_and_takes(cluster):
    old = service()
    address = (await cluster.write(old))["clusterIP"]
    node_port = copy.deepcopy(old)
    node_port["spec"]["type"] = "NodePort"
    KIND.default(node_port)
    await cluster.update(node_port, old)
    number = node_port["spec"]["ports"][0]["nodePort"]
    plain = copy.deepcopy(node_port)
    plain["spec"]["type"] = "ClusterIP"
    await cluster.update(plain, node_port)
    assert plain["spec"]["clusterIP"] == address and "nodePort" not in plain["spec"]["ports"][0]
    assert await cluster.write(service("b", type="NodePort", ports=[{"port": 1, "nodePort": number}]))
    outside = copy.deepcopy(plain)
    outside["spec"] |= {"type": "ExternalName", "externalName": "a.b"}
    await cluster.update(outside, plain)
    assert "clusterIP" not in outside["spec"]
    assert await cluster.write(service("c", clusterIP=address))


async def test_an_address_never_changes(cluster, ctx):
    old = service()
    await cluster.write(old)
    new = copy.deepcopy(old)
    new["spec"]["clusterIP"] = "10.0.0.250"
    KIND.prepare_for_update(new, old, ctx)
    assert [str(e) for e in KIND.validate_update(new, old)] == [
        'spec.clusterIPs[0]: Invalid value: ["10.0.0.250"]: may not change once set']


async def test_the_other_family_is_refused(cluster):
    with pytest.raises(Invalid, match="not configured on this cluster"):
        await cluster.write(service(ipFamilies=["IPv6"]))
    with pytest.raises(Invalid, match="not configured for dual-stack"):
        await cluster.write(service(ipFamilyPolicy="RequireDualStack"))


ROWS = [
    ({"clusterIP": "10.96.0.1", "ports": [{"port": 443}]}, ["ClusterIP", "10.96.0.1", "<none>", "443/TCP"]),
    ({"type": "NodePort", "clusterIP": "1.1.1.1", "ports": [{"port": 80, "nodePort": 30080}, {"port": 53, "protocol":
      "UDP"}]}, ["NodePort", "1.1.1.1", "<none>", "80:30080/TCP,53/UDP"]),
    ({"type": "ExternalName", "externalName": "a.b", "ports": []}, ["ExternalName", "<none>", "a.b", "<none>"]),
    ({"type": "LoadBalancer", "clusterIP": "1.1.1.1"}, ["LoadBalancer", "1.1.1.1", "<pending>", "80/TCP"]),
    ({"clusterIP": "None"}, ["ClusterIP", "None", "<none>", "80/TCP"]),
]


@pytest.mark.parametrize("spec,cells", ROWS)
def test_rows(spec, cells, now):
    assert KIND.row(service(**spec), now) == ["web", *cells, "<unknown>", "app=web"]

"""Endpoints and EndpointSlices: the plans by table, the controllers against a real API server."""

from __future__ import annotations

from typing import Any

from sampan.api import meta
from sampan.api.resources import ENDPOINTS, ENDPOINTSLICES, PODS, SERVICES
from sampan.controllers import endpoints, service_ports
from sampan.controllers.base import Config, KubernetesService
from sampan.controllers.endpoints import EndpointsController
from sampan.controllers.endpointslice.controller import EndpointSliceController
from sampan.controllers.endpointslice.plan import Plan, plan
from tests.unit.controllers.make import pod
from tests.unit.controllers.world import World, world

Object = dict[str, Any]


def service(**spec: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web", "namespace": "default", "uid": "uid-svc", "labels": {"team": "a"}},
            "spec": {"selector": {"app": "web"}, "clusterIP": "10.96.0.7", "ipFamilies": ["IPv4"],
                     "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}]} | spec}


def ready_pods(count: int) -> list[Object]:
    return [pod(f"p{i}", ip=f"10.244.{i // 200}.{i % 200 + 1}") for i in range(count)]


def stored(decided: Plan) -> list[Object]:
    """The new slices, as the server gives them back."""
    return [item | {"metadata": item["metadata"] | {"name": f"s{i}"}} for i, item in enumerate(decided.create)]


def test_one_slice_with_everything_in_it() -> None:
    (made,) = plan(service(), [pod("p", ip="10.244.0.5")], [], {"n1": "z1"}).create
    assert made["metadata"]["labels"] == {
        "team": "a", "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
    assert made["metadata"]["ownerReferences"][0]["uid"] == "uid-svc"
    assert made["ports"] == [{"name": "http", "protocol": "TCP", "port": 8080}]
    assert made["endpoints"] == [{
        "addresses": ["10.244.0.5"], "conditions": {"ready": True, "serving": True, "terminating": False},
        "targetRef": {"kind": "Pod", "namespace": "default", "name": "p", "uid": "uid-p"}, "nodeName": "n1",
        "zone": "z1"}]


def test_conditions() -> None:
    def conditions(p: Object, **spec: Any) -> tuple[bool, ...]:
        (made,) = plan(service(**spec), [p], [], {}).create
        return tuple(made["endpoints"][0]["conditions"][c] for c in ("ready", "serving", "terminating"))

    assert conditions(pod("p", ready=False)) == (False, False, False)
    assert conditions(pod("p", deleted=True)) == (False, True, True)
    assert conditions(pod("p", ready=False), publishNotReadyAddresses=True) == (True, False, False)


def test_who_is_no_endpoint() -> None:
    nobody = [pod("a", phase="Failed"), pod("b", phase="Succeeded"), pod("c", ip="")]
    (empty,) = plan(service(), nobody, [], {}).create
    assert (empty["endpoints"], empty["ports"]) == ([], [])


def test_a_hundred_per_slice() -> None:
    assert [len(s["endpoints"]) for s in plan(service(), ready_pods(250), [], {}).create] == [100, 100, 50]


def test_what_is_right_is_left_alone() -> None:
    slices = stored(plan(service(), ready_pods(250), [], {}))
    assert plan(service(), ready_pods(250), slices, {}) == Plan()


def test_one_change_writes_one_slice() -> None:
    slices = stored(plan(service(), ready_pods(250), [], {}))
    changed = ready_pods(250)
    changed[3] = pod("p3", ip="10.244.0.4", ready=False)
    decided = plan(service(), changed, slices, {})
    assert ([len(s["endpoints"]) for s in decided.update], decided.create, decided.delete) == ([100], (), ())


def test_a_new_endpoint_fills_the_gap_of_an_old_one() -> None:
    slices = stored(plan(service(), ready_pods(200), [], {}))
    decided = plan(service(), [*ready_pods(200)[1:], pod("new", ip="10.244.9.9")], slices, {})
    assert (len(decided.update), decided.create, decided.delete) == (1, (), ())


def test_named_ports_may_differ_between_pods() -> None:
    def named(name: str, number: int, ip: str) -> Object:
        ports = [{"name": "web", "containerPort": number, "protocol": "TCP"}]
        return pod(name, ip=ip, spec={"containers": [{"name": "c", "image": "i", "ports": ports}]})

    by_name = service(ports=[{"name": "http", "protocol": "TCP", "port": 80, "targetPort": "web"}])
    made = plan(by_name, [named("a", 1, "10.244.0.1"), named("b", 2, "10.244.0.2")], [], {}).create
    assert sorted((s["ports"][0]["port"], len(s["endpoints"])) for s in made) == [(1, 1), (2, 1)]
    assert service_ports.find_port(pod("x"), {"port": 80, "targetPort": "web"}) is None


def test_the_last_endpoint_leaves_its_slice_empty() -> None:
    slices = stored(plan(service(), ready_pods(1), [], {}))
    decided = plan(service(), [], slices, {})
    assert [(s["metadata"]["name"], s["endpoints"]) for s in decided.update] == [(slices[0]["metadata"]["name"], [])]
    assert (decided.create, decided.delete) == ((), ())


def test_slices_of_a_service_that_is_gone_are_not_used_again() -> None:
    (left,) = stored(plan(service(), ready_pods(1), [], {}))
    left["metadata"]["ownerReferences"][0]["uid"] = "of the one before"
    decided = plan(service(), [], [left], {})
    assert (len(decided.create), decided.update, decided.delete) == (1, (), (left,))


def test_headless_services_are_marked_and_name_their_pods() -> None:
    headless = service(clusterIP="None")
    named = pod("p", spec={"hostname": "p0", "subdomain": "web"})
    (made,) = plan(headless, [named], [], {}).create
    assert made["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
    assert made["endpoints"][0]["hostname"] == "p0"


def test_legacy_endpoints_group_by_port_and_readiness() -> None:
    made = endpoints.plan(service(), [pod("b", ip="10.244.0.2"), pod("a", ip="10.244.0.1", ready=False)], None)
    assert made is not None
    (subset,) = made["subsets"]
    assert [a["ip"] for a in subset["addresses"]] == ["10.244.0.2"]
    assert [a["ip"] for a in subset["notReadyAddresses"]] == ["10.244.0.1"]
    assert subset["ports"] == [{"name": "http", "protocol": "TCP", "port": 8080}]
    assert endpoints.plan(service(), [], made) is not None
    again = [pod("b", ip="10.244.0.2"), pod("a", ip="10.244.0.1", ready=False)]
    assert endpoints.plan(service(), again, made) is None


async def _web(here: World, count: int) -> list[Object]:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}], "clusterIP": "None",
            "clusterIPs": ["None"]}
    await here.create(SERVICES, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})
    made = []
    for i in range(count):
        body = {"metadata": {"name": f"p{i}", "namespace": "default", "labels": {"app": "web"}},
                "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}}
        made.append(await here.create(PODS, body))
        await here.pod_ready(made[-1], podIP=f"10.244.0.{i + 1}", podIPs=[{"ip": f"10.244.0.{i + 1}"}])
    return made


async def test_slices_and_endpoints_follow_the_pods() -> None:
    async with world(only=(EndpointSliceController, EndpointsController)) as here:
        made = await _web(here, 3)

        def lead_to(count: int) -> Any:
            async def check() -> bool:
                slices, legacy = await here.list(ENDPOINTSLICES), await here.get(ENDPOINTS, "web")
                ready = [e for s in slices for e in s.get("endpoints") or () if e["conditions"]["ready"]]
                addresses = [a for s in (legacy or {}).get("subsets") or () for a in s.get("addresses") or ()]
                return (len(slices), len(ready), len(addresses)) == (1, count, count)
            return check

        await here.until(lead_to(3))
        await here.pod_ready(made[0], ready=False)
        await here.until(lead_to(2))
        await here.client.delete(PODS, meta.name(made[1]), "default", grace_period_seconds=0)
        await here.until(lead_to(1))


async def test_the_kubernetes_service_leads_to_the_server() -> None:
    wanted = KubernetesService("10.96.0.1", "172.29.0.1", 6443)
    async with world(only=(), config=Config(kubernetes_service=wanted)) as here:
        async def there() -> bool:
            legacy, item = await here.get(ENDPOINTS, "kubernetes"), await here.get(ENDPOINTSLICES, "kubernetes")
            return bool(legacy and item and item["endpoints"][0]["addresses"] == ["172.29.0.1"]
                        and legacy["subsets"][0]["ports"][0]["port"] == 6443)

        await here.until(there)
        found = await here.get(SERVICES, "kubernetes")
        assert found is not None
        assert (found["spec"]["clusterIP"], found["spec"]["ports"][0]["targetPort"]) == ("10.96.0.1", 6443)
        await here.client.delete(ENDPOINTSLICES, "kubernetes", "default")
        await here.until(there)

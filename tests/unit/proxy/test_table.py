"""Services and EndpointSlices -> what is forwarded: one sentence of the rules each."""

import pytest

from sampan.proxy.table import Endpoint, service_of, service_ports


def service(**spec):
    base = {"clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"], "ports": [{"name": "http", "port": 80}]}
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": base | spec}


def endpoint(address, node="node-1", **conditions):
    return {"addresses": [address], "nodeName": node, "conditions": conditions}


def slice_of(*endpoints, name="http", port=8080, protocol="TCP", address_type="IPv4", labels=()):
    return {
        "metadata": {"namespace": "default", "labels": {"kubernetes.io/service-name": "web", **dict(labels)}},
        "addressType": address_type,
        "ports": [{"name": name, "port": port, "protocol": protocol}],
        "endpoints": list(endpoints),
    }


def endpoints(*slices, **spec):
    (port,) = service_ports(service(**spec), slices, "node-1")
    return [e.address for e in port.endpoints]


def test_ready_endpoints_of_the_named_port_count():
    found = service_ports(
        service(), [slice_of(endpoint("10.0.0.1"), endpoint("10.0.0.2", ready=False)), slice_of(name="other")], "node-1"
    )
    assert [p.endpoints for p in found] == [(Endpoint("10.0.0.1", 8080, True),)]


def test_a_slice_of_another_protocol_or_family_does_not_count():
    assert endpoints(slice_of(endpoint("10.0.0.1"), protocol="UDP")) == []
    assert endpoints(slice_of(endpoint("fd00::1"), address_type="IPv6")) == []


def test_an_endpoint_in_two_slices_counts_once_and_by_its_better_state():
    one = slice_of(endpoint("10.0.0.1", ready=False))
    assert endpoints(one, slice_of(endpoint("10.0.0.1", ready=True))) == ["10.0.0.1"]


def test_what_is_leaving_but_serving_is_used_only_when_nothing_is_ready():
    leaving = endpoint("10.0.0.1", ready=False, serving=True, terminating=True)
    assert endpoints(slice_of(leaving, endpoint("10.0.0.2"))) == ["10.0.0.2"]
    assert endpoints(slice_of(leaving)) == ["10.0.0.1"]
    assert endpoints(slice_of(endpoint("10.0.0.1", ready=False, serving=False, terminating=True))) == []


def test_local_endpoints_have_a_fallback_of_their_own():
    leaving = endpoint("10.0.0.1", ready=False, serving=True, terminating=True)
    (port,) = service_ports(service(), [slice_of(leaving, endpoint("10.0.0.2", node="node-2"))], "node-1")
    assert [e.address for e in port.endpoints] == ["10.0.0.2"]
    assert [e.address for e in port.local_endpoints] == ["10.0.0.1"]


@pytest.mark.parametrize("spec", [
    {"clusterIP": "None"}, {"clusterIP": ""}, {"type": "ExternalName", "clusterIP": ""},
])
def test_services_without_an_address_are_not_forwarded(spec):
    assert service_ports(service(**spec), [slice_of(endpoint("10.0.0.1"))], "node-1") == ()


@pytest.mark.parametrize("label", ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"])
def test_somebody_elses_services_and_slices_are_left_alone(label):
    other = service()
    other["metadata"]["labels"] = {label: "x"}
    assert service_ports(other, [], "node-1") == ()
    assert endpoints(slice_of(endpoint("10.0.0.1"), labels={label: ""})) == []


def test_policies_affinity_and_addresses():
    given = service(
        sessionAffinity="ClientIP", internalTrafficPolicy="Local", externalTrafficPolicy="Local",
        externalIPs=["192.0.2.1", "2001:db8::1"], healthCheckNodePort=31000, loadBalancerSourceRanges=[" 10.0.0.0/8"],
        ports=[{"port": 53, "protocol": "UDP", "nodePort": 30053}],
    ) | {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.2"}, {"ip": "192.0.2.3", "ipMode": "Proxy"}]}}}
    (port,) = service_ports(given, [], "node-1")
    assert (port.protocol, port.port, port.node_port) == ("udp", 53, 30053)
    assert port.external_ips == ("192.0.2.1",)
    assert port.load_balancer_ips == ("192.0.2.2",)
    assert port.source_ranges == ("10.0.0.0/8",)
    assert port.affinity_seconds == 10800
    assert port.internal_local and port.external_local
    assert port.health_check_node_port == 31000


def test_the_affinity_timeout_is_the_services():
    given = service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 7}})
    assert service_ports(given, [], "")[0].affinity_seconds == 7


def test_a_slice_names_its_service():
    assert service_of(slice_of()) == "default/web"
    assert service_of({"metadata": {"namespace": "default"}}) == ""

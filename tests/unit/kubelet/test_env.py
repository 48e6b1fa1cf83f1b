"""The environment of a container: sources, order, expansion, and the texts of what can't be resolved."""

import base64

import pytest

from sampan.kubelet.containers import container_named
from sampan.kubelet.env import ConfigError, Surroundings, environment, expand, service_variables
from tests.unit.kubelet.pods import container, make_pod


class Objects:
    def __init__(self, config_maps=(), secrets=()):
        self.config_maps, self.secrets = dict(config_maps), dict(secrets)

    def config_map(self, name):
        return self.config_maps.get(name)

    def secret(self, name):
        return self.secrets.get(name)


OBJECTS = Objects(
    {"settings": {"kind": "ConfigMap", "data": {"COLOR": "red", "SIZE": "9"}}},
    {"keys": {"kind": "Secret", "data": {"TOKEN": base64.b64encode(b"s3cret").decode()}}},
)


def env_of(*variables, env_from=(), services=(), objects=OBJECTS, **spec):
    pod = make_pod(containers=[container("app", env=list(variables), envFrom=list(env_from), **spec)])
    pod["metadata"] |= {"labels": {"tier": "db"}}
    around = Surroundings(objects, dict(services), ("10.244.0.2",), ("172.29.0.2",), {"cpu": "4", "memory": "1Gi"})
    return environment(pod, container_named(pod, "app"), around)


def from_source(name, **source):
    return {"name": name, "valueFrom": source}


@pytest.mark.parametrize(("text", "wanted"), [
    ("$(A)", "1"), ("x$(A)y$(B)", "x1y2"), ("$(NONE)", "$(NONE)"), ("$$(A)", "$(A)"), ("$$$(A)", "$1"),
    ("$A", "$A"), ("$(A", "$(A"), ("$", "$"), ("a$$b", "a$b"), ("$()", "$()"), ("", ""), ("$$", "$"),
])
def test_expansion(text, wanted):
    assert expand(text, {"A": "1", "B": "2"}) == wanted


def test_later_variables_see_earlier_ones_and_services():
    found = env_of({"name": "A", "value": "$(DB_SERVICE_HOST)"}, {"name": "B", "value": "$(A)/$(C)"},
                   {"name": "C", "value": "late"}, services={"DB_SERVICE_HOST": "10.96.0.7"}.items())
    assert (found["A"], found["B"]) == ("10.96.0.7", "10.96.0.7/$(C)")


@pytest.mark.parametrize(("path", "wanted"), [
    ("metadata.name", "web"), ("metadata.namespace", "default"), ("metadata.uid", "uid-web"),
    ("metadata.labels['tier']", "db"), ("metadata.annotations['none']", ""), ("spec.nodeName", "n1"),
    ("status.podIP", "10.244.0.2"), ("status.hostIP", "172.29.0.2"), ("status.podIPs", "10.244.0.2"),
])
def test_field_references(path, wanted):
    assert env_of(from_source("X", fieldRef={"fieldPath": path}))["X"] == wanted


@pytest.mark.parametrize(("resource", "divisor", "wanted"), [
    ("limits.cpu", "1", "1"), ("limits.cpu", "1m", "250"), ("requests.memory", "1Mi", "64"),
    ("limits.memory", "1Mi", "1024"), ("requests.cpu", "1m", "0"),
])
def test_resource_references_round_up_and_fall_back_to_the_node(resource, divisor, wanted):
    ref = {"resource": resource, "divisor": divisor}
    resources = {"limits": {"cpu": "250m"}, "requests": {"memory": "64Mi"}}
    assert env_of(from_source("X", resourceFieldRef=ref), resources=resources)["X"] == wanted


def test_keys_of_config_maps_and_secrets():
    found = env_of(from_source("A", configMapKeyRef={"name": "settings", "key": "COLOR"}),
                   from_source("B", secretKeyRef={"name": "keys", "key": "TOKEN"}))
    assert found == {"A": "red", "B": "s3cret"}


def test_whole_objects_with_a_prefix_are_overridden_by_env():
    found = env_of({"name": "P_COLOR", "value": "blue"},
                   env_from=[{"prefix": "P_", "configMapRef": {"name": "settings"}}, {"secretRef": {"name": "keys"}}])
    assert found == {"P_SIZE": "9", "TOKEN": "s3cret", "P_COLOR": "blue"}


@pytest.mark.parametrize(("source", "message"), [
    ({"configMapKeyRef": {"name": "x", "key": "k"}}, 'configmap "x" not found'),
    ({"secretKeyRef": {"name": "x", "key": "k"}}, 'secret "x" not found'),
    ({"configMapKeyRef": {"name": "settings", "key": "k"}}, "couldn't find key k in ConfigMap default/settings"),
    ({"secretKeyRef": {"name": "keys", "key": "k"}}, "couldn't find key k in Secret default/keys"),
])
def test_what_is_missing_is_said_in_upstreams_words(source, message):
    with pytest.raises(ConfigError) as error:
        env_of(from_source("A", **source))
    assert str(error.value) == message


def test_what_is_optional_may_be_missing():
    ref = {"name": "x", "key": "k", "optional": True}
    found = env_of(from_source("A", configMapKeyRef=ref), env_from=[{"secretRef": {"name": "y", "optional": True}}])
    assert found == {}


def service(name, namespace="default", ip="10.96.0.7", **spec):
    ports = [{"name": "http", "port": 80}, {"name": "dns-u", "port": 53, "protocol": "UDP"}]
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip, "ports": ports, **spec}}


def test_service_variables():
    found = service_variables(make_pod(), [service("my-db")])
    assert found == {
        "MY_DB_SERVICE_HOST": "10.96.0.7", "MY_DB_SERVICE_PORT": "80", "MY_DB_SERVICE_PORT_HTTP": "80",
        "MY_DB_SERVICE_PORT_DNS_U": "53", "MY_DB_PORT": "tcp://10.96.0.7:80",
        "MY_DB_PORT_80_TCP": "tcp://10.96.0.7:80", "MY_DB_PORT_80_TCP_PROTO": "tcp", "MY_DB_PORT_80_TCP_PORT": "80",
        "MY_DB_PORT_80_TCP_ADDR": "10.96.0.7", "MY_DB_PORT_53_UDP": "udp://10.96.0.7:53",
        "MY_DB_PORT_53_UDP_PROTO": "udp", "MY_DB_PORT_53_UDP_PORT": "53", "MY_DB_PORT_53_UDP_ADDR": "10.96.0.7",
    }


def test_headless_and_foreign_services_give_none_but_kubernetes_is_everywhere():
    services = [service("headless", ip="None"), service("far", "other"), service("kubernetes", ip="10.96.0.1")]
    pod = make_pod(meta={"namespace": "elsewhere"}, enableServiceLinks=False)
    assert {k.partition("_")[0] for k in service_variables(pod, services)} == {"KUBERNETES"}

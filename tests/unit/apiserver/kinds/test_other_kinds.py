"""The smaller kinds: ConfigMap, Secret, Namespace, Node, Event, Lease, the endpoints."""

import base64
import copy

import pytest

from sampan.api import resources as r
from sampan.apiserver.kinds.base import Kind
from sampan.apiserver.kinds.registry import kind_of

LONG_AGO = {"creationTimestamp": "2026-11-22T10:00:00Z"}


def obj(name="x", namespace="default", **fields):
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **fields.pop("metadata", {})}
    return {"metadata": metadata, **fields}


def errors(resource, made):
    kind_of(resource).default(made)
    return [str(e) for e in kind_of(resource).validate(made)]


def update_errors(resource, new, old, subresource=""):
    return [str(e) for e in kind_of(resource).validate_update(new, old, subresource)]


def test_every_resource_has_a_kind():
    for resource in r.RESOURCES:
        kind = kind_of(resource)
        assert kind.resource is resource and kind is kind_of(resource)
        assert kind.selectable_fields({"metadata": {}}).keys() >= {"metadata.name"}
        if not kind.virtual and resource is not r.BINDINGS:
            assert len(kind.row({"metadata": {"name": "x"}}, None)) == len(kind.columns)


def test_reviews_are_answered_not_stored():
    virtual = {x.kind for x in r.RESOURCES if kind_of(x).virtual}
    assert virtual == {"TokenReview", "SelfSubjectReview", "SubjectAccessReview", "SelfSubjectAccessReview",
                       "LocalSubjectAccessReview", "SelfSubjectRulesReview"}


MISTAKES = [
    (r.CONFIGMAPS, obj(data={"a b": "c"}), 'data[a b]: Invalid value: "a b": a valid config key must consist of'),
    (r.CONFIGMAPS, obj(data={"a": "b"}, binaryData={"a": ""}), "duplicate of key present in binaryData"),
    (r.CONFIGMAPS, obj(data={"a": "b" * (1 << 20) + "x"}), "Too long: may not be more than 1048576 bytes"),
    (r.CONFIGMAPS, obj(name="A"), 'metadata.name: Invalid value: "A"'),
    (r.CONFIGMAPS, obj(namespace=""), "metadata.namespace: Required value"),
    (r.SECRETS, obj(type="kubernetes.io/tls"), "data[tls.crt]: Required value"),
    (r.SECRETS, obj(type="kubernetes.io/basic-auth"), "data[username]: Required value"),
    (r.SECRETS, obj(type="kubernetes.io/ssh-auth"), "data[ssh-privatekey]: Required value"),
    (r.SECRETS, obj(type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": "bm8="}),
     'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>"'),
    (r.SECRETS, obj(type="kubernetes.io/service-account-token"),
     "metadata.annotations[kubernetes.io/service-account.name]: Required value"),
    (r.SECRETS, obj(stringData={"a b": "c"}), 'data[a b]: Invalid value: "a b"'),
    (r.NAMESPACES, obj("a.b", ""), 'metadata.name: Invalid value: "a.b": must not contain dots'),
    (r.NAMESPACES, obj("a", "b"), "metadata.namespace: Forbidden: not allowed on this type"),
    (r.NODES, obj("n", "", spec={"taints": [{"key": "a", "effect": "X"}]}), 'effect: Unsupported value: "X"'),
    (r.NODES, obj("n", "", spec={"taints": [{"key": "a", "effect": "NoSchedule"}] * 2}),
     "spec.taints[1]: Duplicate value"),
    (r.NODES, obj("n", "", spec={"podCIDR": "x"}), 'spec.podCIDRs[0]: Invalid value: "x"'),
    (r.LEASES, obj(spec={"leaseDurationSeconds": 0}), "spec.leaseDurationSeconds: Invalid value: 0: must be greater"),
    (r.CORE_EVENTS, obj(involvedObject={"namespace": "other"}), 'involvedObject.namespace: Invalid value: "other": '
     "does not match event.namespace"),
    (r.EVENTS, obj(regarding={"namespace": "default"}, type="Normal", eventTime="x", action="a", reason="r"),
     "reportingController: Required value"),
    (r.ENDPOINTS, obj(subsets=[{}]), "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"),
    (r.ENDPOINTS, obj(subsets=[{"addresses": [{"ip": "127.0.0.1"}]}]), "may not be in the loopback range"),
    (r.ENDPOINTSLICES, obj(addressType="X"), 'addressType: Unsupported value: "X": supported values: "FQDN", "IPv4"'),
    (r.ENDPOINTSLICES, obj(addressType="IPv4", endpoints=[{"addresses": []}]), "must contain at least 1 address"),
    (r.ENDPOINTSLICES, obj(addressType="IPv4", endpoints=[{"addresses": ["fd00::1"]}]), "must be a valid IPv4 address"),
    (r.ENDPOINTSLICES, obj(addressType="IPv4", ports=[{"port": 1}, {"port": 2}]), 'ports[1].name: Duplicate value: ""'),
    (r.CONFIGMAPS, obj(metadata={"finalizers": ["x"]}), "name is neither a standard finalizer name nor is it fully"),
    (r.CONFIGMAPS, obj(metadata={"ownerReferences": [{"kind": "A", "apiVersion": "v1", "name": "a"}]}),
     'metadata.ownerReferences[0].uid: Invalid value: "": must not be empty'),
    (r.CONFIGMAPS, obj(metadata={"annotations": {"a": "b" * (1 << 18)}}), "metadata.annotations: Too long"),
    (r.CONFIGMAPS, obj(name="", metadata={"generateName": "A-"}), 'metadata.generateName: Invalid value: "A-"'),
]


@pytest.mark.parametrize("resource,made,expected", MISTAKES, ids=[f"{m[0].kind} {m[2][:30]}" for m in MISTAKES])
def test_mistakes(resource, made, expected):
    found = errors(resource, copy.deepcopy(made))
    assert any(expected in text for text in found), found


GOOD = [
    (r.CONFIGMAPS, obj(data={"a": "b"})), (r.SECRETS, obj(data={"a": "Yg=="})), (r.NAMESPACES, obj("a", "")),
    (r.SECRETS, obj(type="kubernetes.io/tls", data={"tls.crt": "", "tls.key": ""})),
    (r.NODES, obj("n1.example.com", "")), (r.LEASES, obj(spec={"leaseDurationSeconds": 40})),
    (r.ENDPOINTSLICES, obj(addressType="IPv4", endpoints=[{"addresses": ["10.0.0.1"]}], ports=[{"port": 80}])),
    (r.ENDPOINTS, obj(subsets=[{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}])),
    (r.SERVICEACCOUNTS, obj("robot")), (r.CORE_EVENTS, obj(involvedObject={"namespace": "default"})),
    (r.CONFIGMAPS, obj(metadata={"finalizers": ["example.com/x", "orphan"]})),
]


@pytest.mark.parametrize("resource,made", GOOD, ids=[m[0].kind for m in GOOD])
def test_good_ones(resource, made):
    assert errors(resource, copy.deepcopy(made)) == []


@pytest.mark.parametrize("resource,field", [(r.CONFIGMAPS, "data"), (r.SECRETS, "data")])
def test_immutable_is_for_good(resource, field):
    old = obj(type="Opaque", immutable=True, **{field: {"a": "Yg=="}})
    assert update_errors(resource, copy.deepcopy(old), old) == []
    assert update_errors(resource, old | {field: {}}, old) == [
        f"{field}: Forbidden: field is immutable when `immutable` is set"]
    assert update_errors(resource, old | {"immutable": False}, old) == [
        "immutable: Forbidden: field is immutable when `immutable` is set"]


def test_a_secrets_type_stays_and_string_data_is_merged(ctx):
    secret = obj(data={"a": "b2xk", "b": "Yg=="}, stringData={"a": "new"})
    kind_of(r.SECRETS).default(secret)
    assert secret["type"] == "Opaque" and "stringData" not in secret
    assert base64.b64decode(secret["data"]["a"]) == b"new" and secret["data"]["b"] == "Yg=="
    assert update_errors(r.SECRETS, obj(type="b"), obj(type="a")) == ['type: Invalid value: "b": field is immutable']


def test_a_namespace_is_born_active_and_labelled(ctx):
    namespace = obj("a", "", status={"phase": "Terminating"})
    kind = kind_of(r.NAMESPACES)
    kind.default(namespace)
    kind.prepare_for_create(namespace, ctx)
    assert namespace["metadata"]["labels"] == {"kubernetes.io/metadata.name": "a"}
    assert (namespace["spec"], namespace["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})
    new = copy.deepcopy(namespace) | {"spec": {}}
    kind.prepare_for_update(new, namespace, ctx)
    assert new["spec"] == {"finalizers": ["kubernetes"]}
    new = copy.deepcopy(namespace) | {"spec": {}}
    kind.prepare_for_update(new, namespace, ctx, "finalize")
    assert new["spec"] == {}


def test_a_node_keeps_the_status_it_registers_with(ctx):
    node = obj("n", "", status={"capacity": {"cpu": "2"}}, spec={"podCIDR": "10.0.0.0/24"})
    kind_of(r.NODES).default(node)
    kind_of(r.NODES).prepare_for_create(node, ctx)
    assert node["status"] == {"capacity": {"cpu": "2"}, "allocatable": {"cpu": "2"}}
    assert node["spec"]["podCIDRs"] == ["10.0.0.0/24"]
    other = copy.deepcopy(node)
    other["spec"]["podCIDRs"] = ["10.1.0.0/24"]
    assert "node updates may not change podCIDR except from" in update_errors(r.NODES, other, node)[0]


def test_an_event_has_two_shapes():
    stored = obj(apiVersion="v1", kind="Event", involvedObject={"kind": "Pod", "name": "p"}, message="m", count=3,
                 source={"component": "kubelet"}, firstTimestamp="a", lastTimestamp="b", reportingComponent="k",
                 type="Normal", reason="Started")
    new = kind_of(r.EVENTS).from_stored(stored)
    assert new == obj(apiVersion="events.k8s.io/v1", kind="Event", regarding={"kind": "Pod", "name": "p"}, note="m",
                      deprecatedCount=3, deprecatedSource={"component": "kubelet"}, deprecatedFirstTimestamp="a",
                      deprecatedLastTimestamp="b", reportingController="k", type="Normal", reason="Started")
    assert kind_of(r.EVENTS).to_stored(new) == stored
    fields = kind_of(r.EVENTS).selectable_fields(new)
    assert (fields["regarding.name"], fields["involvedObject.name"], fields["source"]) == ("p", "p", "kubelet")


def test_metadata_never_changes(ctx):
    old = obj(metadata={"uid": "1", **LONG_AGO})
    assert update_errors(r.CONFIGMAPS, obj("y", metadata={"uid": "2", **LONG_AGO}), old) == [
        'metadata.name: Invalid value: "y": field is immutable', 'metadata.uid: Invalid value: "2": field is immutable']
    new = obj()
    Kind(r.CONFIGMAPS).prepare_for_update(new, old, ctx)
    assert new["metadata"] == old["metadata"], "what the client leaves out is filled in"


def test_no_new_finalizers_once_deletion_began():
    old = obj(metadata={"deletionTimestamp": "x", "finalizers": ["a.b/c"]})
    new = copy.deepcopy(old)
    new["metadata"]["finalizers"].append("a.b/d")
    assert update_errors(r.CONFIGMAPS, new, old) == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new "
        'finalizers []string{"a.b/d"}']


NODE = obj("n1", "", metadata={"labels": {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/a": ""}},
           spec={"unschedulable": True}, status={
               "conditions": [{"type": "Ready", "status": "True"}], "addresses": [
                   {"type": "InternalIP", "address": "172.29.0.2"}],
               "nodeInfo": {"kubeletVersion": "v1.37.0", "osImage": "Debian", "kernelVersion": "6",
                            "containerRuntimeVersion": "sampan://1"}})
EVENT = obj(lastTimestamp="2026-11-22T14:59:00Z", firstTimestamp="2026-11-22T14:00:00Z", count=4, type="Warning",
            reason="BackOff", message=" m\n", involvedObject={"kind": "Pod", "name": "p", "fieldPath": "f"},
            source={"component": "kubelet", "host": "n1"})
ROWS = [
    (r.NODES, NODE, ["n1", "Ready,SchedulingDisabled", "a,worker", "<unknown>", "v1.37.0", "172.29.0.2", "<none>",
                     "Debian", "6", "sampan://1"]),
    (r.NODES, obj("n", "", status={"conditions": [{"type": "Ready", "status": "Unknown"}]}),
     ["n", "NotReady", "<none>", "<unknown>", "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"]),
    (r.NODES, obj("n", ""), ["n", "Unknown", "<none>", "<unknown>", "", "<none>", "<none>", "<unknown>", "<unknown>",
                             "<unknown>"]),
    (r.CORE_EVENTS, EVENT, ["60s", "Warning", "BackOff", "pod/p", "f", "kubelet, n1", "m", "60m", 4, "x"]),
    (r.CORE_EVENTS, obj(eventTime="2026-11-22T14:59:00.000000Z", series={
        "count": 7, "lastObservedTime": "2026-11-22T14:59:50.000000Z"}),
     ["10s", "", "", "", "", "", "", "60s", 7, "x"]),
    (r.CONFIGMAPS, obj(data={"a": ""}, binaryData={"b": ""}, metadata=LONG_AGO), ["x", 2, "5h"]),
    (r.SECRETS, obj(type="Opaque", data={"a": ""}), ["x", "Opaque", 1, "<unknown>"]),
    (r.NAMESPACES, obj("a", "", status={"phase": "Active"}), ["a", "Active", "<unknown>"]),
    (r.SERVICEACCOUNTS, obj(secrets=[{}]), ["x", 1, "<unknown>"]),
    (r.LEASES, obj(spec={"holderIdentity": "h"}), ["x", "h", "<unknown>"]),
    (r.ENDPOINTS, obj(subsets=[{"addresses": [{"ip": f"10.0.0.{n}"} for n in range(5)], "ports": [{"port": 80}]}]),
     ["x", "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more...", "<unknown>"]),
    (r.ENDPOINTS, obj(), ["x", "<none>", "<unknown>"]),
    (r.ENDPOINTSLICES, obj(addressType="IPv4", ports=[{"port": 80}, {}], endpoints=[{"addresses": ["10.0.0.1"]}]),
     ["x", "IPv4", "80,*", "10.0.0.1", "<unknown>"]),
    (r.ENDPOINTSLICES, obj(addressType="IPv4"), ["x", "IPv4", "<unset>", "<unset>", "<unknown>"]),
    (r.ROLEBINDINGS, obj(roleRef={"kind": "Role", "name": "r"}, subjects=[
        {"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}]),
     ["x", "Role/r", "<unknown>", "u", "", "n/s"]),
    (r.ROLES, obj(metadata=LONG_AGO), ["x", "2026-11-22T10:00:00Z"]),
]


@pytest.mark.parametrize("resource,made,cells", ROWS, ids=[x[0].kind for x in ROWS])
def test_rows(resource, made, cells, now):
    assert kind_of(resource).row(made, now) == cells


def test_other_selectable_fields():
    assert kind_of(r.SECRETS).selectable_fields(obj(type="t"))["type"] == "t"
    assert kind_of(r.NODES).selectable_fields(NODE)["spec.unschedulable"] == "true"
    assert kind_of(r.NAMESPACES).selectable_fields(obj("a", "", status={"phase": "Active"}))["status.phase"] == "Active"
    assert kind_of(r.CORE_EVENTS).selectable_fields(EVENT)["involvedObject.kind"] == "Pod"

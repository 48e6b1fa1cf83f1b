"""A stolen kubelet key is worth no more than its node."""

import pytest

from sampan.api.errors import Forbidden
from sampan.api.resources import LEASES, NODES, PODS, SERVICEACCOUNTS
from sampan.apiserver.admission.chain import default_chain
from sampan.apiserver.admission.node_restriction import NodeRestriction
from sampan.apiserver.admission.taint_nodes_by_condition import TaintNodesByCondition
from sampan.auth.user import UserInfo

KUBELET = UserInfo("system:node:n1", groups=("system:nodes",))
TAINT = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


def node(name="n1", labels=None, **spec):
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": spec}


def pod(node_name="n1", **metadata):
    return {"metadata": {"name": "p", "uid": "1", **metadata}, "spec": {"nodeName": node_name}}


def token(**reference):
    return {"spec": {"boundObjectRef": {"kind": "Pod", "name": "p", "uid": "1", **reference}}}


MIRROR = {"annotations": {"kubernetes.io/config.mirror": "x"}}
LEASE = {"metadata": {"name": "n1"}}
ALLOWED = {
    "own status": ("UPDATE", PODS, pod(), {"old": pod(), "subresource": "status"}),
    "own deletion": ("DELETE", PODS, None, {"old": pod()}),
    "mirror": ("CREATE", PODS, pod(**MIRROR), {}),
    "own node": ("UPDATE", NODES, node(), {"old": node()}),
    "own node's status": ("UPDATE", NODES, node(), {"old": node(), "subresource": "status"}),
    "registers": ("CREATE", NODES, node(labels={"kubernetes.io/hostname": "n1", "kubernetes.io/os": "linux"}), {}),
    "a label of its own": ("UPDATE", NODES, node(labels={"node.kubernetes.io/x": "a", "mine": "b"}), {"old": node()}),
    "own token": ("CREATE", SERVICEACCOUNTS, token(), {"subresource": "token", "name": "robot"}),
    "own lease": ("UPDATE", LEASES, LEASE, {"namespace": "kube-node-lease"}),
}
REFUSED = {
    "other's status": ("UPDATE", PODS, pod("n2"), {"old": pod("n2"), "subresource": "status"}),
    "labels by status": ("UPDATE", PODS, pod(labels={"a": "b"}), {"old": pod(), "subresource": "status"}),
    "other's deletion": ("DELETE", PODS, None, {"old": pod("n2")}),
    "other's eviction": ("CREATE", PODS, {"metadata": {"name": "p"}}, {"old": pod("n2"), "subresource": "eviction"}),
    "a pod of its own": ("CREATE", PODS, pod(), {}),
    "mirror elsewhere": ("CREATE", PODS, pod("n2", **MIRROR), {}),
    "pod spec": ("UPDATE", PODS, pod(), {"old": pod()}),
    "other node": ("UPDATE", NODES, node("n2"), {"old": node("n2")}),
    "registers another": ("CREATE", NODES, node("n2"), {}),
    "taints": ("UPDATE", NODES, node(taints=[]), {"old": node(taints=[TAINT])}),
    "restricted label": ("UPDATE", NODES, node(labels={"node-restriction.kubernetes.io/x": "a"}), {"old": node()}),
    "role label": ("CREATE", NODES, node(labels={"node-role.kubernetes.io/control-plane": ""}), {}),
    "deletes itself": ("DELETE", NODES, None, {"old": node(), "name": "n1"}),
    "unbound token": ("CREATE", SERVICEACCOUNTS, {"spec": {}}, {"subresource": "token", "name": "robot"}),
    "token without uid": ("CREATE", SERVICEACCOUNTS, token(uid=""), {"subresource": "token", "name": "robot"}),
    "token of another uid": ("CREATE", SERVICEACCOUNTS, token(uid="2"), {"subresource": "token", "name": "robot"}),
    "token of a pod elsewhere": ("CREATE", SERVICEACCOUNTS, token(name="far"), {"subresource": "token", "name": "r"}),
    "other lease": ("UPDATE", LEASES, {"metadata": {"name": "n2"}}, {"namespace": "kube-node-lease"}),
    "lease elsewhere": ("UPDATE", LEASES, LEASE, {}),
}


@pytest.fixture(autouse=True)
def pods(server):
    server.put(PODS, "p", "default", metadata={"uid": "1"}, spec={"nodeName": "n1"})
    server.put(PODS, "far", "default", metadata={"uid": "1"}, spec={"nodeName": "n2"})


@pytest.mark.parametrize("operation,resource,obj,more", ALLOWED.values(), ids=ALLOWED.keys())
async def test_allowed(send, operation, resource, obj, more):
    assert await send(NodeRestriction(), operation, resource, obj, user=KUBELET, **more) == obj


@pytest.mark.parametrize("operation,resource,obj,more", REFUSED.values(), ids=REFUSED.keys())
async def test_refused(send, operation, resource, obj, more):
    with pytest.raises(Forbidden):
        await send(NodeRestriction(), operation, resource, obj, user=KUBELET, **more)


@pytest.mark.parametrize("operation,resource,obj,more", REFUSED.values(), ids=REFUSED.keys())
async def test_others_are_not_its_business(send, operation, resource, obj, more):
    assert await send(NodeRestriction(), operation, resource, obj, **more) == obj


async def test_a_node_is_born_tainted(send):
    made = await send(TaintNodesByCondition(), "CREATE", NODES, node(taints=[{"key": "a", "effect": "NoExecute"}]))
    assert made["spec"]["taints"] == [{"key": "a", "effect": "NoExecute"}, TAINT]
    assert (await send(TaintNodesByCondition(), "CREATE", NODES, made))["spec"]["taints"].count(TAINT) == 1
    assert "taints" not in (await send(TaintNodesByCondition(), "UPDATE", NODES, node(), old=node()))["spec"]


def test_the_chain_is_in_upstreams_order(server):
    assert [plugin.name for plugin in default_chain(server)] == [
        "NamespaceLifecycle", "ServiceAccount", "NodeRestriction", "TaintNodesByCondition", "Priority",
        "DefaultTolerationSeconds"]

"""What is put into every Pod on its way in: account and token, tolerations, priority."""

import re

import pytest

from sampan.api.errors import Forbidden
from sampan.api.resources import CONFIGMAPS, PODS, SERVICEACCOUNTS
from sampan.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from sampan.apiserver.admission.priority import Priority
from sampan.apiserver.admission.service_account import MOUNT_PATH, ServiceAccount

MIRROR = {"annotations": {"kubernetes.io/config.mirror": "x"}}


def pod(metadata=None, **spec):
    return {"metadata": {"name": "web", **(metadata or {})}, "spec": {"containers": [{"name": "c"}], **spec}}


async def test_a_pod_gets_the_default_account_and_its_token(send):
    spec = (await send(ServiceAccount(), "CREATE", PODS, pod(initContainers=[{"name": "i"}])))["spec"]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    (volume,) = spec["volumes"]
    assert re.fullmatch("kube-api-access-[a-z0-9]{5}", volume["name"])
    assert volume["projected"] == {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {
            "apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}}]}
    for container in (*spec["containers"], *spec["initContainers"]):
        assert container["volumeMounts"] == [{"name": volume["name"], "readOnly": True, "mountPath": MOUNT_PATH}]


async def test_a_second_pass_changes_nothing(send):
    once = await send(ServiceAccount(), "CREATE", PODS, pod())
    before = repr(once)
    assert repr(await send(ServiceAccount(), "CREATE", PODS, once)) == before


async def test_no_token_where_the_container_mounts_its_own(send):
    mine = [{"name": "mine", "mountPath": MOUNT_PATH}]
    spec = (await send(ServiceAccount(), "CREATE", PODS, pod(containers=[{"volumeMounts": mine}])))["spec"]
    assert spec["containers"][0]["volumeMounts"] == mine and "volumes" not in spec


@pytest.mark.parametrize("of_pod,of_account,mounted", [
    (None, None, True), (False, None, False), (None, False, False), (True, False, True), (False, True, False),
])
async def test_the_pods_word_counts_before_the_accounts(send, server, of_pod, of_account, mounted):
    server.put(SERVICEACCOUNTS, "robot", "default", automountServiceAccountToken=of_account)
    made = pod(serviceAccountName="robot", automountServiceAccountToken=of_pod)
    assert bool((await send(ServiceAccount(), "CREATE", PODS, made))["spec"].get("volumes")) is mounted


async def test_pull_secrets_come_from_the_account_if_the_pod_has_none(send, server):
    server.put(SERVICEACCOUNTS, "robot", "default", imagePullSecrets=[{"name": "a"}])
    taken = await send(ServiceAccount(), "CREATE", PODS, pod(serviceAccountName="robot"))
    assert taken["spec"]["imagePullSecrets"] == [{"name": "a"}]
    own = pod(serviceAccountName="robot", imagePullSecrets=[{"name": "b"}])
    kept = await send(ServiceAccount(), "CREATE", PODS, own)
    assert kept["spec"]["imagePullSecrets"] == [{"name": "b"}]


async def test_a_missing_account_is_named(send):
    with pytest.raises(Forbidden) as refused:
        await send(ServiceAccount(), "CREATE", PODS, pod(serviceAccountName="x"))
    assert refused.value.message == ('pods "web" is forbidden: error looking up service account default/x: '
                                     'serviceaccount "x" not found')


async def test_mirror_pods_have_no_account(send):
    assert "serviceAccountName" not in (await send(ServiceAccount(), "CREATE", PODS, pod(MIRROR)))["spec"]
    for spec in ({"serviceAccountName": "x"}, {"volumes": [{"secret": {"secretName": "s"}}]}):
        with pytest.raises(Forbidden, match="a mirror pod may not reference"):
            await send(ServiceAccount(), "CREATE", PODS, pod(MIRROR, **spec))


@pytest.mark.parametrize("operation,resource,more", [
    ("UPDATE", PODS, {}), ("CREATE", CONFIGMAPS, {}), ("CREATE", PODS, {"subresource": "binding"}),
])
@pytest.mark.parametrize("plugin", [ServiceAccount(), Priority()])
async def test_only_new_pods_are_touched(send, plugin, operation, resource, more):
    made, old = pod(), pod()
    assert await send(plugin, operation, resource, made, old=old, **more) == pod()


def keys(made):
    return [(t.get("key"), t.get("tolerationSeconds")) for t in made["spec"]["tolerations"]]


async def test_five_minutes_on_a_lost_node(send):
    made = await send(DefaultTolerationSeconds(), "CREATE", PODS, pod())
    assert made["spec"]["tolerations"][0] == {
        "key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    assert keys(made) == [("node.kubernetes.io/not-ready", 300), ("node.kubernetes.io/unreachable", 300)]
    assert keys(await send(DefaultTolerationSeconds(), "UPDATE", PODS, made, old=pod())) == keys(made)


@pytest.mark.parametrize("toleration,added", [
    ({"operator": "Exists"}, 0), ({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute",
                                  "tolerationSeconds": 5}, 1), ({"key": "other", "operator": "Exists"}, 2),
    ({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}, 2),
])
async def test_what_the_pod_says_itself_counts(send, toleration, added):
    made = await send(DefaultTolerationSeconds(), "CREATE", PODS, pod(tolerations=[toleration]))
    assert made["spec"]["tolerations"][0] == toleration and len(made["spec"]["tolerations"]) == 1 + added


@pytest.mark.parametrize("name,priority", [("", 0), ("system-node-critical", 2000001000),
                                           ("system-cluster-critical", 2000000000)])
async def test_a_class_becomes_a_number(send, name, priority):
    spec = (await send(Priority(), "CREATE", PODS, pod(priorityClassName=name)))["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (priority, "PreemptLowerPriority")


async def test_an_unknown_class_and_a_number_of_ones_own_are_refused(send):
    with pytest.raises(Forbidden, match="no PriorityClass with name gold was found"):
        await send(Priority(), "CREATE", PODS, pod(priorityClassName="gold"))
    with pytest.raises(Forbidden, match=r"the integer value of priority \(7\) must not be provided in pod spec"):
        await send(Priority(), "CREATE", PODS, pod(priority=7))


async def test_an_update_keeps_the_number(send):
    made = await send(Priority(), "UPDATE", PODS, pod(), old=pod(priority=5, preemptionPolicy="Never"))
    assert (made["spec"]["priority"], made["spec"]["preemptionPolicy"]) == (5, "Never")

"""The default roles: what they allow, and that a start mends what is missing and leaves the rest alone."""

import copy

import pytest

from sampan.api.errors import AlreadyExists
from sampan.api.meta import key
from sampan.api.resources import CLUSTERROLEBINDINGS, CLUSTERROLES, NAMESPACES, ROLEBINDINGS, ROLES, SERVICEACCOUNTS
from sampan.auth import bootstrap_policy as policy
from sampan.auth.authorize import Attributes
from sampan.auth.bootstrap import ensure, reconciled
from sampan.auth.rbac import Rbac
from sampan.auth.user import UserInfo, anonymous


class FakeClient:
    def __init__(self):
        kept = (NAMESPACES, SERVICEACCOUNTS, CLUSTERROLES, CLUSTERROLEBINDINGS, ROLES, ROLEBINDINGS)
        self.objects = {r: {} for r in kept}
        self.writes = []

    async def list(self, resource):
        return {"items": list(self.objects[resource].values())}

    async def create(self, resource, obj, namespace=None):
        if key(obj) in self.objects[resource]:
            raise AlreadyExists.of(resource, key(obj))
        self.writes.append(("create", resource.kind, key(obj)))
        self.objects[resource][key(obj)] = obj
        return obj

    async def update(self, resource, obj):
        self.writes.append(("update", resource.kind, key(obj)))
        self.objects[resource][key(obj)] = obj
        return obj

    async def delete(self, resource, name, namespace=None):
        self.writes.append(("delete", resource.kind, name))
        return self.objects[resource].pop(f"{namespace}/{name}" if namespace else name)


@pytest.fixture
def rbac(objects):
    for resource, all_of in ((CLUSTERROLES, policy.cluster_roles()), (ROLES, policy.roles()),
                             (CLUSTERROLEBINDINGS, policy.cluster_role_bindings()),
                             (ROLEBINDINGS, policy.role_bindings())):
        for each in all_of:
            objects.put(resource, each)
    for name in ("admin", "edit", "view"):
        objects.put(ROLEBINDINGS, {"metadata": {"name": name, "namespace": "a"},
                                   "roleRef": {"kind": "ClusterRole", "name": name},
                                   "subjects": [{"kind": "User", "name": name}]})
    return Rbac(objects)


def user(name):
    return UserInfo(name, groups=("system:authenticated",))


def controller(name):
    return UserInfo(f"system:serviceaccount:kube-system:{name}", groups=("system:serviceaccounts",))


ALLOWED = [
    (anonymous(), "get", "/healthz"), (anonymous(), "get", "/version"), (user("x"), "get", "/apis/apps/v1"),
    (user("x"), "get", "/openapi/v2"), (user("x"), "create", "authorization.k8s.io/selfsubjectaccessreviews"),
    (user("view"), "get", "pods a"), (user("view"), "get", "pods/log a"), (user("edit"), "get", "secrets a"),
    (user("edit"), "create", "pods/exec a"), (user("edit"), "patch", "apps/deployments a"),
    (user("edit"), "create", "serviceaccounts/token a"), (user("edit"), "watch", "pods a"),
    (user("admin"), "create", "rbac.authorization.k8s.io/roles a"), (user("admin"), "delete", "pods a"),
    (user("system:kube-scheduler"), "create", "pods/binding a"),
    (user("system:kube-controller-manager"), "list", "apps/deployments"),
    (controller("deployment-controller"), "create", "apps/replicasets a"),
    (controller("replicaset-controller"), "create", "pods a"),
    (controller("namespace-controller"), "deletecollection", "apps/deployments a"),
    (controller("generic-garbage-collector"), "delete", "pods a"),
    (controller("coredns"), "watch", "discovery.k8s.io/endpointslices"),
    (UserInfo("system:serviceaccount:a:x", groups=("system:serviceaccounts",)), "get", "/openid/v1/jwks"),
]
REFUSED = [
    (anonymous(), "get", "/api"), (anonymous(), "get", "/metrics"), (user("x"), "get", "pods a"),
    (user("x"), "get", "/metrics"), (user("view"), "get", "secrets a"), (user("view"), "create", "pods a"),
    (user("view"), "get", "pods b"), (user("view"), "create", "pods/exec a"),
    (user("view"), "get", "rbac.authorization.k8s.io/roles a"),
    (user("edit"), "create", "rbac.authorization.k8s.io/roles a"),
    (user("admin"), "create", "namespaces"), (user("admin"), "create", "rbac.authorization.k8s.io/clusterroles"),
    (user("system:kube-scheduler"), "get", "secrets a"), (controller("deployment-controller"), "get", "secrets a"),
    (controller("replicaset-controller"), "create", "apps/deployments a"),
]


def attributes(who, verb, what):
    if what.startswith("/"):
        return Attributes(who, verb, path=what)
    path, _, namespace = what.partition(" ")
    group, resource = path.rsplit("/", 1) if "." in path.partition("/")[0] or path.startswith("apps/") else ("", path)
    resource, _, sub = resource.partition("/")
    return Attributes(who, verb, group, resource, sub, namespace)


@pytest.mark.parametrize("who,verb,what", ALLOWED, ids=lambda v: getattr(v, "name", v))
def test_allowed(rbac, who, verb, what):
    assert rbac.authorize(attributes(who, verb, what)).allowed


@pytest.mark.parametrize("who,verb,what", REFUSED, ids=lambda v: getattr(v, "name", v))
def test_refused(rbac, who, verb, what):
    assert not rbac.authorize(attributes(who, verb, what)).allowed


async def test_a_first_start_creates_and_a_second_writes_nothing():
    client = FakeClient()
    await ensure(client)
    assert set(client.objects[NAMESPACES]) == {"default", "kube-system", "kube-public", "kube-node-lease"}
    assert {"cluster-admin", "admin", "edit", "view", "system:discovery"} <= set(client.objects[CLUSTERROLES])
    assert len(client.writes) > 50
    client.writes.clear()
    await ensure(client)
    assert client.writes == []


async def test_what_is_missing_is_mended_and_what_was_added_stays():
    client = FakeClient()
    await ensure(client)
    client.writes.clear()
    roles = client.objects[CLUSTERROLES]
    extra = {"verbs": ["get"], "apiGroups": ["x"], "resources": ["y"]}
    roles["system:kube-dns"] = roles["system:kube-dns"] | {"rules": [extra]}
    del roles["system:basic-user"]
    frozen = roles["system:discovery"]
    roles["system:discovery"] = frozen | {"rules": [], "metadata": frozen["metadata"] | {
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "false"}}}
    bindings = client.objects[CLUSTERROLEBINDINGS]
    bindings["cluster-admin"] = bindings["cluster-admin"] | {"subjects": []}
    bindings["system:discovery"] = bindings["system:discovery"] | {"roleRef": {"kind": "ClusterRole", "name": "x"}}
    await ensure(client)
    assert sorted(client.writes) == [
        ("create", "ClusterRole", "system:basic-user"), ("create", "ClusterRoleBinding", "system:discovery"),
        ("delete", "ClusterRoleBinding", "system:discovery"), ("update", "ClusterRole", "system:kube-dns"),
        ("update", "ClusterRoleBinding", "cluster-admin")]
    assert roles["system:kube-dns"]["rules"][0] == extra and len(roles["system:kube-dns"]["rules"]) == 2
    assert roles["system:discovery"]["rules"] == []


def test_reconciling_changes_neither_side():
    wanted, there = policy.cluster_roles()[0], {"metadata": {"name": "x"}, "rules": []}
    before = copy.deepcopy((wanted, there))
    reconciled(wanted, there)
    assert (wanted, there) == before


async def test_an_empty_store_is_filled_without_a_server():
    from sampan.auth.bootstrap_store import StoreClient
    from sampan.store.memory import MemoryStore

    store = MemoryStore()
    await store.start()
    client = StoreClient(store)
    await ensure(client)
    revision = store.revision
    await ensure(client)
    assert store.revision == revision
    (role,) = [r for r in (await client.list(CLUSTERROLES))["items"] if r["metadata"]["name"] == "view"]
    assert role["metadata"]["uid"] and role["metadata"]["creationTimestamp"] and role["rules"]
    await client.update(CLUSTERROLES, role | {"rules": [], "aggregationRule": None})
    await ensure(client)
    assert store.revision == revision + 2
    (namespace,) = [n for n in (await client.list(NAMESPACES))["items"] if n["metadata"]["name"] == "default"]
    assert (namespace["spec"], namespace["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})
    assert namespace["metadata"]["labels"] == {"kubernetes.io/metadata.name": "default"}
    accounts = {key(account) for account in (await client.list(SERVICEACCOUNTS))["items"]}
    assert {"default/default", "kube-system/default"} <= accounts, "the first Pod must not be refused"
    await store.close()

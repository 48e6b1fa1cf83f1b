"""Roles, bindings and what follows from them."""

import pytest

from sampan.api.resources import CLUSTERROLEBINDINGS, CLUSTERROLES, RBAC_GROUP, ROLEBINDINGS, ROLES
from sampan.auth.aggregation import aggregated_rules
from sampan.auth.authorize import Attributes, Chain, Decision, SubjectRules, forbidden_message
from sampan.auth.rbac import Rbac
from sampan.auth.rules import covers, describe
from sampan.auth.user import UserInfo

JANE = UserInfo("jane", groups=("dev", "system:authenticated"))


def role(name, *rules, namespace="", **metadata):
    return {"metadata": {"name": name, "namespace": namespace, **metadata}, "rules": list(rules)}


def rule(verbs, groups="", resources="", names="", urls=""):
    made = {"verbs": verbs.split()}
    if urls:
        return made | {"nonResourceURLs": urls.split()}
    made |= {"apiGroups": ["" if g == "core" else g for g in groups.split()], "resources": resources.split()}
    return made | ({"resourceNames": names.split()} if names else {})


def binding(name, role_name, *subjects, namespace="", kind="ClusterRole"):
    return {"metadata": {"name": name, "namespace": namespace}, "roleRef": {"kind": kind, "name": role_name},
            "subjects": [dict(zip(("kind", "name", "namespace"), s, strict=False)) for s in subjects]}


def asks(verb, resource="pods", namespace="a", name="", group="", sub="", user=JANE):
    return Attributes(user, verb, group, resource, sub, namespace, name)


RULES = {
    "exact": (rule("get", "core", "pods"), asks("get"), True),
    "another verb": (rule("get", "core", "pods"), asks("list"), False),
    "any verb": (rule("*", "core", "pods"), asks("list"), True),
    "another group": (rule("get", "apps", "pods"), asks("get"), False),
    "any group": (rule("get", "*", "deployments"), asks("get", "deployments", group="apps"), True),
    "any resource": (rule("get", "core", "*"), asks("get", "secrets"), True),
    "any resource, subresource": (rule("get", "core", "*"), asks("get", sub="log"), True),
    "resource is not its subresource": (rule("get", "core", "pods"), asks("get", sub="log"), False),
    "subresource": (rule("get", "core", "pods/log"), asks("get", sub="log"), True),
    "subresource is not its resource": (rule("get", "core", "pods/log"), asks("get"), False),
    "a subresource of anything": (rule("update", "apps", "*/scale"), asks("update", "x", sub="scale", group="apps"),
                                  True),
    "name": (rule("get", "core", "pods", "web"), asks("get", name="web"), True),
    "another name": (rule("get", "core", "pods", "web"), asks("get", name="db"), False),
    "a list has no name": (rule("list", "core", "pods", "web"), asks("list"), False),
    "path": (rule("get", urls="/healthz"), Attributes(JANE, "get", path="/healthz"), True),
    "path below": (rule("get", urls="/api/*"), Attributes(JANE, "get", path="/api/v1"), True),
    "path beside": (rule("get", urls="/api/*"), Attributes(JANE, "get", path="/apis"), False),
    "any path": (rule("get", urls="*"), Attributes(JANE, "get", path="/metrics"), True),
    "a path is no resource": (rule("get", urls="*"), asks("get"), False),
    "a resource is no path": (rule("*", "*", "*"), Attributes(JANE, "get", path="/metrics"), False),
}


@pytest.mark.parametrize("granted,asked,allowed", RULES.values(), ids=RULES.keys())
def test_rules(objects, granted, asked, allowed):
    objects.put(CLUSTERROLES, role("r", granted))
    objects.put(CLUSTERROLEBINDINGS, binding("b", "r", ("User", "jane")))
    assert Rbac(objects).authorize(asked).allowed is allowed


SUBJECTS = {
    "user": (("User", "jane"), True), "another": (("User", "joe"), False), "group": (("Group", "dev"), True),
    "a group is no user": (("User", "dev"), False), "a user is no group": (("Group", "jane"), False),
    "account": (("ServiceAccount", "jane", "a"), False),
}


@pytest.mark.parametrize("subject,allowed", SUBJECTS.values(), ids=SUBJECTS.keys())
def test_subjects(objects, subject, allowed):
    objects.put(CLUSTERROLES, role("r", rule("get", "core", "pods")))
    objects.put(CLUSTERROLEBINDINGS, binding("b", "r", subject))
    assert Rbac(objects).authorize(asks("get")).allowed is allowed


def test_a_service_account_is_a_user_by_its_full_name(objects):
    objects.put(ROLES, role("r", rule("get", "core", "pods"), namespace="a"))
    objects.put(ROLEBINDINGS, binding("b", "r", ("ServiceAccount", "robot"), namespace="a", kind="Role"))
    robot = UserInfo("system:serviceaccount:a:robot")
    decision = Rbac(objects).authorize(asks("get", user=robot))
    assert decision == Decision(True, 'RBAC: allowed by RoleBinding "b/a" of Role "r/a" to User '
                                      '"system:serviceaccount:a:robot"')


def test_a_role_binding_counts_in_its_namespace_only(objects):
    objects.put(CLUSTERROLES, role("r", rule("get", "core", "pods nodes"), rule("get", urls="*")))
    objects.put(ROLEBINDINGS, binding("b", "r", ("User", "jane"), namespace="a"))
    rbac = Rbac(objects)
    assert rbac.authorize(asks("get")).allowed
    assert not rbac.authorize(asks("get", namespace="b")).allowed
    assert not rbac.authorize(asks("get", "nodes", namespace="")).allowed
    assert not rbac.authorize(Attributes(JANE, "get", path="/metrics")).allowed


def test_it_follows_changes(objects):
    rbac = Rbac(objects)
    bound = binding("b", "r", ("User", "jane"))
    objects.put(CLUSTERROLEBINDINGS, bound)
    decision = rbac.authorize(asks("get"))
    assert decision == Decision(False, 'RBAC: clusterrole.rbac.authorization.k8s.io "r" not found')
    objects.put(CLUSTERROLES, role("r", rule("get", "core", "pods")))
    assert rbac.authorize(asks("get")).allowed
    objects.put(CLUSTERROLEBINDINGS, binding("b", "r", ("User", "joe")))
    assert not rbac.authorize(asks("get")).allowed
    objects.put(CLUSTERROLEBINDINGS, bound)
    objects.put(CLUSTERROLES, role("r", rule("list", "core", "pods")))
    assert not rbac.authorize(asks("get")).allowed
    assert rbac.authorize(asks("list")).allowed
    objects.drop(CLUSTERROLEBINDINGS, bound)
    assert not rbac.authorize(asks("list")).allowed


def test_masters_may_do_everything(objects):
    root = UserInfo("root", groups=("system:masters",))
    rbac = Rbac(objects)
    assert rbac.authorize(asks("delete", user=root)).allowed
    assert rbac.authorize(Attributes(root, "get", path="/metrics")).allowed
    assert rbac.rules_for(root, "a").resource_rules[0]["verbs"] == ["*"]


def test_rules_for_lists_both_scopes(objects):
    objects.put(CLUSTERROLES, role("all", rule("get", "core", "nodes"), rule("get", urls="/healthz")))
    objects.put(ROLES, role("some", rule("get", "core", "pods", "web"), namespace="a"))
    objects.put(CLUSTERROLEBINDINGS, binding("b", "all", ("Group", "dev")))
    objects.put(ROLEBINDINGS, binding("c", "some", ("User", "jane"), namespace="a", kind="Role"))
    objects.put(ROLEBINDINGS, binding("d", "none", ("User", "jane"), namespace="a", kind="Role"))
    rules = Rbac(objects).rules_for(JANE, "a")
    assert rules.resource_rules == (rule("get", "core", "nodes"), rule("get", "core", "pods", "web"))
    assert rules.non_resource_rules == (rule("get", urls="/healthz"),)
    assert (rules.incomplete, rules.error) == (True, f'role.{RBAC_GROUP} "none" not found')


COVERS = [
    (rule("get list", "core", "pods"), rule("get", "core", "pods"), []),
    (rule("*", "*", "*"), rule("delete", "apps", "deployments"), []),
    (rule("get", "core", "pods"), rule("get list", "core", "pods"), ['{APIGroups:[""], Resources:["pods"], '
                                                                     'Verbs:["list"]}']),
    (rule("get", "core", "pods", "web"), rule("get", "core", "pods"), ['{APIGroups:[""], Resources:["pods"], '
                                                                       'Verbs:["get"]}']),
    (rule("get", "core", "pods"), rule("get", "core", "pods", "web"), []),
    (rule("get", "core", "pods", "web db"), rule("get", "core", "pods", "web x"), [
        '{APIGroups:[""], Resources:["pods"], ResourceNames:["x"], Verbs:["get"]}']),
    (rule("update", "apps", "*/scale"), rule("update", "apps", "deployments/scale"), []),
    (rule("update", "apps", "deployments"), rule("update", "apps", "deployments/scale"), [
        '{APIGroups:["apps"], Resources:["deployments/scale"], Verbs:["update"]}']),
    (rule("get", urls="/api/*"), rule("get", urls="/api/v1"), []),
    (rule("get", urls="/api"), rule("get", urls="/api/*"), ['{NonResourceURLs:["/api/*"], Verbs:["get"]}']),
    (rule("get", "core", "pods"), rule("*", "core", "pods"), ['{APIGroups:[""], Resources:["pods"], Verbs:["*"]}']),
]


@pytest.mark.parametrize("owned,wanted,missing", COVERS)
def test_covers(owned, wanted, missing):
    assert describe(covers([owned], [wanted])) == missing


def test_what_several_rules_hold_together_is_held():
    owned = [rule("get", "core", "pods"), rule("list", "core", "pods"), rule("get list", "core", "secrets")]
    assert covers(owned, [rule("get list", "core", "pods secrets")]) == []


def test_aggregation_collects_by_label():
    labelled = {"labels": {"into": "view"}}
    target = role("view") | {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"into": "view"}}]}}
    a, b = rule("get", "core", "pods"), rule("get", "x", "widgets")
    others = [role("zeta", b, a, **labelled), role("alpha", a, **labelled), role("other", rule("*", "*", "*")), target]
    assert aggregated_rules(target, others) == [a, b]
    assert aggregated_rules(role("plain"), others) is None


class Says:
    def __init__(self, allowed, reason=""):
        self.decision = Decision(allowed, reason)

    def authorize(self, attributes):
        return self.decision

    def rules_for(self, user, namespace):
        return SubjectRules(error=self.decision.reason)


def test_a_chain_allows_as_soon_as_one_does():
    assert Chain([Says(False, "no"), Says(True, "yes")]).authorize(asks("get")) == Decision(True, "yes")
    assert Chain([Says(False, "no"), Says(False, "nor I")]).authorize(asks("get")) == Decision(False, "no\nnor I")
    assert Chain([Says(False, "a"), Says(False, "b")]).rules_for(JANE, "a").error == "a; b"


def test_the_text_of_a_refusal():
    assert forbidden_message(asks("get")) == (
        'User "jane" cannot get resource "pods" in API group "" in the namespace "a"')
    assert forbidden_message(asks("list", "nodes", namespace=""), "why") == (
        'User "jane" cannot list resource "nodes" in API group "" at the cluster scope: why')
    assert forbidden_message(Attributes(JANE, "get", path="/metrics")) == 'User "jane" cannot get path "/metrics"'

"""Nobody grants what he does not hold."""

from dataclasses import replace

import pytest

from sampan.api.errors import ApiError, BadRequest, Forbidden, Invalid, NotFound, Unauthorized
from sampan.api.resources import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    LOCALSUBJECTACCESSREVIEWS,
    ROLEBINDINGS,
    ROLES,
    SELFSUBJECTACCESSREVIEWS,
    SELFSUBJECTREVIEWS,
    SELFSUBJECTRULESREVIEWS,
    SUBJECTACCESSREVIEWS,
    TOKENREVIEWS,
)
from sampan.apiserver.kinds.registry import kind_of
from sampan.auth.authorize import Decision, SubjectRules
from sampan.auth.rules import Rule
from sampan.auth.user import UserInfo

GET_PODS = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
DELETE_PODS = {"verbs": ["delete"], "apiGroups": [""], "resources": ["pods"]}
EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}


class Holds:
    """An authorizer by a list of rules."""

    def __init__(self, *rules):
        self.rules = rules

    def authorize(self, attributes):
        return Decision(any(Rule.of(rule).allows(attributes) for rule in self.rules))

    def rules_for(self, user, namespace):
        return SubjectRules(tuple(r for r in self.rules if "resources" in r),
                            tuple(r for r in self.rules if "resources" not in r))


def role(*rules, **more):
    return {"metadata": {"name": "r", "namespace": "default"}, "rules": list(rules), **more}


def binding(kind="Role", name="r", **more):
    return {"metadata": {"name": "b", "namespace": "default"}, "subjects": [{"kind": "User", "name": "joe"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}, **more}


def on_roles(verb):
    return {"verbs": [verb], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"]}


async def refused(resource, obj, ctx, old=None):
    try:
        await kind_of(resource).check(obj, old, ctx)
    except ApiError as error:
        return error
    return None


async def test_a_role_of_what_one_holds(ctx):
    ctx = replace(ctx, authorizer=Holds(GET_PODS))
    assert await refused(ROLES, role(GET_PODS), ctx) is None
    error = await refused(ROLES, role(GET_PODS, DELETE_PODS), ctx)
    assert isinstance(error, Forbidden)
    assert error.message == (
        'roles.rbac.authorization.k8s.io "r" is forbidden: user "jane" (groups=["dev"]) is attempting to grant RBAC '
        'permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}')


@pytest.mark.parametrize("resource", [ROLES, CLUSTERROLES])
async def test_who_may_escalate_or_is_master_may_write_any_role(resource, ctx):
    escalate = on_roles("escalate") | {"resources": [resource.plural]}
    assert await refused(resource, role(DELETE_PODS), replace(ctx, authorizer=Holds(escalate))) is None
    master = UserInfo("root", groups=("system:masters",))
    assert await refused(resource, role(DELETE_PODS), replace(ctx, authorizer=Holds(), user=master)) is None


async def test_unchanged_rules_are_not_granted_again(ctx):
    ctx = replace(ctx, authorizer=Holds())
    assert await refused(ROLES, role(DELETE_PODS), ctx, old=role(DELETE_PODS)) is None
    assert await refused(ROLES, role(GET_PODS), ctx, old=role(DELETE_PODS)) is not None


async def test_an_aggregation_rule_takes_everything(ctx):
    made = role(aggregationRule={"clusterRoleSelectors": [{}]})
    error = await refused(CLUSTERROLES, made, replace(ctx, authorizer=Holds(GET_PODS)))
    assert "must have cluster-admin privileges to use the aggregationRule" in error.message
    everything = Holds(EVERYTHING | {"verbs": ["get"]}, EVERYTHING, {"verbs": ["*"], "nonResourceURLs": ["*"]})
    assert await refused(CLUSTERROLES, made, replace(ctx, authorizer=everything)) is None


@pytest.mark.parametrize("resource", [ROLEBINDINGS, CLUSTERROLEBINDINGS])
async def test_a_binding_needs_the_roles_rules_or_bind(resource, ctx, server):
    kind = "Role" if resource is ROLEBINDINGS else "ClusterRole"
    of = ROLES if resource is ROLEBINDINGS else CLUSTERROLES
    stored = role(DELETE_PODS)
    if of is CLUSTERROLES:
        del stored["metadata"]["namespace"]
    server.put(of, stored)
    made = binding(kind)
    assert isinstance(await refused(resource, made, replace(ctx, authorizer=Holds(GET_PODS))), Forbidden)
    assert await refused(resource, made, replace(ctx, authorizer=Holds(DELETE_PODS))) is None
    bind = on_roles("bind") | {"resources": [of.plural], "resourceNames": ["r"]}
    assert await refused(resource, made, replace(ctx, authorizer=Holds(bind))) is None
    missing = binding(kind, "nothing")
    assert isinstance(await refused(resource, missing, replace(ctx, authorizer=Holds(EVERYTHING | {
        "verbs": ["get"]}))), NotFound)


ROLE_MISTAKES = [
    (ROLES, role({"apiGroups": [""], "resources": ["pods"]}), "rules[0].verbs: Required value: verbs must contain at"),
    (ROLES, role({"verbs": ["get"], "resources": ["pods"]}), "rules[0].apiGroups: Required value: resource rules must"),
    (ROLES, role({"verbs": ["get"], "apiGroups": [""]}), "rules[0].resources: Required value"),
    (ROLES, role({"verbs": ["get"], "nonResourceURLs": ["/x"]}), "namespaced rules cannot apply to non-resource URLs"),
    (CLUSTERROLES, role(GET_PODS | {"nonResourceURLs": ["/x"]}), "rules cannot apply to both regular resources and"),
    (ROLEBINDINGS, binding("X"), 'roleRef.kind: Unsupported value: "X": supported values: "Role", "ClusterRole"'),
    (CLUSTERROLEBINDINGS, binding("Role"), 'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"'),
    (ROLEBINDINGS, binding(name=""), "roleRef.name: Required value"),
    (ROLEBINDINGS, binding(subjects=[{"kind": "Robot", "name": "x"}]), 'subjects[0].kind: Unsupported value: "Robot"'),
    (ROLEBINDINGS, binding(subjects=[{"kind": "User"}]), "subjects[0].name: Required value"),
    (CLUSTERROLEBINDINGS, binding("ClusterRole", subjects=[{"kind": "ServiceAccount", "name": "x"}]),
     "subjects[0].namespace: Required value"),
]


@pytest.mark.parametrize("resource,made,expected", ROLE_MISTAKES)
def test_mistakes(resource, made, expected):
    kind_of(resource).default(made)
    found = [str(e) for e in kind_of(resource).validate(made)]
    assert any(expected in text for text in found), found


def test_the_role_of_a_binding_stays():
    assert any("roleRef: Invalid value" in str(e) and e.detail == "cannot change roleRef"
               for e in kind_of(ROLEBINDINGS).validate_update(binding(name="x"), binding()))


def test_names_may_hold_colons():
    assert kind_of(ROLES).name_problems("system:leader-locking") == []
    assert kind_of(ROLES).name_problems("a/b") == ["may not contain '/'"]


class Tokens:
    async def authenticate_token(self, token, audiences=()):
        if token != "good":
            raise Unauthorized()
        return UserInfo("joe", "7", ("dev",), {"a": ("b",)}), audiences


async def answer(resource, spec, ctx):
    return (await kind_of(resource).answer({"kind": resource.kind, "spec": spec}, ctx))["status"]


async def test_token_reviews(ctx):
    ctx = replace(ctx, authenticator=Tokens())
    joe = {"username": "joe", "uid": "7", "groups": ["dev"], "extra": {"a": ["b"]}}
    assert await answer(TOKENREVIEWS, {"token": "good", "audiences": ["x"]}, ctx) == {
        "authenticated": True, "user": joe, "audiences": ["x"]}
    assert "authenticated" not in await answer(TOKENREVIEWS, {"token": "bad"}, ctx)
    with pytest.raises(BadRequest):
        await answer(TOKENREVIEWS, {}, ctx)
    assert await answer(SELFSUBJECTREVIEWS, {}, ctx) == {"userInfo": {"username": "jane", "groups": ["dev"]}}


PODS = {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}}


async def test_access_reviews(ctx):
    ctx = replace(ctx, authorizer=Holds(GET_PODS, {"verbs": ["get"], "nonResourceURLs": ["/x"]}))
    assert await answer(SELFSUBJECTACCESSREVIEWS, PODS, ctx) == {"allowed": True}
    path = {"nonResourceAttributes": {"verb": "get", "path": "/y"}}
    assert await answer(SELFSUBJECTACCESSREVIEWS, path, ctx) == {"allowed": False}
    assert await answer(SUBJECTACCESSREVIEWS, PODS | {"user": "joe"}, ctx) == {"allowed": True}
    assert await answer(LOCALSUBJECTACCESSREVIEWS, PODS | {"user": "joe"}, ctx) == {"allowed": True}


@pytest.mark.parametrize("resource,spec,text", [
    (SELFSUBJECTACCESSREVIEWS, {}, "exactly one of nonResourceAttributes or resourceAttributes must be specified"),
    (SELFSUBJECTACCESSREVIEWS, PODS | {"nonResourceAttributes": {}}, "cannot be specified in combination with"),
    (SUBJECTACCESSREVIEWS, PODS, "at least one of user or group must be specified"),
    (LOCALSUBJECTACCESSREVIEWS, {"user": "x", "resourceAttributes": {"namespace": "other"}}, "must match"),
    (SELFSUBJECTRULESREVIEWS, {}, "no namespace on request"),
])
async def test_reviews_that_ask_nothing(resource, spec, text, ctx):
    with pytest.raises(Invalid, match=text):
        await answer(resource, spec, replace(ctx, authorizer=Holds()))


async def test_rules_reviews(ctx):
    ctx = replace(ctx, authorizer=Holds(GET_PODS))
    assert await answer(SELFSUBJECTRULESREVIEWS, {"namespace": "a"}, ctx) == {
        "resourceRules": [GET_PODS], "nonResourceRules": [], "incomplete": False}

"""Certificate, token or nobody; and a token dies with what it names."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from sampan.api.clock import rfc3339
from sampan.api.errors import Unauthorized
from sampan.api.http import Request, Subject
from sampan.api.resources import NODES, PODS, SECRETS, SERVICEACCOUNTS
from sampan.auth.authenticate import RequestAuthenticator
from sampan.auth.tokens import TokenIssuer, TokenVerifier

NOW = datetime(2026, 11, 22, 15, 0, 0, tzinfo=UTC)
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
ISSUER = TokenIssuer(PRIVATE)


def obj(kind, name, uid="u-1", namespace="ci", **more):
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace, "uid": uid}, **more}


ACCOUNT = obj("ServiceAccount", "robot")
POD = obj("Pod", "web", "p-1", spec={"nodeName": "n1"})
SECRET = obj("Secret", "lasting", "s-1")
NODE = {"kind": "Node", "metadata": {"name": "n1", "uid": "n-1"}}


@pytest.fixture
def authenticator(objects):
    for resource, each in ((SERVICEACCOUNTS, ACCOUNT), (PODS, POD), (SECRETS, SECRET), (NODES, NODE)):
        objects.put(resource, each)
    made = RequestAuthenticator(TokenVerifier([PUBLIC]), objects)
    made.now = lambda: NOW
    return made


def bearer(token):
    return Request("GET", "/api", headers={"authorization": f"Bearer {token}"})


async def test_a_certificate_names_user_and_groups(authenticator):
    user = await authenticator.authenticate(Request("GET", "/", peer=Subject("jane", ("dev", "ops"))))
    assert (user.name, user.groups) == ("jane", ("dev", "ops", "system:authenticated"))


async def test_a_certificate_wins_over_a_token(authenticator):
    request = bearer("nonsense")
    request.peer = Subject("jane")
    assert (await authenticator.authenticate(request)).name == "jane"


async def test_a_certificate_without_name_is_none(authenticator):
    assert (await authenticator.authenticate(Request("GET", "/", peer=Subject("")))).name == "system:anonymous"


async def test_nobody_is_anonymous(authenticator):
    user = await authenticator.authenticate(Request("GET", "/"))
    assert (user.name, user.groups) == ("system:anonymous", ("system:unauthenticated",))


async def test_nobody_is_refused_where_anonymous_is_off(authenticator):
    authenticator.allow_anonymous = False
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(Request("GET", "/"))


async def test_a_token_names_account_groups_and_pod(authenticator):
    token = ISSUER.issue(ACCOUNT, bound_object=POD, now=NOW, node=NODE)
    user = await authenticator.authenticate(bearer(token))
    assert (user.name, user.uid) == ("system:serviceaccount:ci:robot", "u-1")
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:ci", "system:authenticated")
    extra = {key.partition("/")[2]: value for key, value in user.extra.items()}
    assert extra.pop("credential-id")[0].startswith("JTI=")
    assert extra == {"pod-name": ("web",), "pod-uid": ("p-1",), "node-name": ("n1",), "node-uid": ("n-1",)}


async def test_a_browser_sends_the_token_as_a_subprotocol(authenticator):
    encoded = base64.urlsafe_b64encode(ISSUER.issue(ACCOUNT, now=NOW).encode()).rstrip(b"=").decode()
    request = Request("GET", "/", headers={
        "sec-websocket-protocol": f"v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.{encoded}"})
    assert (await authenticator.authenticate(request)).name == "system:serviceaccount:ci:robot"


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "é"])
async def test_a_token_that_is_none_is_refused(authenticator, token):
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(bearer(token))


async def test_an_expired_token_is_refused_though_it_was_good_before(authenticator):
    token = ISSUER.issue(ACCOUNT, expiration_seconds=600, now=NOW)
    assert await authenticator.authenticate(bearer(token))
    authenticator.now = lambda: NOW + timedelta(seconds=600)
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(bearer(token))


@pytest.mark.parametrize("bound,resource", [(None, SERVICEACCOUNTS), (POD, PODS), (SECRET, SECRETS), (NODE, NODES)])
async def test_a_token_dies_with_what_it_names(authenticator, objects, bound, resource):
    token = ISSUER.issue(ACCOUNT, bound_object=bound, now=NOW)
    assert await authenticator.authenticate(bearer(token))
    objects.drop(resource, bound or ACCOUNT)
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(bearer(token))


@pytest.mark.parametrize("bound,resource", [(None, SERVICEACCOUNTS), (POD, PODS), (SECRET, SECRETS), (NODE, NODES)])
async def test_another_object_of_the_same_name_does_not_revive_it(authenticator, objects, bound, resource):
    token = ISSUER.issue(ACCOUNT, bound_object=bound, now=NOW)
    again = bound or ACCOUNT
    objects.put(resource, again | {"metadata": again["metadata"] | {"uid": "other"}})
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(bearer(token))


async def test_a_pod_that_shuts_down_keeps_its_token_for_a_minute(authenticator, objects):
    token = ISSUER.issue(ACCOUNT, bound_object=POD, now=NOW)
    for seconds, good in ((30, True), (90, False)):
        deleted = rfc3339(NOW - timedelta(seconds=seconds))
        objects.put(PODS, POD | {"metadata": POD["metadata"] | {"deletionTimestamp": deleted}})
        if good:
            assert await authenticator.authenticate(bearer(token))
        else:
            with pytest.raises(Unauthorized):
                await authenticator.authenticate(bearer(token))


async def test_an_account_made_just_now_is_read_from_the_store(authenticator, objects):
    fresh = obj("ServiceAccount", "fresh", "u-2")
    objects.put(SERVICEACCOUNTS, fresh, lag=True)
    assert await authenticator.authenticate(bearer(ISSUER.issue(fresh, now=NOW)))
    assert ("serviceaccounts", "ci", "fresh") in objects.reads


async def test_a_known_account_costs_no_read(authenticator, objects):
    await authenticator.authenticate(bearer(ISSUER.issue(ACCOUNT, now=NOW)))
    assert objects.reads == []


async def test_a_lasting_token_is_good_while_its_secret_holds_it(authenticator, objects):
    token = ISSUER.issue_legacy(ACCOUNT, SECRET)

    def with_token(text):
        return SECRET | {"data": {"token": base64.b64encode(text.encode()).decode()}}

    objects.put(SECRETS, with_token(token))
    assert (await authenticator.authenticate(bearer(token))).name == "system:serviceaccount:ci:robot"
    for worse in (with_token("rotated"), SECRET):
        objects.put(SECRETS, worse)
        with pytest.raises(Unauthorized):
            await authenticator.authenticate(bearer(token))
    objects.drop(SECRETS, SECRET)
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(bearer(token))


async def test_a_review_gets_the_common_audiences(authenticator):
    token = ISSUER.issue(ACCOUNT, audiences=["vault"], now=NOW)
    assert (await authenticator.authenticate_token(token, ("vault", "x")))[1] == ("vault",)
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(bearer(token))

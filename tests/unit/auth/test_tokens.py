"""What is in a token, and which tokens do not hold."""

import base64
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from sampan.auth.keys import discovery, jwks, key_id, load_public
from sampan.auth.tokens import (
    DEFAULT_ISSUER,
    EXTENDED_SECONDS,
    LEGACY_ISSUER,
    ForeignToken,
    InvalidToken,
    Reference,
    TokenIssuer,
    TokenVerifier,
)

NOW = datetime(2026, 11, 22, 15, 0, 0, tzinfo=UTC)
ACCOUNT = {"kind": "ServiceAccount", "metadata": {"namespace": "ci", "name": "build-robot", "uid": "u-1"}}
POD = {"kind": "Pod", "metadata": {"namespace": "ci", "name": "web", "uid": "p-1"}, "spec": {"nodeName": "n1"}}
SECRET = {"kind": "Secret", "metadata": {"namespace": "ci", "name": "lasting", "uid": "s-1"}}


def new_key():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


PRIVATE, PUBLIC = new_key()
OTHER_PRIVATE, OTHER_PUBLIC = new_key()
ISSUER = TokenIssuer(PRIVATE)
VERIFIER = TokenVerifier([PUBLIC])


def payload_of(token):
    return jwt.decode(token, options={"verify_signature": False})


def signed(changes=None, drop=(), key=PRIVATE, algorithm="RS256", headers=None):
    """A token like ours, but changed."""
    claims = payload_of(ISSUER.issue(ACCOUNT, now=NOW)) | (changes or {})
    for name in drop:
        claims.pop(name)
    kid = {"kid": key_id(load_public(PUBLIC))}
    return jwt.encode(claims, key, algorithm=algorithm, headers=kid if headers is None else headers)


def test_a_token_says_what_upstreams_says():
    token = ISSUER.issue(ACCOUNT, now=NOW)
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "kid": key_id(load_public(PUBLIC))}
    payload = payload_of(token)
    assert payload.pop("jti")
    assert payload == {
        "aud": [DEFAULT_ISSUER], "iss": DEFAULT_ISSUER, "iat": int(NOW.timestamp()), "nbf": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 3600, "sub": "system:serviceaccount:ci:build-robot",
        "kubernetes.io": {"namespace": "ci", "serviceaccount": {"name": "build-robot", "uid": "u-1"}},
    }


def test_a_good_token_is_read_back():
    claims = VERIFIER.verify(ISSUER.issue(ACCOUNT, bound_object=POD, now=NOW), NOW)
    assert (claims.namespace, claims.service_account) == ("ci", Reference("build-robot", "u-1"))
    assert (claims.pod, claims.node, claims.secret) == (Reference("web", "p-1"), Reference("n1"), None)
    assert claims.audiences == (DEFAULT_ISSUER,)


def test_a_pods_token_names_its_node_with_uid():
    node = {"kind": "Node", "metadata": {"name": "n1", "uid": "n-uid"}}
    claims = VERIFIER.verify(ISSUER.issue(ACCOUNT, bound_object=POD, node=node, now=NOW), NOW)
    assert claims.node == Reference("n1", "n-uid")


def test_the_kubelets_odd_duration_is_extended_and_says_when_to_renew():
    payload = payload_of(ISSUER.issue(ACCOUNT, bound_object=POD, expiration_seconds=3607, now=NOW))
    assert payload["exp"] - payload["iat"] == EXTENDED_SECONDS
    assert payload["kubernetes.io"]["warnafter"] == payload["iat"] + 3607


@pytest.mark.parametrize("options", [
    {"expiration_seconds": 3607}, {"expiration_seconds": 3600, "bound_object": POD},
    {"expiration_seconds": 3607, "bound_object": POD, "audiences": ["vault"]},
])
def test_other_tokens_are_not_extended(options):
    payload = payload_of(ISSUER.issue(ACCOUNT, now=NOW, **options))
    assert payload["exp"] - payload["iat"] == options["expiration_seconds"]


def unsigned():
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).rstrip(b"=").decode()
    body = signed().split(".")[1]
    return f"{header}.{body}."


def hmac_with_public_key():
    """The classic confusion: the public key used as an HMAC secret."""
    import hashlib
    import hmac

    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    message = part({"alg": "HS256", "kid": key_id(load_public(PUBLIC))}) + "." + signed().split(".")[1]
    mac = base64.urlsafe_b64encode(hmac.new(PUBLIC, message.encode(), hashlib.sha256).digest()).rstrip(b"=").decode()
    return f"{message}.{mac}"


def tampered():
    head, body, signature = signed().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["sub"] = "system:serviceaccount:kube-system:admin"
    return ".".join((head, base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode(), signature))


AT = int(NOW.timestamp())
PRIVATE_CLAIMS = {"namespace": "ci", "serviceaccount": {"name": "build-robot", "uid": "u-1"}}
BAD = {
    "alg none": unsigned,
    "HS256 with the public key": hmac_with_public_key,
    "changed after signing": tampered,
    "another key, our kid": lambda: signed(key=OTHER_PRIVATE),
    "another key, no kid": lambda: signed(key=OTHER_PRIVATE, headers={}),
    "unknown kid": lambda: signed(headers={"kid": "nobody"}),
    "RS512": lambda: signed(algorithm="RS512"),
    "wrong audience": lambda: signed({"aud": ["vault"]}),
    "no audience": lambda: signed(drop=["aud"]),
    "wrong issuer": lambda: signed({"iss": "https://elsewhere"}),
    "no issuer": lambda: signed(drop=["iss"]),
    "expired": lambda: signed({"exp": AT}),
    "no expiry": lambda: signed(drop=["exp"]),
    "expiry is text": lambda: signed({"exp": "never"}),
    "not valid yet": lambda: signed({"nbf": AT + 61}),
    "no private claims": lambda: signed(drop=["kubernetes.io"]),
    "private claims of another account": lambda: signed({"sub": "system:serviceaccount:ci:other"}),
    "subject with a colon too many": lambda: signed({"sub": "system:serviceaccount:ci:build-robot:x"}),
    "a user as subject": lambda: signed({"sub": "admin"}),
    "no uid": lambda: signed({"kubernetes.io": {"namespace": "ci", "serviceaccount": {"name": "build-robot"}}}),
    "private claims are a list": lambda: signed({"kubernetes.io": []}),
    "not a token": lambda: "abc",
    "empty": lambda: "",
    "three dots": lambda: "...",
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD.keys())
def test_a_bad_token_does_not_hold(make):
    with pytest.raises(InvalidToken):
        VERIFIER.verify(make(), NOW)


def test_the_helper_of_the_bad_ones_makes_good_ones():
    assert VERIFIER.verify(signed(), NOW).service_account.name == "build-robot"
    assert VERIFIER.verify(signed({"nbf": AT + 59}), NOW)
    assert VERIFIER.verify(signed(headers={}), NOW), "without a key id every key is tried"


def test_a_foreign_token_is_told_apart_from_a_bad_one():
    with pytest.raises(ForeignToken):
        VERIFIER.verify(signed({"iss": "https://elsewhere"}), NOW)


def test_a_token_expires():
    token = ISSUER.issue(ACCOUNT, expiration_seconds=600, now=NOW)
    assert VERIFIER.verify(token, NOW + timedelta(seconds=599))
    with pytest.raises(InvalidToken, match="expired"):
        VERIFIER.verify(token, NOW + timedelta(seconds=600))


def test_keys_rotate():
    both = TokenVerifier([OTHER_PUBLIC, PUBLIC])
    assert both.verify(ISSUER.issue(ACCOUNT, now=NOW), NOW)
    assert both.verify(TokenIssuer(OTHER_PRIVATE).issue(ACCOUNT, now=NOW), NOW)
    with pytest.raises(InvalidToken):
        TokenVerifier([OTHER_PUBLIC]).verify(ISSUER.issue(ACCOUNT, now=NOW), NOW)


def test_asked_audiences_are_narrowed_to_the_common_ones():
    token = ISSUER.issue(ACCOUNT, audiences=["vault", "mail"], now=NOW)
    assert VERIFIER.verify(token, NOW, ("mail", "web")).audiences == ("mail",)
    with pytest.raises(InvalidToken, match="audiences"):
        VERIFIER.verify(token, NOW)


def test_a_legacy_token_names_its_secret_and_never_expires():
    claims = VERIFIER.verify(ISSUER.issue_legacy(ACCOUNT, SECRET), NOW + timedelta(days=9999))
    assert (claims.legacy, claims.secret, claims.service_account.uid) == (True, Reference("lasting"), "u-1")
    payload = payload_of(ISSUER.issue_legacy(ACCOUNT, SECRET))
    assert payload == {
        "iss": LEGACY_ISSUER, "sub": "system:serviceaccount:ci:build-robot",
        "kubernetes.io/serviceaccount/namespace": "ci", "kubernetes.io/serviceaccount/secret.name": "lasting",
        "kubernetes.io/serviceaccount/service-account.name": "build-robot",
        "kubernetes.io/serviceaccount/service-account.uid": "u-1"}


def test_a_legacy_token_is_good_for_the_api_server_only():
    with pytest.raises(InvalidToken):
        VERIFIER.verify(ISSUER.issue_legacy(ACCOUNT, SECRET), NOW, ("vault",))


def test_a_published_key_verifies_a_token():
    (key,) = jwks([load_public(PUBLIC)])["keys"]
    assert (key["kty"], key["alg"], key["use"], key["e"]) == ("RSA", "RS256", "sig", "AQAB")
    public = jwt.PyJWK.from_dict(key).key
    issued = jwt.decode(ISSUER.issue(ACCOUNT, now=datetime.now(UTC)), public, algorithms=["RS256"],
                        audience=DEFAULT_ISSUER)
    assert issued["iss"] == discovery(DEFAULT_ISSUER, "https://x/openid/v1/jwks")["issuer"]

"""What is in a ServiceAccount token, and is this one of ours?

A token is a JWT signed with RS256.  It names its ServiceAccount and, when bound, the Pod, Secret or Node without which
it is worth nothing.  This file knows only keys and claims; whether the named objects still exist is asked in
``authenticate``.  Two forms: the bound one that expires, and the old one that lives as long as the Secret it is in.

Upstream: ``pkg/serviceaccount/{jwt,claims,legacy}.go``.  RFC 7519, KEP-1205.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sampan.api.meta import name, namespace, uid
from sampan.auth.user import service_account_name, split_service_account

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

Object = dict[str, Any]

DEFAULT_ISSUER = "https://kubernetes.default.svc.cluster.local"
LEGACY_ISSUER = "kubernetes/serviceaccount"
ALGORITHM = "RS256"
#: Kubelets ask for 3607 s (a number nobody else asks for); such tokens last a year for old clients that never reload
#: them, and say in ``warnafter`` when a good client would have reloaded.
EXTENDABLE_SECONDS = 3607
EXTENDED_SECONDS = 365 * 24 * 3600
NOT_BEFORE_LEEWAY_SECONDS = 60
_LEGACY = "kubernetes.io/serviceaccount/"


class InvalidToken(Exception):
    """Why a token does not hold. Never sent to the client, who learns only that he is unauthorized."""


class ForeignToken(InvalidToken):
    """Not a ServiceAccount token of this cluster at all: another authenticator may know it."""


@dataclass(frozen=True, slots=True)
class Reference:
    name: str
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says. ``warn_after`` is seconds since the epoch, 0 for none."""

    namespace: str
    service_account: Reference
    audiences: tuple[str, ...] = ()
    pod: Reference | None = None
    secret: Reference | None = None
    node: Reference | None = None
    token_id: str = ""
    warn_after: int = 0
    expires: int = 0
    legacy: bool = False


class TokenIssuer:
    """Signs tokens. ``audiences`` are those of the API server, for requests that name none."""

    def __init__(self, signing_key_pem: bytes, issuer: str = DEFAULT_ISSUER, audiences: Iterable[str] = (), *,
                 extend: bool = True) -> None:
        self._pem = signing_key_pem
        self.issuer = issuer
        self.audiences = tuple(audiences) or (issuer,)
        self._extend = extend

    def issue(self, service_account: Object, *, audiences: Iterable[str] = (), expiration_seconds: int = 3600,
              bound_object: Object | None = None, now: datetime, node: Object | None = None) -> str:
        """A token for ``service_account``, good while ``bound_object`` (Pod, Secret or Node) exists.

        ``node`` is the Node of a bound Pod, for the token's ``kubernetes.io.node`` claim.
        """
        issued, wanted = int(now.timestamp()), tuple(audiences) or self.audiences
        private: Object = {"namespace": namespace(service_account), **_bound(bound_object, node),
                           "serviceaccount": {"name": name(service_account), "uid": uid(service_account)}}
        lasts = expiration_seconds
        if self._extend and "pod" in private and lasts == EXTENDABLE_SECONDS and set(wanted) <= set(self.audiences):
            private["warnafter"] = issued + lasts
            lasts = EXTENDED_SECONDS
        return self._sign({
            "aud": list(wanted), "exp": issued + lasts, "iat": issued, "iss": self.issuer, "jti": str(uuid.uuid4()),
            "kubernetes.io": private, "nbf": issued,
            "sub": service_account_name(namespace(service_account), name(service_account))})

    def issue_legacy(self, service_account: Object, secret: Object) -> str:
        """The token of a Secret of type kubernetes.io/service-account-token: it lasts as long as the Secret."""
        where, account = namespace(service_account), name(service_account)
        return self._sign({
            "iss": LEGACY_ISSUER, _LEGACY + "namespace": where, _LEGACY + "secret.name": name(secret),
            _LEGACY + "service-account.name": account, _LEGACY + "service-account.uid": uid(service_account),
            "sub": service_account_name(where, account)})

    def _sign(self, claims: Object) -> str:
        import jwt

        key, identity = self._key
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": identity, "typ": None})

    @cached_property
    def _key(self) -> tuple[RSAPrivateKey, str]:
        from sampan.auth.keys import key_id, load_private

        key = load_private(self._pem)
        return key, key_id(key.public_key())


def _bound(bound: Object | None, node: Object | None) -> Object:
    if bound is None:
        return {}
    kind = bound["kind"].lower()
    private: Object = {kind: {"name": name(bound), "uid": uid(bound)}}
    if kind == "pod" and node is not None:
        private["node"] = {"name": name(node), "uid": uid(node)}
    elif kind == "pod" and (bound.get("spec") or {}).get("nodeName"):
        private["node"] = {"name": bound["spec"]["nodeName"]}
    return private


@dataclass
class TokenVerifier:
    """Checks signature, issuer, audience and time. ``public_keys_pem`` may hold several keys: rotation."""

    public_keys_pem: Iterable[bytes]
    issuers: tuple[str, ...] = (DEFAULT_ISSUER,)
    audiences: tuple[str, ...] = ()
    _keys: dict[str, RSAPublicKey] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.audiences = tuple(self.audiences) or self.issuers

    def keys(self) -> Mapping[str, RSAPublicKey]:
        """By key id."""
        if not self._keys:
            from sampan.auth.keys import key_id, load_public

            self._keys = {key_id(key): key for key in map(load_public, self.public_keys_pem)}
        return self._keys

    def verify(self, token: str, now: datetime, audiences: tuple[str, ...] = ()) -> Claims:
        """What the token says; ``audiences`` of the claims are those both sides know.

        Raises: ForeignToken, InvalidToken.
        """
        payload = self._signed(token)
        if payload["iss"] == LEGACY_ISSUER:
            common = tuple(a for a in (audiences or self.audiences) if a in self.audiences)
            if not common:
                raise InvalidToken("token without audiences is good for the API server only")
            return _legacy_claims(payload, common)
        _check_times(payload, int(now.timestamp()))
        given = payload.get("aud")
        given = [given] if isinstance(given, str) else given or []
        common = tuple(a for a in (audiences or self.audiences) if a in given)
        if not common:
            raise InvalidToken(f"token audiences {given} is invalid for the target audiences")
        return _claims(payload, common)

    def _signed(self, token: str) -> Object:
        """The payload, once some key of ours is known to have signed it."""
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            unverified = jwt.decode(token, options={"verify_signature": False})
        except jwt.PyJWTError as error:
            raise ForeignToken(str(error)) from error
        if unverified.get("iss") not in (*self.issuers, LEGACY_ISSUER):
            raise ForeignToken(f"unknown issuer {unverified.get('iss')!r}")
        for key in self._candidates(header.get("kid")):
            try:  # the algorithm is ours to say, never the header's: "none" and HS256 with a public key fail here
                verified: Object = jwt.decode(token, key, algorithms=[ALGORITHM], options={
                    "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False,
                    "verify_iss": False, "verify_sub": False, "verify_jti": False})
                return verified
            except jwt.PyJWTError:
                continue
        raise InvalidToken("no key of this cluster has signed the token")

    def _candidates(self, key_id: str | None) -> list[RSAPublicKey]:
        """The named key, or every key when the token names none. An unknown name matches nothing."""
        keys = self.keys()
        if not key_id:
            return list(keys.values())
        return [keys[key_id]] if key_id in keys else []


def _check_times(payload: Object, now: int) -> None:
    expires, not_before = payload.get("exp"), payload.get("nbf", 0)
    if not isinstance(expires, int | float) or not isinstance(not_before, int | float):
        raise InvalidToken("token has no expiry")
    if now >= expires:
        raise InvalidToken("token has expired")
    if now + NOT_BEFORE_LEEWAY_SECONDS < not_before:
        raise InvalidToken("token is not valid yet")


def _claims(payload: Object, audiences: tuple[str, ...]) -> Claims:
    private = payload.get("kubernetes.io")
    account = private.get("serviceaccount") if isinstance(private, dict) else None
    if not isinstance(private, dict) or not isinstance(account, dict):
        raise InvalidToken("token names no service account")
    claims = Claims(
        str(private.get("namespace") or ""), Reference(str(account.get("name") or ""), str(account.get("uid") or "")),
        audiences, _reference(private.get("pod")), _reference(private.get("secret")), _reference(private.get("node")),
        str(payload.get("jti") or ""), int(private.get("warnafter") or 0), int(payload["exp"]))
    _check_subject(payload, claims)
    return claims


def _legacy_claims(payload: Object, audiences: tuple[str, ...]) -> Claims:
    def claim(key: str) -> str:
        return str(payload.get(_LEGACY + key) or "")

    claims = Claims(claim("namespace"), Reference(claim("service-account.name"), claim("service-account.uid")),
                    audiences, secret=Reference(claim("secret.name")), legacy=True)
    _check_subject(payload, claims)
    return claims


def _check_subject(payload: Object, claims: Claims) -> None:
    """The subject and the private claims must name the same account, or one of them was forged."""
    if split_service_account(str(payload.get("sub") or "")) != (claims.namespace, claims.service_account.name):
        raise InvalidToken("token's subject does not match its service account")
    if not claims.service_account.uid:
        raise InvalidToken("token has no service account uid")


def _reference(value: Any) -> Reference | None:
    if not isinstance(value, dict):
        return None
    return Reference(str(value.get("name") or ""), str(value.get("uid") or ""))

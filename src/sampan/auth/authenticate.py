"""Who sent this request?  Certificate, bearer token or nobody, in that order, as in upstream's union authenticator.

A token is good only while the objects it names exist with the uids it names.  The ServiceAccount is looked up in
memory; what memory does not know is read from the store, so that a token works in the moment its account exists.
A verified signature is remembered by the token's hash (RSA costs time), existence never is: deletion counts at once.

Upstream: ``pkg/kubeapiserver/authenticator``, ``pkg/serviceaccount/claims.go``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from sampan.api import clock
from sampan.api.errors import Unauthorized
from sampan.api.http import Request, Subject
from sampan.api.meta import metadata, uid
from sampan.api.resources import NODES, PODS, SECRETS, SERVICEACCOUNTS, Resource
from sampan.auth.objects import Objects
from sampan.auth.tokens import Claims, InvalidToken, Reference, TokenVerifier
from sampan.auth.user import (
    AUTHENTICATED_GROUP,
    UserInfo,
    anonymous,
    service_account_groups,
    service_account_name,
)

__all__ = ["Authenticator", "RequestAuthenticator", "UserInfo", "anonymous"]

_WEBSOCKET_TOKEN = "base64url.bearer.authorization.k8s.io."
_REMEMBERED = 4096
_DELETED_LEEWAY = timedelta(seconds=60)  # pods need their tokens while they shut down
_EXTRA = "authentication.kubernetes.io/"


class Authenticator(Protocol):
    async def authenticate(self, request: Request) -> UserInfo:
        """Raises: Unauthorized when a credential is presented that doesn't hold."""
        ...

    async def authenticate_token(self, token: str, audiences: tuple[str, ...] = ()) -> tuple[UserInfo, tuple[str, ...]]:
        """For TokenReview: the caller behind a bearer token, and which of ``audiences`` it is good for.

        Raises: Unauthorized.
        """
        ...


@dataclass
class RequestAuthenticator:
    """The authenticator of an ordinary cluster. ``objects`` keeps ServiceAccounts in memory."""

    verifier: TokenVerifier
    objects: Objects
    allow_anonymous: bool = True
    now: Callable[[], datetime] = clock.now
    _verified: OrderedDict[bytes, Claims] = field(default_factory=OrderedDict, init=False)

    async def authenticate(self, request: Request) -> UserInfo:
        if request.peer is not None and request.peer.common_name:
            return user_of_certificate(request.peer)
        token = bearer_token(request)
        if token is not None:
            return (await self.authenticate_token(token))[0]
        if not self.allow_anonymous:
            raise Unauthorized()
        return anonymous()

    async def authenticate_token(self, token: str, audiences: tuple[str, ...] = ()) -> tuple[UserInfo, tuple[str, ...]]:
        try:
            claims = self._verify(token, audiences)
            await self._check_objects(claims, token)
        except InvalidToken as error:
            raise Unauthorized() from error
        return user_of_token(claims), claims.audiences

    def _verify(self, token: str, audiences: tuple[str, ...]) -> Claims:
        now = self.now()
        digest = hashlib.sha256("\0".join((token, *audiences)).encode()).digest()
        claims = self._verified.get(digest)
        if claims is not None and not (claims.expires and now.timestamp() >= claims.expires):
            self._verified.move_to_end(digest)
            return claims
        claims = self._verified[digest] = self.verifier.verify(token, now, audiences)
        if len(self._verified) > _REMEMBERED:
            self._verified.popitem(last=False)
        return claims

    async def _check_objects(self, claims: Claims, token: str) -> None:
        """Raises: InvalidToken when what the token names is gone, or is another object of the same name."""
        await self._exists(SERVICEACCOUNTS, claims.service_account, claims.namespace)
        if claims.legacy and claims.secret is not None:
            await self._check_secret(claims.secret, claims.namespace, token)
        elif claims.secret is not None:
            await self._exists(SECRETS, claims.secret, claims.namespace)
        if claims.pod is not None:
            await self._exists(PODS, claims.pod, claims.namespace)
        elif claims.node is not None:
            await self._exists(NODES, claims.node, "")

    async def _exists(self, resource: Resource, wanted: Reference, namespace: str) -> None:
        obj = self.objects.get(resource, wanted.name, namespace) if resource in _IN_MEMORY else None
        if obj is None or uid(obj) != wanted.uid:
            obj = await self.objects.read(resource, wanted.name, namespace)
        if obj is None:
            raise InvalidToken(f"{resource.singular} {namespace}/{wanted.name} is gone")
        if uid(obj) != wanted.uid:
            raise InvalidToken(f"{resource.singular} {namespace}/{wanted.name} is another one")
        deleted = metadata(obj).get("deletionTimestamp")
        if deleted and clock.parse(deleted) < self.now() - _DELETED_LEEWAY:
            raise InvalidToken(f"{resource.singular} {namespace}/{wanted.name} has been deleted")

    async def _check_secret(self, wanted: Reference, namespace: str, token: str) -> None:
        """A lasting token is good only while its Secret holds exactly it."""
        secret: dict[str, Any] | None = await self.objects.read(SECRETS, wanted.name, namespace)
        if secret is None or metadata(secret).get("deletionTimestamp"):
            raise InvalidToken(f"secret {namespace}/{wanted.name} is gone")
        held = (secret.get("data") or {}).get("token") or ""
        if _decoded(held) != token.encode():
            raise InvalidToken(f"secret {namespace}/{wanted.name} holds another token")


_IN_MEMORY = (SERVICEACCOUNTS,)


def user_of_certificate(subject: Subject) -> UserInfo:
    """CN is the name, O are the groups."""
    return UserInfo(subject.common_name, groups=(*subject.organizations, AUTHENTICATED_GROUP))


def user_of_token(claims: Claims) -> UserInfo:
    extra: dict[str, tuple[str, ...]] = {}
    if claims.token_id:
        extra[_EXTRA + "credential-id"] = (f"JTI={claims.token_id}",)
    for kind, reference in (("node", claims.node), ("pod", claims.pod)):
        if reference is not None:
            extra[f"{_EXTRA}{kind}-name"] = (reference.name,)
            if reference.uid:
                extra[f"{_EXTRA}{kind}-uid"] = (reference.uid,)
    groups = (*service_account_groups(claims.namespace), AUTHENTICATED_GROUP)
    return UserInfo(service_account_name(claims.namespace, claims.service_account.name),
                    claims.service_account.uid, groups, extra)


def bearer_token(request: Request) -> str | None:
    """From ``Authorization``, or from the WebSocket subprotocol that browsers must use instead."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    for protocol in request.headers.get("sec-websocket-protocol", "").split(","):
        if protocol.strip().startswith(_WEBSOCKET_TOKEN):
            raw = _decoded(protocol.strip().removeprefix(_WEBSOCKET_TOKEN), urlsafe=True)
            return raw.decode("ascii", "replace") if raw else None
    return None


def _decoded(text: str, urlsafe: bool = False) -> bytes:
    padded = text + "=" * (-len(text) % 4)
    try:
        return base64.urlsafe_b64decode(padded) if urlsafe else base64.b64decode(padded)
    except (binascii.Error, ValueError):
        return b""

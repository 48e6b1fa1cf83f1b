"""A Secret of type ``kubernetes.io/service-account-token`` gets a token that lasts, and goes with its ServiceAccount.

The older way to a token; pods get short-lived ones instead.

Upstream: ``pkg/controller/serviceaccount/tokens_controller.go``.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sampan.api import meta
from sampan.api.errors import Conflict, NotFound
from sampan.api.resources import SECRETS, SERVICEACCOUNTS
from sampan.client.queue import WorkQueue
from sampan.controllers.base import Context

Object = dict[str, Any]

TYPE = "kubernetes.io/service-account-token"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"
BY_ACCOUNT = "service-account"


@dataclass(frozen=True, slots=True)
class Plan:
    delete: bool = False
    data: dict[str, bytes] | None = None  # to be added; ``token`` is for the issuer to fill
    needs_token: bool = False
    annotations: dict[str, str] | None = None


def plan(secret: Object, account: Object | None, root_ca_pem: str) -> Plan:
    uid = meta.annotations(secret).get(ACCOUNT_UID)
    if account is None or (uid and uid != meta.uid(account)):
        return Plan(delete=True)
    have = secret.get("data") or {}
    wanted = {"ca.crt": root_ca_pem.encode(), "namespace": meta.namespace(secret).encode()}
    missing = {name: value for name, value in wanted.items() if have.get(name) != _encoded(value)}
    annotations = None if uid else {ACCOUNT_UID: meta.uid(account)}
    return Plan(data=missing, needs_token=not have.get("token"), annotations=annotations)


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def filled(secret: Object, decided: Plan, token: str | None) -> Object:
    data = {**(secret.get("data") or {}), **{k: _encoded(v) for k, v in (decided.data or {}).items()}}
    if token is not None:
        data["token"] = _encoded(token.encode())
    annotations = meta.annotations(secret) | (decided.annotations or {})
    return secret | {"metadata": secret["metadata"] | {"annotations": annotations}, "data": data}


def _account_key(secret: Object) -> list[str]:
    if secret.get("type") != TYPE:
        return []
    return [f"{meta.namespace(secret)}/{meta.annotations(secret).get(ACCOUNT_NAME, '')}"]


class TokenSecretsController:
    name = "tokens-controller"
    workers = 2

    def __init__(self, context: Context, issue: Callable[[Object, Object], str]) -> None:
        """``issue(service_account, secret)`` signs the token."""
        self._context, self._issue = context, issue
        self.queue: WorkQueue[str] = WorkQueue()
        self._accounts = context.informers.informer(SERVICEACCOUNTS)
        self._secrets = context.informers.informer(SECRETS)
        self._secrets.add_index(BY_ACCOUNT, _account_key)
        self._secrets.on_change(self._secret_changed)
        self._accounts.on_change(self._account_changed)

    def _secret_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and new.get("type") == TYPE:
            self.queue.add(meta.key(new))

    def _account_changed(self, old: Object | None, new: Object | None) -> None:
        for secret in self._secrets.by_index(BY_ACCOUNT, meta.key(new or old or {})):
            self.queue.add(meta.key(secret))

    async def reconcile(self, key: str) -> float | None:
        secret = self._secrets.get(key)
        if secret is None or secret.get("type") != TYPE or meta.is_deleted(secret):
            return None
        account = await self._account(secret)
        decided = plan(secret, account, self._context.config.root_ca_pem)
        client = self._context.client
        try:
            if decided.delete:
                await client.delete(SECRETS, meta.name(secret), meta.namespace(secret), uid=meta.uid(secret))
            elif decided.data or decided.needs_token or decided.annotations:
                assert account is not None
                token = self._issue(account, secret) if decided.needs_token else None
                await client.update(SECRETS, filled(secret, decided, token))
        except (Conflict, NotFound):
            return 0.005  # the cache was behind
        return None

    async def _account(self, secret: Object) -> Object | None:
        """From the cache; asked afresh before its absence is believed, because the Secret would be deleted."""
        name, namespace = meta.annotations(secret).get(ACCOUNT_NAME, ""), meta.namespace(secret)
        cached = self._accounts.get(f"{namespace}/{name}")
        if cached is not None or not name:
            return cached
        try:
            return await self._context.client.get(SERVICEACCOUNTS, name, namespace)
        except NotFound:
            return None

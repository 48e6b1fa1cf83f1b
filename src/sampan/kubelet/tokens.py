"""ServiceAccount tokens for pods: asked for by TokenRequest, bound to the pod, renewed at 80 % of their life.

Upstream: ``pkg/kubelet/token/token_manager.go``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sampan.api import clock
from sampan.api.resources import SERVICEACCOUNTS
from sampan.client.rest import Client
from sampan.kubelet.containers import Pod

RENEW_AT = 0.8
MAX_AGE_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    issued: float
    expires: float

    def due(self) -> float:
        """When to ask for another one."""
        return self.issued + min((self.expires - self.issued) * RENEW_AT, MAX_AGE_SECONDS)


class PodTokens:
    """Caches by pod, audience and life time."""

    def __init__(self, client: Client, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._now = now
        self._tokens: dict[tuple[str, str, int], _Token] = {}

    async def token(self, pod: Pod, audience: str, seconds: int) -> str:
        """Raises: ApiError."""
        key = (pod["metadata"]["uid"], audience, seconds)
        cached = self._tokens.get(key)
        if cached is None or self._now() >= cached.due():
            cached = self._tokens[key] = await self._request(pod, audience, seconds)
        return cached.text

    def next_renewal(self, uid: str) -> float | None:
        """When the first token of this pod has to be renewed."""
        return min((t.due() for (owner, _, _), t in self._tokens.items() if owner == uid), default=None)

    def forget(self, uid: str) -> None:
        self._tokens = {key: t for key, t in self._tokens.items() if key[0] != uid}

    async def _request(self, pod: Pod, audience: str, seconds: int) -> _Token:
        meta = pod["metadata"]
        bound = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {},
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": seconds,
                "boundObjectRef": bound,
            },
        }
        account = pod["spec"].get("serviceAccountName") or "default"
        issued = self._now()
        reply = await self._client.create(
            SERVICEACCOUNTS, request, meta["namespace"], subresource="token", name=account
        )
        status = reply["status"]
        return _Token(status["token"], issued, clock.parse(status["expirationTimestamp"]).timestamp())

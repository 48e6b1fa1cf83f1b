"""Who sent this request?  Certificate, bearer token or nobody, in that order, as in upstream's union authenticator.

Upstream: ``pkg/kubeapiserver/authenticator``.
"""

from __future__ import annotations

from typing import Protocol

from sampan.api.http import Request
from sampan.auth.user import UserInfo, anonymous

__all__ = ["Authenticator", "UserInfo", "anonymous"]


class Authenticator(Protocol):
    async def authenticate(self, request: Request) -> UserInfo:
        """Raises: Unauthorized when a credential is presented that doesn't hold."""
        ...

    async def authenticate_token(self, token: str, audiences: tuple[str, ...] = ()) -> tuple[UserInfo, tuple[str, ...]]:
        """For TokenReview: the caller behind a bearer token, and which of ``audiences`` it is good for.

        Raises: Unauthorized.
        """
        ...

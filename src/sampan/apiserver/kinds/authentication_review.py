"""TokenReview (who is behind this token?) and SelfSubjectReview (who am I?). Answered, never stored.

Upstream: ``pkg/registry/authentication``.
"""

from __future__ import annotations

from sampan.api.clock import rfc3339
from sampan.api.errors import BadRequest, ServiceUnavailable, Unauthorized
from sampan.apiserver.kinds.base import Context, Kind, Object


class TokenReviewKind(Kind):
    virtual = True

    async def answer(self, obj: Object, ctx: Context) -> Object:
        spec = obj.get("spec") or {}
        token, audiences = spec.get("token") or "", tuple(spec.get("audiences") or ())
        if not token:
            raise BadRequest("token is required for TokenReview in authentication")
        if ctx.authenticator is None:
            raise ServiceUnavailable("this server authenticates no tokens")
        try:
            user, common = await ctx.authenticator.authenticate_token(token, audiences)
        except Unauthorized:
            status: Object = {"user": {}, "error": "invalid bearer token"}
        else:
            status = {"authenticated": True, "user": user.as_object()}
            if audiences:
                status["audiences"] = list(common)
        return obj | {"metadata": _metadata(obj, ctx), "status": status}


class SelfSubjectReviewKind(Kind):
    virtual = True

    async def answer(self, obj: Object, ctx: Context) -> Object:
        return obj | {"metadata": _metadata(obj, ctx), "status": {"userInfo": ctx.user.as_object()}}


def _metadata(obj: Object, ctx: Context) -> Object:
    return {**(obj.get("metadata") or {}), "creationTimestamp": rfc3339(ctx.now)}

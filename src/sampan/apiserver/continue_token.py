"""The opaque ``continue`` of a list in pages: the revision the first page showed, and the key the last page ended with.

A token whose revision is -1 goes on with whatever is there now; a client gets one with the 410 that tells it that its
own token's revision has been compacted.

Upstream: ``staging/src/k8s.io/apiserver/pkg/storage/continue.go``.
"""

from __future__ import annotations

import base64
from binascii import Error as Base64Error
from dataclasses import dataclass

import orjson

from sampan.api.errors import BadRequest, Expired

LATEST = -1
_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class ContinueToken:
    """``after`` is relative to the listed prefix, so a token can't lead out of it."""

    revision: int
    after: str

    def encode(self) -> str:
        raw = orjson.dumps({"v": "meta.k8s.io/v1", "rv": self.revision, "start": self.after})
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> ContinueToken:
    """Raises: BadRequest."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        value = orjson.loads(raw)
        revision, start = int(value["rv"]), str(value["start"])
        if value["v"] != "meta.k8s.io/v1" or revision == 0 or not start or revision < LATEST:
            raise ValueError("unknown version, revision or start key")
    except (Base64Error, ValueError, KeyError, TypeError) as error:
        raise BadRequest(f"continue key is not valid: {error}") from error
    return ContinueToken(revision, start)


def expired(token: ContinueToken) -> Expired:
    """The 410 for a token whose revision is compacted, with one that goes on inconsistently."""
    error = Expired(_EXPIRED)
    error.status["metadata"] = {"continue": ContinueToken(LATEST, token.after).encode()}
    return error

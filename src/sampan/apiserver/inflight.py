"""How many requests may be under way at once?  Lists and writes are counted apart; gets (one look-up in
memory), watches and logs are not.

Who comes too many gets 429 and comes back after a second.  Masters always get in, so that a flooded server can still be
looked at.

Upstream: ``staging/src/k8s.io/apiserver/pkg/server/filters/maxinflight.go``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sampan.api.errors import TooManyRequests
from sampan.auth.user import MASTERS_GROUP, UserInfo

_READS = ("list",)


class InFlight:
    def __init__(self, max_reads: int, max_writes: int) -> None:
        self.reads = 0
        self.writes = 0
        self._max_reads = max_reads
        self._max_writes = max_writes

    @contextmanager
    def place(self, verb: str, user: UserInfo) -> Iterator[None]:
        """Raises: TooManyRequests."""
        if verb in _READS:
            self._check(self.reads, self._max_reads, user)
            self.reads += 1
            try:
                yield
            finally:
                self.reads -= 1
            return
        self._check(self.writes, self._max_writes, user)
        self.writes += 1
        try:
            yield
        finally:
            self.writes -= 1

    def _check(self, count: int, most: int, user: UserInfo) -> None:
        if count >= most and MASTERS_GROUP not in user.groups:
            raise TooManyRequests("too many requests, please try again later.", 1)

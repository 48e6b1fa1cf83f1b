"""Where cache lag is handled: what a controller has asked for and its informer has not shown yet.

Upstream: ``pkg/controller/controller_utils.go`` (ControllerExpectations, UIDTrackingControllerExpectations).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

TIMEOUT_SECONDS = 300.0


@dataclass(slots=True)
class _Expected:
    deadline: float
    creations: int = 0
    deletions: set[str] = field(default_factory=set)


class Expectations(Generic[Key]):
    """What was asked for and not yet seen: while it is outstanding the cache is stale and counting pods would mislead.

    Creations are counted; deletions are known by uid, because a pod with finalizers or a grace period is seen several
    times on its way out. After five minutes an expectation is given up: a lost event must not stop a controller.
    """

    def __init__(
        self, *, now: Callable[[], float] | None = None, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        self._now = now
        self._timeout = timeout
        self._expected: dict[Key, _Expected] = {}

    def expect_creations(self, key: Key, count: int) -> None:
        """Say so before asking: the event may come before the answer."""
        self._renew(key).creations += count

    def expect_deletions(self, key: Key, uids: Iterable[str]) -> None:
        self._renew(key).deletions.update(uids)

    def creation_observed(self, key: Key) -> None:
        """An ADDED event, or a create that failed."""
        expected = self._expected.get(key)
        if expected is not None:
            expected.creations = max(0, expected.creations - 1)

    def deletion_observed(self, key: Key, uid: str) -> None:
        """A DELETED event, a deletionTimestamp seen, or a delete that failed. Seeing it twice is fine."""
        expected = self._expected.get(key)
        if expected is not None:
            expected.deletions.discard(uid)

    def satisfied(self, key: Key) -> bool:
        """Whether everything asked for has been seen, or waited for long enough."""
        expected = self._expected.get(key)
        if expected is None:
            return True
        if (expected.creations or expected.deletions) and self._time() < expected.deadline:
            return False
        del self._expected[key]
        return True

    def forget(self, key: Key) -> None:
        """The owner is gone."""
        self._expected.pop(key, None)

    def _renew(self, key: Key) -> _Expected:
        expected = self._expected.setdefault(key, _Expected(0.0))
        expected.deadline = self._time() + self._timeout
        return expected

    def _time(self) -> float:
        return self._now() if self._now is not None else asyncio.get_running_loop().time()

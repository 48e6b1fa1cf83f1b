"""Who owns which element of the rules. Pure.

Different Services may ask for the same element: two of them for one external address and port, which is a mistake, or
for the hairpin entry of a pod that serves both, which is not.  The first one to ask owns it; the others wait, and
the next in line takes over when the owner leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K")


@dataclass
class Diff(Generic[K]):
    """What must change in the kernel: first remove, then add. An element with a new value is in both."""

    remove: list[K] = field(default_factory=list)
    add: dict[K, str] = field(default_factory=dict)


class Claims(Generic[K]):
    """Element -> value, asked for by Services."""

    def __init__(self) -> None:
        self._wanted: dict[str, dict[K, str]] = {}
        self._owner: dict[K, str] = {}
        self._waiting: dict[K, list[str]] = {}

    def wanted(self, service: str) -> Mapping[K, str]:
        return self._wanted.get(service, {})

    def update(self, service: str, wanted: dict[K, str], diff: Diff[K]) -> None:
        """Let ``service`` want exactly ``wanted`` from now on; what follows for the kernel is added to ``diff``."""
        before = self._wanted.pop(service, {})
        if wanted:
            self._wanted[service] = wanted
        for element in before:
            if element not in wanted:
                self._leave(service, element, diff)
        for element, value in wanted.items():
            owner = self._owner.setdefault(element, service)
            if owner == service and before.get(element) != value:
                if element in before:
                    _drop(diff, element)
                diff.add[element] = value
            elif owner != service and element not in before:
                self._waiting.setdefault(element, []).append(service)

    def _leave(self, service: str, element: K, diff: Diff[K]) -> None:
        waiting = self._waiting.get(element, [])
        if self._owner.get(element) != service:
            waiting.remove(service)
        else:
            _drop(diff, element)
            del self._owner[element]
            if waiting:
                heir = self._owner[element] = waiting.pop(0)
                diff.add[element] = self._wanted[heir][element]
        if not waiting:
            self._waiting.pop(element, None)


def _drop(diff: Diff[K], element: K) -> None:
    """What this very diff adds is not in the kernel; what was there before is in ``remove`` already."""
    if diff.add.pop(element, None) is None:
        diff.remove.append(element)

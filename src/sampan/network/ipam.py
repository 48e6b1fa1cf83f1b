"""Which addresses of the node's range are taken, and by whom.

One small file per address, named after it, holding the sandbox's id: creating a file with O_EXCL is the allocation,
removing it the release, and a crash in between leaves at worst a file that ``forget_all_but`` clears.  Nothing is
synced to disk: whatever loses unsynced files (a power cut) has ended every sandbox as well.

A freed address goes to the back of the queue, and the file ``.last`` keeps the place in the queue across restarts:
an address is used again as late as possible, so that nobody's stale connection reaches a stranger's pod.

Upstream: the host-local CNI plugin.
"""

from __future__ import annotations

import errno
import ipaddress
import os
from collections import deque
from collections.abc import Iterable
from pathlib import Path

_LAST = ".last"


class Addresses:
    """The node's addresses. ``reserved`` ones (the gateway) are never given out, nor the first and the last."""

    def __init__(self, directory: Path, cidr: str, reserved: Iterable[str] = ()) -> None:
        self._directory = directory
        self._cidr = cidr
        directory.mkdir(parents=True, exist_ok=True)
        usable = [str(a) for a in ipaddress.IPv4Network(cidr).hosts() if str(a) not in set(reserved)]
        self._usable = set(usable)
        self._by_owner = self._load()
        taken = set(self._by_owner.values())
        self._free = deque(a for a in self._queue(usable) if a not in taken)

    def of(self, owner: str) -> str | None:
        return self._by_owner.get(owner)

    def owners(self) -> set[str]:
        return set(self._by_owner)

    def allocate(self, owner: str) -> str:
        """The owner's address, a new one the first time. Raises: OSError when none is left."""
        if address := self._by_owner.get(owner):
            return address
        if not self._free:
            raise OSError(errno.EADDRNOTAVAIL, f"no address left in {self._cidr}")
        address = self._free.popleft()
        self._write(address, owner)
        self._write(_LAST, address)
        self._by_owner[owner] = address
        return address

    def release(self, owner: str) -> None:
        """Free the owner's address. A second call does nothing."""
        address = self._by_owner.pop(owner, None)
        if address is None:
            return
        (self._directory / address).unlink(missing_ok=True)
        if address in self._usable:
            self._free.append(address)

    def _load(self) -> dict[str, str]:
        found = {}
        for path in self._directory.iterdir():
            if path.name == _LAST or path.name.startswith(".new-"):
                continue
            owner = path.read_text()
            if not owner or path.name not in self._usable:  # a range given up, or a foreign file
                path.unlink()
                continue
            found[owner] = path.name
        return found

    def _queue(self, usable: list[str]) -> list[str]:
        """All addresses, beginning after the one given out last."""
        try:
            start = usable.index((self._directory / _LAST).read_text()) + 1
        except (FileNotFoundError, ValueError):
            start = 0
        return usable[start:] + usable[:start]

    def _write(self, name: str, content: str) -> None:
        """Whole or not at all: a reader never sees half an id."""
        fresh = self._directory / f".new-{name}"
        fresh.write_text(content)
        os.rename(fresh, self._directory / name)

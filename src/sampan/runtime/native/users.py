"""Who the process runs as: the securityContext's numbers, else the image's ``User``, looked up in the image's own
files.

Upstream: opencontainers/runc libcontainer/user, containerd pkg/oci WithUser and WithAdditionalGIDs.
"""

from __future__ import annotations

from dataclasses import dataclass

from sampan.runtime.base import RuntimeFailure, SecurityContext


@dataclass(frozen=True, slots=True)
class User:
    uid: int
    gid: int
    additional_gids: tuple[int, ...] = ()


def resolve(security: SecurityContext, image_user: str, passwd: str, group: str) -> User:
    """``passwd`` and ``group`` are the texts of the image's files. Raises: RuntimeFailure for an unknown name."""
    if security.run_as_user is not None:
        wanted = str(security.run_as_user)
    else:
        wanted = security.run_as_username or image_user or "0"
    name, _, group_name = wanted.partition(":")
    entry = _find_user(passwd, name)
    if entry is None and not name.isdecimal():
        raise RuntimeFailure(f"unable to find user {name}: no matching entries in passwd file")
    uid = int(name) if name.isdecimal() else entry[1] if entry else 0
    gid = entry[2] if entry else 0
    if security.run_as_group is not None:
        gid = security.run_as_group
    elif group_name:
        gid = _find_group(group, group_name)
    also = _memberships(group, entry[0]) if entry else []
    return User(uid, gid, tuple(dict.fromkeys([*also, *security.supplemental_groups])))


def _lines(text: str, fields: int) -> list[list[str]]:
    return [parts for line in text.splitlines() if len(parts := line.strip().split(":")) >= fields]


def _find_user(passwd: str, name: str) -> tuple[str, int, int] | None:
    for parts in _lines(passwd, 4):
        if name in (parts[0], parts[2]) and parts[2].isdecimal() and parts[3].isdecimal():
            return parts[0], int(parts[2]), int(parts[3])
    return None


def _find_group(group: str, name: str) -> int:
    for parts in _lines(group, 3):
        if name == parts[0] and parts[2].isdecimal():
            return int(parts[2])
    if name.isdecimal():
        return int(name)
    raise RuntimeFailure(f"unable to find group {name}: no matching entries in group file")


def _memberships(group: str, user: str) -> list[int]:
    return [int(p[2]) for p in _lines(group, 4) if p[2].isdecimal() and user in p[3].split(",")]

"""Who refers to whom: kept from the watches of every resource that can own or be owned.

Only names and references are kept here; the objects stay in the informers' caches.
Upstream: ``pkg/controller/garbagecollector/{graph,graph_builder}.go``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sampan.api import meta
from sampan.api.resources import Resource

Object = dict[str, Any]

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


@dataclass(frozen=True, slots=True)
class Node:
    """One object as the graph knows it."""

    resource: Resource
    key: str
    uid: str
    owners: tuple[tuple[str, bool], ...]  # (uid, blockOwnerDeletion)
    deleted: bool
    finalizers: frozenset[str]

    @classmethod
    def of(cls, resource: Resource, obj: Object) -> Node:
        owners = tuple((ref["uid"], bool(ref.get("blockOwnerDeletion"))) for ref in meta.owner_references(obj))
        return cls(resource, meta.key(obj), meta.uid(obj), owners, meta.is_deleted(obj),
                   frozenset(meta.finalizers(obj)) & {FOREGROUND, ORPHAN})

    @property
    def namespace(self) -> str:
        return self.key.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def waits_for_dependents(self) -> bool:
        return self.deleted and FOREGROUND in self.finalizers

    @property
    def orphans_dependents(self) -> bool:
        return self.deleted and ORPHAN in self.finalizers

    def blocks(self, owner_uid: str) -> bool:
        return any(uid == owner_uid and block for uid, block in self.owners)


class Graph:
    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._dependents: dict[str, set[str]] = {}

    def set(self, node: Node) -> None:
        self._unlink(self.nodes.get(node.uid))
        self.nodes[node.uid] = node
        for owner, _ in node.owners:
            self._dependents.setdefault(owner, set()).add(node.uid)

    def remove(self, uid: str) -> None:
        self._unlink(self.nodes.pop(uid, None))

    def _unlink(self, node: Node | None) -> None:
        for owner, _ in node.owners if node is not None else ():
            dependents = self._dependents.get(owner)
            if dependents is not None and node is not None:
                dependents.discard(node.uid)
                if not dependents:
                    del self._dependents[owner]

    def dependents(self, uid: str) -> list[Node]:
        return [self.nodes[dependent] for dependent in self._dependents.get(uid, ()) if dependent in self.nodes]

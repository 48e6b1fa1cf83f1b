"""Tells the API the status of pods: only what changed, one request per pod at a time, the newest picture wins.

A strategic merge patch carries just the kubelet's own conditions, so that conditions of others are never undone, and
the pod's uid, so that a pod recreated under the same name is never given its predecessor's status.  Upstream:
``pkg/kubelet/status/status_manager.go``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from sampan.api.errors import ApiError, Conflict, NotFound
from sampan.api.resources import PODS
from sampan.client.rest import Client
from sampan.kubelet.containers import Pod

log = logging.getLogger(__name__)

RETRY_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
LAZY_SECONDS = 1.0  # "ContainerCreating" is not worth a request when the pod runs within this time
SLIGHT_SECONDS = 2.0  # nor is, when a pod ends within this time, that its deletion was observed
_CLEARED = ("reason", "message", "podIP", "podIPs")
_REPLACED = ("podIPs", "hostIPs")  # lists with a merge key, which the kubelet alone writes


class StatusWriter:
    """One per node."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._pods: dict[str, _PodStatus] = {}

    def submit(self, pod: Pod, status: Mapping[str, Any], *, urgent: bool = True) -> None:
        """Have this status written soon. What is waiting to be written is replaced by it."""
        uid = pod["metadata"]["uid"]
        if uid not in self._pods:
            self._pods[uid] = _PodStatus(self._client, pod)
        self._pods[uid].submit(status, urgent)

    async def flush(self, uid: str) -> None:
        """Wait until all that anybody could want to know of this pod is written: it is about to be deleted."""
        if (pod := self._pods.get(uid)) is not None:
            await pod.flush()

    async def forget(self, uid: str) -> None:
        if (pod := self._pods.pop(uid, None)) is not None:
            await pod.close()

    async def close(self) -> None:
        for uid in list(self._pods):
            await self.forget(uid)


class _PodStatus:
    """The status of one pod on its way to the API."""

    def __init__(self, client: Client, pod: Pod) -> None:
        self._client = client
        self._pod = pod
        self._known: Mapping[str, Any] = pod.get("status") or {}
        self._wanted: Mapping[str, Any] | None = None
        self._submitted: Mapping[str, Any] | None = None
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._ending = False

    def submit(self, status: Mapping[str, Any], urgent: bool) -> None:
        if status == self._submitted:
            return
        self._wanted = self._submitted = status
        if urgent and not slight(self._known, difference(self._known, status)):
            self._hurry.set()
        if self._task is None:
            self._task = asyncio.create_task(self._write_all(LAZY_SECONDS if not urgent else SLIGHT_SECONDS))

    async def flush(self) -> None:
        self._ending = True
        self._hurry.set()
        if self._task is not None:
            await asyncio.shield(self._task)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _write_all(self, patience_seconds: float) -> None:
        try:
            if not self._hurry.is_set():
                await self._linger(patience_seconds)
            tries = 0
            while self._wanted is not None:
                status, self._wanted = self._wanted, None
                if not await self._write(status):
                    self._wanted = self._wanted or status
                    await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
                    tries += 1
        finally:
            self._task = None
            self._hurry.clear()

    async def _linger(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._hurry.wait(), seconds)
        except TimeoutError:
            return

    async def _write(self, status: Mapping[str, Any]) -> bool:
        """Returns whether there is nothing left to do for this status."""
        changes = difference(self._known, status)
        if not changes or (self._ending and slight(self._known, changes)):
            return True
        meta = self._pod["metadata"]
        patch = {"metadata": {"uid": meta["uid"]}, "status": changes}
        try:
            answer = await self._client.patch(PODS, meta["name"], patch, meta["namespace"], subresource="status")
        except (NotFound, Conflict) as error:
            log.debug("pod status had no pod pod=%s/%s error=%s", meta["namespace"], meta["name"], error)
            return True  # the pod is gone, or another one has its name
        except ApiError as error:
            log.warning("pod status was not written pod=%s/%s error=%s", meta["namespace"], meta["name"], error)
            return False
        self._known = answer.get("status") or {}
        return True


def difference(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The strategic merge patch of the status that leads from ``known`` to ``wanted``; empty when there is none."""
    known, wanted = _without_nulls(known), _without_nulls(wanted)
    changes: dict[str, Any] = {
        name: value for name, value in wanted.items() if name != "conditions" and known.get(name) != value
    }
    for name in _REPLACED:
        if name in changes and known.get(name):
            changes[name] = [*changes[name], {"$patch": "replace"}]
    changes |= {name: None for name in _CLEARED if name not in wanted and name in known}
    before = {c["type"]: c for c in known.get("conditions") or ()}
    conditions = [_cleared(c, before) for c in wanted.get("conditions") or () if before.get(c["type"]) != c]
    return changes | {"conditions": conditions} if conditions else changes


def slight(known: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    """Whether a patch tells no more than the generation that was observed, or that an ended pod's sandbox is gone."""
    if not changes.keys() <= {"observedGeneration", "conditions"}:
        return False
    before = {c["type"]: c for c in known.get("conditions") or ()}
    for condition in changes.get("conditions") or ():
        old = before.get(condition["type"], {})
        gone = condition["type"] == "PodReadyToStartContainers" and condition["status"] == "False" and old
        if not gone and any(old.get(k) != v for k, v in condition.items() if k != "observedGeneration"):
            return False
    return True


def _without_nulls(value: Any) -> Any:
    """The server drops nulls, so what is compared must have none."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _cleared(condition: Mapping[str, Any], before: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The condition, and a null for what it no longer has: a merge leaves alone what is not mentioned."""
    old = before.get(condition["type"], {})
    return dict(condition) | {key: None for key in ("reason", "message") if key in old and key not in condition}

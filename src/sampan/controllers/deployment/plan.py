"""The whole decision of one look at a Deployment: what to create, scale, delete and report.

One step at a time: either the new ReplicaSet grows, or the old ones shrink, or what is finished is tidied up; the
change itself brings the next look.  Upstream: ``pkg/controller/deployment/{sync,rolling,recreate}.go``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sampan.api import meta
from sampan.controllers.base import Note
from sampan.controllers.deployment import revisions, scaling, status

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Update:
    """A ReplicaSet as it should be written back, and what to tell about it."""

    replica_set: Object
    note: Note | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """``annotations`` and ``status`` are the Deployment's, None when they stay."""

    create: Update | None = None
    updates: tuple[Update, ...] = ()
    deletes: tuple[Object, ...] = ()
    annotations: dict[str, str] | None = None
    status: Object | None = None
    requeue_after_seconds: float | None = None


def plan(deployment: Object, sets: Sequence[Object], pods: Mapping[str, Sequence[Object]], now: datetime) -> Plan:
    """``sets`` are the ReplicaSets it controls; ``pods`` maps a ReplicaSet's uid to its pods that still exist."""
    draft = _Draft(deployment, sets, now)
    if meta.is_deleted(deployment):
        return draft.finish(rollout=False)
    draft.note_pause()
    if deployment["spec"].get("paused") or draft.is_scaling():
        draft.adopt_new(create=False)
        draft.scale()
        if deployment["spec"].get("paused"):
            draft.clean_up()
        return draft.finish(rollout=False)
    if scaling.is_rolling(deployment):
        draft.roll()
    else:
        draft.recreate(pods)
    return draft.finish(rollout=True)


@dataclass
class _Draft:
    """The plan while it is being made. ReplicaSets are copied before they are changed."""

    deployment: Object
    sets: Sequence[Object]
    now: datetime
    new: Object | None = None
    old: list[Object] = field(default_factory=list)
    changed: dict[str, Update] = field(default_factory=dict)
    create: Update | None = None
    deletes: list[Object] = field(default_factory=list)
    annotations: dict[str, str] | None = None

    def __post_init__(self) -> None:
        self.new = revisions.find_new(self.deployment, self.sets)
        self.old = [rs for rs in self.sets if rs is not self.new]
        # Conditions decided on the way; written with everything else at the end.
        self.conditions: list[Object] = list((self.deployment.get("status") or {}).get("conditions") or [])

    # -- the new ReplicaSet ------------------------------------------------------------------------------------------

    def adopt_new(self, *, create: bool) -> None:
        """Bring the new ReplicaSet's annotations up to date, or make it."""
        number = revisions.max_revision(self.old) + 1
        if self.new is not None:
            wanted = revisions.new_annotations(self.deployment, self.new, number)
            ready = self.deployment["spec"].get("minReadySeconds") or 0
            if wanted != meta.annotations(self.new) or ready != (self.new["spec"].get("minReadySeconds") or 0):
                self._replace(self.new, annotations=wanted, spec={"minReadySeconds": ready})
            self._set_revision(meta.annotations(self.new).get(revisions.REVISION, ""))
            self._first_progress("FoundNewReplicaSet", f'Found new replica set "{meta.name(self.new)}"')
        elif create:
            self._create(number)

    def _create(self, number: int) -> None:
        rs = revisions.new_replica_set(self.deployment, number)
        size = scaling.new_set_replicas(self.deployment, [*self.old, rs], 0)
        rs["spec"]["replicas"] = size
        rs["metadata"]["annotations"] |= self._replicas_annotations()
        note = Note("ScalingReplicaSet", f"Scaled up replica set {meta.name(rs)} from 0 to {size}") if size else None
        self.new, self.create = rs, Update(rs, note)
        self._set_revision(str(number))
        if status.has_deadline(self.deployment):
            message = f'Created new replica set "{meta.name(rs)}"'
            self._condition(status.PROGRESSING, "True", "NewReplicaSetCreated", message)

    def _set_revision(self, number: str) -> None:
        if number and meta.annotations(self.deployment).get(revisions.REVISION) != number:
            self.annotations = {revisions.REVISION: number}

    def _first_progress(self, reason: str, message: str) -> None:
        if status.has_deadline(self.deployment) and status.find(self.conditions, status.PROGRESSING) is None:
            self._condition(status.PROGRESSING, "True", reason, message)

    def _condition(self, type: str, value: str, reason: str, message: str) -> None:
        fresh = status.make_condition(type, value, reason, message, self.now)
        self.conditions = status.with_condition(self.conditions, fresh)

    # -- pause and scaling -------------------------------------------------------------------------------------------

    def note_pause(self) -> None:
        if not status.has_deadline(self.deployment):
            return
        current = status.find(self.conditions, status.PROGRESSING)
        if current is not None and current.get("reason") == status.TIMED_OUT:
            return
        noted = current is not None and current.get("reason") == status.PAUSED
        if self.deployment["spec"].get("paused") and not noted:
            self._condition(status.PROGRESSING, "Unknown", status.PAUSED, "Deployment is paused")
        elif noted and not self.deployment["spec"].get("paused"):
            self._condition(status.PROGRESSING, "Unknown", status.RESUMED, "Deployment is resumed")

    def is_scaling(self) -> bool:
        """Does a running ReplicaSet remember another number of wanted replicas?"""
        wanted = scaling.replicas(self.deployment)
        remembered = (revisions.number_annotation(rs, revisions.DESIRED_REPLICAS) for rs in scaling.active(self.sets))
        return any(number is not None and number != wanted for number in remembered)

    def scale(self) -> None:
        """Follow ``spec.replicas`` without starting or advancing a rollout."""
        only = scaling.active_or_latest(self.new, self.old)
        if only is not None:
            self._resize(only, scaling.replicas(self.deployment))
        elif scaling.is_saturated(self.deployment, self.new):
            for rs in scaling.active(self.old):
                self._resize(rs, 0)
        elif scaling.is_rolling(self.deployment):
            running = scaling.active(self._all())
            sizes = scaling.proportional_sizes(self.deployment, running)
            for rs in running:
                self._resize(rs, sizes[meta.name(rs)])

    # -- the two strategies ------------------------------------------------------------------------------------------

    def roll(self) -> None:
        self.adopt_new(create=True)
        assert self.new is not None
        current, wanted = scaling.replicas(self.new), scaling.replicas(self.deployment)
        size = wanted if current > wanted else scaling.new_set_replicas(self.deployment, self._all(), current)
        if size != current:
            self._resize(self.new, size)
            return
        sizes = scaling.old_set_sizes(self.deployment, scaling.active(self.old), self.new)
        for rs in list(self.old):
            if meta.name(rs) in sizes:
                self._resize(rs, sizes[meta.name(rs)])
        if not sizes:
            self._clean_up_when_complete()

    def recreate(self, pods: Mapping[str, Sequence[Object]]) -> None:
        running = scaling.active(self.old)
        self.adopt_new(create=False)
        for rs in running:
            self._resize(rs, 0)
        if running or self._old_pods_run(pods):
            return
        if self.new is None:
            self.adopt_new(create=True)
        assert self.new is not None
        self._resize(self.new, scaling.replicas(self.deployment))
        self._clean_up_when_complete()

    def _old_pods_run(self, pods: Mapping[str, Sequence[Object]]) -> bool:
        if any(scaling.counted(rs, "replicas") for rs in self.old):
            return True
        ours = meta.uid(self.new) if self.new else ""
        phases = ((pod.get("status") or {}).get("phase") for uid, some in pods.items() if uid != ours for pod in some)
        return any(phase not in ("Failed", "Succeeded") for phase in phases)

    # -- ends --------------------------------------------------------------------------------------------------------

    def _clean_up_when_complete(self) -> None:
        if status.is_complete(self.deployment, self.deployment.get("status") or {}):
            self.clean_up()

    def clean_up(self) -> None:
        """Forget the oldest revisions beyond ``revisionHistoryLimit``."""
        limit = self.deployment["spec"].get("revisionHistoryLimit")
        alive = sorted((rs for rs in self.old if not meta.is_deleted(rs)), key=revisions.revision)
        if limit is None or len(alive) <= limit:
            return
        for rs in alive[:len(alive) - limit]:
            observed = scaling.counted(rs, "observedGeneration")
            if not (scaling.counted(rs, "replicas") or scaling.replicas(rs) or meta.generation(rs) > observed):
                self.deletes.append(rs)

    def finish(self, *, rollout: bool) -> Plan:
        everything, before = self._all(), self.deployment.get("status") or {}
        draft = self.deployment | {"status": before | {"conditions": self.conditions}}
        after = status.count(draft, everything, self.new, self.now)
        if rollout:
            after = status.with_progress(draft, after, everything, self.new, self.now)
        wait = status.seconds_to_deadline(self.deployment, after, self.now) if rollout else None
        return Plan(self.create, tuple(self.changed.values()), tuple(self.deletes), self.annotations,
                    None if _same(after, before) else after, wait)

    def _all(self) -> list[Object]:
        return [*self.old, self.new] if self.new is not None else list(self.old)

    def _replicas_annotations(self) -> dict[str, str]:
        wanted = scaling.replicas(self.deployment)
        return revisions.replicas_annotations(wanted, wanted + scaling.max_surge(self.deployment))

    def _resize(self, rs: Object, size: int) -> None:
        before = scaling.replicas(rs)
        annotations = {**meta.annotations(rs), **self._replicas_annotations()}
        if size == before and annotations == meta.annotations(rs):
            return
        note = None
        if size != before:
            direction = "up" if size > before else "down"
            note = Note("ScalingReplicaSet", f"Scaled {direction} replica set {meta.name(rs)} from {before} to {size}")
        self._replace(rs, annotations=annotations, spec={"replicas": size}, note=note)

    def _replace(self, rs: Object, *, annotations: dict[str, str], spec: Object, note: Note | None = None) -> None:
        fresh = rs | {"metadata": rs["metadata"] | {"annotations": annotations}, "spec": rs["spec"] | spec}
        if self.create is not None and rs is self.create.replica_set:
            self.create = Update(fresh, note or self.create.note)
        else:
            self.changed[meta.name(rs)] = Update(fresh, note)
        if rs is self.new:
            self.new = fresh
        else:
            self.old = [fresh if other is rs else other for other in self.old]


def _same(after: Object, before: Object) -> bool:
    """Equal where absent and zero mean the same."""
    return {k: v for k, v in after.items() if v} == {k: v for k, v in before.items() if v}

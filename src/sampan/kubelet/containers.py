"""The containers of a pod spec, by what they are for, and whether one that ended is started again.

An init container with ``restartPolicy: Always`` is a sidecar (KEP-753): it starts in the order of the init
containers, then runs beside the app containers.  A container may have a ``restartPolicy`` and
``restartPolicyRules`` of its own (KEP-5307), which come before the pod's.
Upstream: ``pkg/kubelet/container/helpers.go``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Pod = Mapping[str, Any]
Kind = Literal["init", "sidecar", "app", "ephemeral"]


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod spec. ``spec`` is the API object; ``index`` its place in its list."""

    name: str
    kind: Kind
    spec: Mapping[str, Any]
    index: int

    @property
    def field_path(self) -> str:
        """``spec.containers{web}``, as events name the container."""
        lists = {"init": "initContainers", "sidecar": "initContainers", "ephemeral": "ephemeralContainers"}
        return f"spec.{lists.get(self.kind, 'containers')}{{{self.name}}}"


def containers_of(pod: Pod) -> list[Container]:
    """All containers, in starting order: init containers and sidecars, app containers, ephemeral containers."""
    spec = pod["spec"]
    found = [
        Container(c["name"], "sidecar" if c.get("restartPolicy") == "Always" else "init", c, i)
        for i, c in enumerate(spec.get("initContainers") or ())
    ]
    found += [Container(c["name"], "app", c, i) for i, c in enumerate(spec.get("containers") or ())]
    found += [Container(c["name"], "ephemeral", c, i) for i, c in enumerate(spec.get("ephemeralContainers") or ())]
    return found


def container_named(pod: Pod, name: str) -> Container | None:
    return next((c for c in containers_of(pod) if c.name == name), None)


def restarts(pod: Pod, container: Container, exit_code: int) -> bool:
    """Whether a container that ended with this code is started again."""
    if container.kind == "ephemeral":
        return False
    if container.kind == "sidecar":
        return True
    if _restart_rule_matches(container.spec, exit_code):
        return True
    policy = container.spec.get("restartPolicy") or pod["spec"].get("restartPolicy") or "Always"
    if container.kind == "init" and policy == "Always":
        policy = "OnFailure"  # an init container that succeeded is done
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def _restart_rule_matches(spec: Mapping[str, Any], exit_code: int) -> bool:
    for rule in spec.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        listed = exit_code in (codes.get("values") or ())
        if rule.get("action") == "Restart" and listed == (codes.get("operator", "In") == "In"):
            return True
    return False


def spec_hash(spec: Mapping[str, Any]) -> str:
    """Changes when a running container no longer is what its spec says: only the image may change in a live pod."""
    text = f"{spec['name']}\0{spec.get('image', '')}"
    return hashlib.blake2s(text.encode(), digest_size=4).hexdigest()


def grace_period(pod: Pod) -> float:
    """The seconds between the stop signal and the kill that the spec asks for."""
    asked = pod["spec"].get("terminationGracePeriodSeconds")
    return float(30 if asked is None else asked)


def is_terminal(pod: Pod) -> bool:
    """Whether the API already knows this pod as finished; a finished pod never starts again."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def pod_text(pod: Pod) -> str:
    """``name_namespace(uid)``, as events and waiting messages name a pod."""
    meta = pod["metadata"]
    return f"{meta['name']}_{meta.get('namespace', '')}({meta['uid']})"

"""Priority: a Pod's class becomes a number. There is no PriorityClass API yet: only the two built-in classes exist.

Upstream: ``plugin/pkg/admission/priority``.
"""

from __future__ import annotations

from sampan.api.errors import Forbidden
from sampan.api.resources import PODS
from sampan.apiserver.admission.base import Attributes, Plugin

CLASSES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
_DEFAULT_PRIORITY, _DEFAULT_PREEMPTION = 0, "PreemptLowerPriority"


class Priority(Plugin):
    name = "Priority"

    async def admit(self, attributes: Attributes) -> None:
        pod = attributes.obj
        if pod is None:
            return
        if attributes.on(PODS, "UPDATE") and attributes.old is not None:
            for key in ("priority", "preemptionPolicy"):  # old clients leave them out
                if pod["spec"].get(key) is None and attributes.old["spec"].get(key) is not None:
                    pod["spec"][key] = attributes.old["spec"][key]
        if attributes.on(PODS, "CREATE"):
            _resolve(pod.setdefault("spec", {}), (pod.get("metadata") or {}).get("name", ""))


def _resolve(spec: dict[str, object], pod_name: str) -> None:
    """Raises: Forbidden."""
    name = spec.get("priorityClassName") or ""
    if name and name not in CLASSES:
        raise Forbidden.of(PODS, pod_name, f"no PriorityClass with name {name} was found")
    priority = CLASSES[str(name)] if name else _DEFAULT_PRIORITY
    if spec.get("priority") not in (None, priority):
        raise Forbidden.of(PODS, pod_name, f"the integer value of priority ({spec['priority']}) must not be provided "
                           f"in pod spec; priority admission controller computed {priority} from the given "
                           "PriorityClass name")
    spec["priority"] = priority
    if spec.get("preemptionPolicy") not in (None, _DEFAULT_PREEMPTION):
        raise Forbidden.of(PODS, pod_name, f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must "
                           "not be provided in pod spec; priority admission controller computed "
                           f"{_DEFAULT_PREEMPTION} from the given PriorityClass name")
    spec["preemptionPolicy"] = _DEFAULT_PREEMPTION

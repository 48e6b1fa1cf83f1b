"""TaintNodesByCondition: a Node is born with the not-ready taint, so that nothing lands on it before it is ready.

Upstream: ``plugin/pkg/admission/nodetaint``.
"""

from __future__ import annotations

from sampan.api.resources import NODES
from sampan.apiserver.admission.base import Attributes, Plugin

_TAINT = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class TaintNodesByCondition(Plugin):
    name = "TaintNodesByCondition"

    async def admit(self, attributes: Attributes) -> None:
        if attributes.obj is None or not attributes.on(NODES, "CREATE"):
            return
        spec = attributes.obj.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(t.get("key") == _TAINT["key"] and t.get("effect") == _TAINT["effect"] for t in taints):
            spec["taints"] = [*taints, dict(_TAINT)]

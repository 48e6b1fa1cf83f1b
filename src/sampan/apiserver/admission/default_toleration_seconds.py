"""DefaultTolerationSeconds: a Pod stays five minutes on a node that is not ready or unreachable.

Upstream: ``plugin/pkg/admission/defaulttolerationseconds``.
"""

from __future__ import annotations

from sampan.api.resources import PODS
from sampan.apiserver.admission.base import Attributes, Plugin

SECONDS = 300
_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class DefaultTolerationSeconds(Plugin):
    name = "DefaultTolerationSeconds"

    async def admit(self, attributes: Attributes) -> None:
        if attributes.obj is None or not attributes.on(PODS, "CREATE", "UPDATE"):
            return
        spec = attributes.obj.setdefault("spec", {})
        tolerations = spec.get("tolerations") or []
        missing = [key for key in _TAINTS if not any(
            t.get("key") in (key, "", None) and t.get("effect") in ("NoExecute", "", None) for t in tolerations)]
        if missing:
            spec["tolerations"] = tolerations + [
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}
                for key in missing]

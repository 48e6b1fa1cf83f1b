"""Which plugins run, in upstream's order. Plugins for kinds that don't exist yet (LimitRange, ResourceQuota) don't."""

from __future__ import annotations

from sampan.apiserver.admission.base import Plugin, Server


def default_chain(server: Server) -> list[Plugin]:
    """The plugins of an ordinary cluster. ``server`` is where they look objects up (also in ``Attributes``)."""
    from sampan.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
    from sampan.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
    from sampan.apiserver.admission.node_restriction import NodeRestriction
    from sampan.apiserver.admission.priority import Priority
    from sampan.apiserver.admission.service_account import ServiceAccount
    from sampan.apiserver.admission.taint_nodes_by_condition import TaintNodesByCondition

    return [
        NamespaceLifecycle(),
        ServiceAccount(),
        NodeRestriction(),
        TaintNodesByCondition(),
        Priority(),
        DefaultTolerationSeconds(),
    ]

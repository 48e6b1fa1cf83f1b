"""The default set of rules, in order, with upstream's weights."""

from __future__ import annotations

from sampan.scheduler.framework import FilterRule, ScoreRule
from sampan.scheduler.plugins.balanced_allocation import BalancedAllocation
from sampan.scheduler.plugins.image_locality import ImageLocality
from sampan.scheduler.plugins.inter_pod_affinity import InterPodAffinity
from sampan.scheduler.plugins.node_affinity import NodeAffinity
from sampan.scheduler.plugins.node_name import NodeName
from sampan.scheduler.plugins.node_ports import NodePorts
from sampan.scheduler.plugins.node_resources_fit import NodeResourcesFit
from sampan.scheduler.plugins.node_unschedulable import NodeUnschedulable
from sampan.scheduler.plugins.pod_topology_spread import PodTopologySpread
from sampan.scheduler.plugins.taint_toleration import TaintToleration
from sampan.scheduler.plugins.volume_claims import VolumeClaims


def default_filters() -> tuple[FilterRule, ...]:
    return (NodeUnschedulable(), NodeName(), TaintToleration(), NodeAffinity(), NodePorts(), NodeResourcesFit(),
            VolumeClaims(), PodTopologySpread(), InterPodAffinity())


def default_scores() -> tuple[ScoreRule, ...]:
    return (TaintToleration(), NodeAffinity(), PodTopologySpread(), InterPodAffinity(), NodeResourcesFit(),
            BalancedAllocation(), ImageLocality())

"""Who notices that a node is dead, and what follows?

Each node renews a lease; when it stops, its conditions become Unknown, taints follow from the conditions, pods that do
not tolerate the taints are evicted, and those that stay are reported as not ready so that no traffic goes to them.

Read in this order: ``health`` (is it alive), ``taints`` (what follows from the conditions), ``controller``.
Evicting is the job of ``taint_eviction.py`` next door.  Upstream: ``pkg/controller/nodelifecycle``.
"""

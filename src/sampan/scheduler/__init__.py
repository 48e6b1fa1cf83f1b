"""Which node, and why?

A pod without a node goes through a queue; rules (plugins) first rule nodes out, then score the rest; the winner is
written as a binding.  Everything is decided from state kept in memory and updated by watches, so the work for one pod
grows with the nodes looked at, not with the cluster.

Read in this order: ``framework`` (what a rule is), ``pod_info`` and ``node_info`` (what is known, parsed once),
``cluster_state`` (kept up to date by events), ``cycle`` (one pod's decision, pure), ``diagnosis`` (why not, in words),
``queue`` (who is next, who waits for what), ``scheduler`` (the shell that watches and binds), ``plugins/``.

Upstream: ``pkg/scheduler``.  Preemption by priority is not built yet: a pod never drives out another one.
"""

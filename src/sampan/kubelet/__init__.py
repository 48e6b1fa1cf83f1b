"""How does a Pod become processes?  One worker per pod decides from what is, and lets the runtime do it.

Read in this order: ``containers`` (the pod's containers and when each restarts), ``runtime_state`` (what the runtime
has of a pod), ``actions`` (what a worker can see and do), ``plan`` and ``termination`` (the pure decisions),
``pod_worker`` (the shell around them), ``start`` and ``stop`` (how one container comes and goes), ``status`` and
``status_writer`` (what is told to the API), ``probes``.  What a container is made of: ``env``, ``security``,
``volumes``, ``hosts``, ``resolv``, ``cgroups``, ``images``.  ``kubelet`` assembles it, ``node`` speaks for the
machine, ``server`` answers on :10250.
"""

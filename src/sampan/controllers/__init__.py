"""Who makes it so?  One file or folder per controller: a pure ``plan(...)`` decides, a thin ``reconcile`` acts.

Every controller is a client of the API like any other program: it reads from shared informers, writes by its own
identity, and is woken by changes.  None polls where an event can tell.

Read in this order: ``base`` (what a controller is), ``run`` (how all of them start), ``replicaset`` (the model of
all), ``deployment`` (the largest), ``endpointslice``, ``garbagecollector``, ``namespace``, then the rest as questions
come.

Upstream: ``pkg/controller``, ``cmd/kube-controller-manager``.
"""

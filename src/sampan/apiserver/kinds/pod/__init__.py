"""What is a Pod allowed to say?  The biggest kind, in files by what they look at.

Read in this order: ``kind`` (the Pod's answers to the verbs), ``defaults``, ``spec`` (the rules of a PodSpec, shared
with every pod template), then what a spec is made of: ``containers``, ``ports``, ``env``, ``probes``, ``mounts``,
``volumes``, ``quantities``, ``security``, ``scheduling``.  ``update`` says what may change later, ``template`` is the
entry for Deployment and ReplicaSet, ``columns`` prints.

Upstream: ``pkg/registry/core/pod``, ``pkg/apis/core/v1/defaults.go``, ``pkg/apis/core/validation/validation.go``.
"""

"""How does a Deployment roll out?  It owns ReplicaSets, one per pod template, and moves replicas between them.

Read in this order: ``revisions`` (which ReplicaSet belongs to which template), ``scaling`` (how many replicas each may
have now), ``plan`` (the whole decision), ``status`` (what is reported), ``controller`` (the shell around it).

Upstream: ``pkg/controller/deployment``.
"""

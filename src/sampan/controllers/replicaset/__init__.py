"""How do there come to be n pods?  A ReplicaSet counts the pods that it controls and makes up the difference.

Read in this order: ``plan`` (the decision), ``ranking`` (which pod goes first), ``status`` (what is reported),
``controller`` (the shell: expectations, slow start, events).  Upstream: ``pkg/controller/replicaset``.
"""

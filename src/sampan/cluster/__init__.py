"""How does a cluster start?  The only room that puts the others together.

Read in this order: ``config`` (what a cluster is called, where it lives, which addresses it has), ``up`` and ``down``
(the life of a cluster), ``server`` and ``agent`` (what the two processes are made of), ``launch``, ``forked`` and
``shared`` (how they are started), ``daemon`` (how they are found again), ``requirements`` (what the machine must have),
``purge`` (how every trace goes).
"""

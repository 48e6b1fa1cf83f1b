"""What disappears with its owner, and when?

Owner references make a graph.  When the last owner of an object is gone, the object goes (background); an owner deleted
in the foreground waits until what blocks it is gone; one deleted with orphaning first lets its dependents go free.

Read in this order: ``graph`` (who refers to whom), ``plan`` (what to do with one object), ``controller`` (the shell).
Upstream: ``pkg/controller/garbagecollector``.
"""

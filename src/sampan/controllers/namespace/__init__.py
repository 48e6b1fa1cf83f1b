"""What happens when a namespace is deleted?  Everything in it goes first, pods before all else, then its finalizer.

Read in this order: ``conditions`` (what is said meanwhile), ``controller``.  Upstream: ``pkg/controller/namespace``.
"""

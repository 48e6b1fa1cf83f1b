"""What do subresources do that are neither the object nor its status?  One file each.

``scale`` shows a workload as a number, ``binding`` puts a Pod on a node, ``eviction`` asks a Pod to go, ``token`` makes
a ServiceAccount's token.  ``pods/log``, ``exec`` and their like go through ``sampan.apiserver.node_proxy``.
"""

"""How do pods communicate?

A node is a network namespace, and so is every pod.  Between them are veth pairs, one bridge per node, and routes: no
address is ever translated on the way from a pod to another pod or to a node.

Read in this order: ``base.py`` (what the runtime asks for), ``node.py`` (a node's namespace and its way to the host),
``bridge.py`` and ``ipam.py`` (a pod's link and its address), ``egress.py`` (the way out of the machine);
below them ``links.py`` (links, addresses, routes) over ``netlink.py``, ``netns.py`` and ``nft.py`` (the kernel).
"""

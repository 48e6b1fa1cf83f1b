"""Why a Service?  How does kube-proxy forward?

A Service is a name and an address that stay while the pods behind them come and go.  The address belongs to no
machine: each node's kernel rewrites it, for the first packet of a connection, to the address of one ready endpoint.

Read in this order: ``table.py`` (pure: from Services and EndpointSlices to what must be forwarded where), ``base.py``
(what every back end can do), ``nftables.py`` with ``nft_layout.py`` (the default) and ``iptables.py``, ``conntrack.py``
(connections that must forget), ``health.py`` (what load balancers ask), ``run.py`` (watching the API, driving it all).
"""

"""How does a name become an address?

Each node answers DNS itself, on the address of the ``kube-dns`` Service.  Names of the cluster are computed from
Services and EndpointSlices as they change; all others are asked of the host's own resolvers.

Read in this order: ``records.py`` (pure: a Service and its slices -> names and records), ``zone.py`` (all of them,
ready to answer), ``message.py`` (DNS on the wire), ``answer.py`` (a query -> a reply, or whom to ask),
``forward.py`` (asking others), ``server.py`` (UDP and TCP), ``run.py`` (watching the API), ``service.py`` (kube-dns).
"""

"""Where does a Service lead?  EndpointSlices list the pods behind it, a hundred per slice.

Read in this order: ``endpoint`` (one pod as an endpoint), ``plan`` (which slices to create, change, delete),
``controller`` (the shell).  Upstream: ``staging/src/k8s.io/endpointslice``, ``pkg/controller/endpointslice``.
"""

"""What happens to a request?

``app.ApiServer.handle`` is the whole chain on one screen.  Read in this order: ``request_info`` (what does the path
ask for), ``app`` (who asks, may they, who answers), ``call`` (what a verb gets), ``verbs/`` (one file per verb),
``write`` (the life of a write: defaults, admission, validation, storage), ``objects`` (stored bytes), then
``negotiation``, ``respond`` and ``table`` (how an answer looks), ``subresources/`` and ``reviews/`` (the resources
that do something instead of being stored), ``discovery`` and ``openapi`` (how clients learn all this), ``node_proxy``
(exec, logs, port-forward on their way to the kubelet), and how bytes come and go: ``serve`` (sockets and TLS),
``connection`` (one client), ``messages`` (heads), ``upgrade`` (what is HTTP no more).  ``kinds/`` holds what differs
per kind, ``admission/`` the plugins.

Upstream: ``staging/src/k8s.io/apiserver``.
"""

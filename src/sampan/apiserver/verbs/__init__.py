"""What does each verb do?  One file per verb; each gets a ``Call`` and returns a ``Response``.

``create``, ``update`` and ``patch`` share the life of a write in ``sampan.apiserver.write``.

Upstream: ``staging/src/k8s.io/apiserver/pkg/endpoints/handlers``.
"""

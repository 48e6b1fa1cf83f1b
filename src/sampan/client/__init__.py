"""How does everything else talk to the API?  Through one client, whatever is behind it.

Read in this order: ``transport`` (bytes to the server: in-process or, in ``https``, over TLS), ``rest`` (the verbs),
``informer`` (a cache kept fresh by list and watch), ``queue`` (which key to reconcile next, and when again),
``expectations`` (asked for, not yet seen), ``events`` (what ``kubectl describe`` shows at the end), ``kubeconfig``
(where the server is and who we are).
"""

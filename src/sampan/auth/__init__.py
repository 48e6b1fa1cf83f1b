"""Who are you, and what may you do?  Authentication, authorization, and the keys and roles that both rest on.

Read in this order: ``user`` (what is known of a caller), ``authenticate`` (certificate or token to caller), ``tokens``
(what is inside a ServiceAccount token), ``authorize`` (the question "may X do Y" as a value), ``rules`` and ``rbac``
(roles answer it), ``node`` (kubelets get their own answer), ``bootstrap_policy`` (the roles every cluster is born
with), ``certificates`` (the CA and everything it signs), ``objects`` (how all of these see the store).
"""

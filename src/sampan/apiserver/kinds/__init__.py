"""What is special about each kind?  Defaults, validation, status rules, deletion rules and table columns, by hand.

Read in this order: ``base`` (the questions every kind answers, with the generic answers), ``registry`` (which file
answers for which resource), ``metadata`` (rules for every object), then any kind: ``configmap`` is a small one, ``pod``
a folder.  ``podtemplate`` rules are shared by Pod, ReplicaSet and Deployment.

Upstream: ``pkg/registry/*/strategy.go``, ``pkg/apis/*/v1/defaults.go``, ``pkg/apis/*/validation``,
``pkg/printers/internalversion``.
"""

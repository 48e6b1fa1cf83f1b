"""The rules, one per file. A filter rule says which nodes are out and why; a score rule says which are better.

``rules`` lists them in the order in which they are asked: cheap and decisive ones first.
Upstream: ``pkg/scheduler/framework/plugins``.
"""

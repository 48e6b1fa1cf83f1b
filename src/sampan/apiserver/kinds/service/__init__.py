"""What is a Service, before any proxy looks at it?

Read in this order: ``kind`` (the answers to the verbs), ``defaults``, ``validation``, ``ranges`` (which addresses and
node ports are free), ``columns``.  Upstream: ``pkg/registry/core/service``, ``ValidateService``.
"""

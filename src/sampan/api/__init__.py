"""What is a Kubernetes object?  Data only: no I/O, no clock, nothing that knows of a server.

Read in this order: ``resources`` (which kinds there are), ``schema`` (what their fields are), ``errors`` (how a
refusal looks), ``selectors`` and ``quantity`` (small languages inside objects), then the four ways to change an
object: ``jsonpatch``, ``mergepatch``, ``strategicpatch`` and ``apply`` (server-side apply with field ownership).
"""

"""What is a Kubernetes object?  Data only: no I/O (but the schema's own file), no clock but ``clock.now``, no server.

Read in this order:

- ``resources`` (which kinds there are), ``meta`` and ``clock`` (what they share), ``errors`` (how a refusal looks),
  ``encoding`` (how they are stored), ``http`` (how they travel);
- ``selectors``, ``quantity`` and ``names``: the small languages inside objects;
- ``schema`` (what the fields of a kind are): ``types`` is its model, ``schema_file`` where it comes from; ``body`` and
  ``decode`` turn bytes into objects of a type;
- four ways to change an object: ``jsonpatch``, ``mergepatch``, ``strategicpatch``, and ``apply`` (server-side apply),
  which is ``fields`` (sets of fields), ``fieldset`` (which fields, which changed), ``typed_merge`` (merging by type)
  and ``ownership`` (``managedFields``).
"""

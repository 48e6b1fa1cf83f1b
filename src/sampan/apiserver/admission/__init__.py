"""May this object be written, in this cluster, now?  Policies that look beyond the one object.

Read in this order: ``base`` (what a plugin sees and may do), ``chain`` (which plugins, in which order), then any
plugin: one file each, named as upstream's ``--enable-admission-plugins`` names it.

Upstream: ``plugin/pkg/admission``.
"""

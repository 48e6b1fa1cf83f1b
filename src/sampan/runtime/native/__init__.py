"""How does a sandbox become namespaces, and a container a process in them?

Reading order: ``runtime`` (all verbs on one screen), ``namespaces`` and ``sandbox`` (what a pod's containers share),
``container`` (root file system and bundle), ``oci`` (pure: what runc is told), ``start``, ``stop``, ``exits`` (how an
exit is learned), ``exec``, ``attach``, ``port_forward``, ``stats``, ``recover`` (what a crash left).  Underneath:
``records`` (the files that survive us), ``cgroups``, ``rootfs``, ``children`` (processes), ``syscalls``.
"""

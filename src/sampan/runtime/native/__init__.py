"""How does a sandbox become a pause process, and a container a process beside it?

Reading order: ``runtime`` (all verbs on one screen), ``sandbox`` (namespaces, pause), ``container`` (root file
system and bundle), ``oci`` (pure: what runc is told), ``start``, ``stop``, ``exits`` (how an exit is learned),
``exec``, ``attach``, ``port_forward``, ``stats``, ``recover`` (what a crash left).  Underneath: ``records`` (the
files that survive us), ``cgroups``, ``netns``, ``rootfs``, ``children`` (processes), ``syscalls``.
"""

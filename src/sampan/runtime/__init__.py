"""What is a container?  Namespaces, a cgroup, a root file system and a process, made to order.

Reading order: ``base`` (the verbs every runtime has), ``native`` (our own: overlayfs, conmon, runc or crun),
``images`` (where a root file system comes from).
"""

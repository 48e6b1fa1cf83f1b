"""Where do a pod's files come from?  One file per kind of volume.

Read ``base`` first, then a kind (``empty_dir`` is the simplest, ``projected`` the richest).  ``pod_volumes`` sets up,
refreshes and takes down all volumes of one pod; ``atomic_writer`` changes many files as one, ``subpath`` keeps
``subPath`` inside its volume, ``mounts`` is the kernel's side.
"""

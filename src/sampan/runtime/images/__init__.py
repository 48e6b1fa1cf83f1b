"""Where does a root file system come from?  One store of images per machine, shared by all its nodes and clusters.

Reading order: ``reference`` (what a name means), ``store`` (what is kept where), ``unpack`` (a layer's tar becomes a
directory that overlayfs can use), then the three sources: ``registry``, ``importing``, ``build``.
"""

"""``python -m sampan``: the same as the ``sampan`` command."""

from sampan.cli.main import main

main()

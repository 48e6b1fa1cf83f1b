"""The ``sampan`` command: one file per verb, and nothing in it that a library user could not call.

A command parses its options, calls ``cluster`` (or the room that knows), and prints. Modules are imported inside the
commands: ``sampan --help`` must not load a web server.
"""

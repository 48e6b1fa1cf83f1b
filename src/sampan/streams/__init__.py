"""How do bytes travel in exec, attach and port-forward?

A request is upgraded (``handshake``), then several streams share one connection: by SPDY/3.1 (``spdy``, kubectl up to
1.28) or by WebSocket messages whose first byte is a channel (``websocket``, kubectl from 1.29 on).  Both are sans-I/O:
bytes in give events, calls give bytes out.  ``session`` drives them over a connection; ``remote_command`` joins a
session to a process of the runtime, ``port_forward`` to TCP connections inside a pod.

Read in this order: handshake, spdy, websocket, session, remote_command, port_forward.
"""

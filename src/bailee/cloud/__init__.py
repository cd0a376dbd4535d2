"""Cloud sessions: an agent at work in a virtual machine of its own, which has no network card.

`ports.py` says how the parts meet. A machine (`machine/`, made from an image, `image/`) offers the
programs inside a few addresses on its own loopback; each connection to one of them comes out on
the host as a stream and is handed to what serves it: the egress proxy (`egress/`), the git proxy
(`git/`), the gateway. `sessions/` leads a session from its start to the destruction of its machine.

Rows: C1, C2, C3, C4, C5.
"""

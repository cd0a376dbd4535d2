"""One home, open: its stores, the services over them, and the sweep. Nothing here knows who asks.

`node` wires them; `sweeping`, `erasing`, `minding`, `verifying` are what is done to all of them.
"""

from bailee.node.node import Node

__all__ = ["Node"]

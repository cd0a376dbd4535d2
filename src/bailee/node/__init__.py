"""One home, open: its stores, the services over them, and the sweep. Nothing here knows who asks.

`node` wires them; `sweeping`, `erasing`, `minding`, `verifying` are what is done to all of them.

What is named here is imported when it is asked for: who reads a home beside the process that has it
(`reader`) needs none of that.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bailee.node.node import Node
else:

    def __getattr__(name: str) -> object:
        if name != "Node":
            raise AttributeError(name)
        from bailee.node.node import Node

        globals()[name] = Node
        return Node


__all__ = ["Node"]

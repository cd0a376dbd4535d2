"""The only place where the parts are wired together.

`node` opens everything that one home holds, `operations` is what a person can ask of it, `access`
is what the gateway asks of it, `serve` is `bailee up`, `schedule` what it does by itself.
"""

from bailee.app.arguments import at_terminal
from bailee.app.node import Node
from bailee.app.operations import perform

__all__ = ["Node", "at_terminal", "perform"]

"""What is known of the APIs in which clients talk with models: one module for each. Pure.

`reading` takes a captured exchange apart. The assemblies (`messages`, `converse`, `responses`,
`chat`, `gemini`) make of a stream the document that it stands for; `naming` says which session and
agent an exchange is of. What an entry of a conversation says is in `bailee.items`, which the vault
can read too.

Nothing here has a clock, a socket, a key or a database, and nothing raises on what came from
outside but `BeyondBound`, which `reading` takes.
"""

from __future__ import annotations

from bailee.api import Api
from bailee.items.view import view

__all__ = ["Api", "view"]

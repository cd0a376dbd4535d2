"""What telemetry may hold: every field declared, everything else refused, at both ends.

`registry.toml` declares the fields; `load` reads it; `Guard` holds payloads to it. The client uses
the same three before it sends as the server does before it stores.

Rows: S1, S2.
"""

from bailee.registry.guard import Dropped, Guard, Refusals
from bailee.registry.registry import Field, Measure, Registry, load, read
from bailee.registry.values import OTHER

__all__ = [
    "OTHER",
    "Dropped",
    "Field",
    "Guard",
    "Measure",
    "Refusals",
    "Registry",
    "load",
    "read",
]

"""The named keys that every open home asks for: so they are read, and of a new one made, together.

Each belongs to the module that asks for it by the same name. One that is not here is read, or made,
by itself when it is first asked for.
"""

from __future__ import annotations

from typing import Final

NAMED_KEYS: Final = (
    "data/rows",
    "people",
    "ledger/signing",
    "ledger/signing/ml-dsa-44",
    "ledger/history",
    "vault/tombstones",
    "vault/conversations",
    "vault/identifiers",
    "feedback/sent",
    "feedback/withdrawal",
    "telemetry/issues",
)

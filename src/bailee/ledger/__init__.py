"""The audit record: what was decided, released and destroyed.

Rows: P4 (the append port; tree and proofs are not here yet).
"""

from bailee.ledger.ledger import Append, Leaf, Ledger, Sealing

__all__ = ["Append", "Leaf", "Ledger", "Sealing"]

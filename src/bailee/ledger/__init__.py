"""The audit record: what was decided, released and destroyed; and its tree, which shows that.

Rows: P4.
"""

from bailee.ledger.cosigning import Cosigning
from bailee.ledger.folder import Folder
from bailee.ledger.ledger import Append, Leaf, Ledger, Sealing
from bailee.ledger.sequencing import Sequencer

__all__ = ["Append", "Cosigning", "Folder", "Leaf", "Ledger", "Sealing", "Sequencer"]

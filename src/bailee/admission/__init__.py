"""Who is let in at a listener, before anything is known of them but an address; and how much of the
process what is let in may take.

One instance of `Connections` for each listener; `descriptors` is asked once, at the start.
"""

from bailee.admission.connections import ConnectionLimits, Connections, address_group
from bailee.admission.descriptors import Descriptors, raise_limit, share_out
from bailee.admission.disk import OnDisk, floor, stores
from bailee.admission.rounds import Rounds
from bailee.admission.shares import PIECE, Held, Over, ShareLimits, Shares, Unsealed

__all__ = [
    "PIECE",
    "ConnectionLimits",
    "Connections",
    "Descriptors",
    "Held",
    "OnDisk",
    "Over",
    "Rounds",
    "ShareLimits",
    "Shares",
    "Unsealed",
    "address_group",
    "floor",
    "raise_limit",
    "share_out",
    "stores",
]

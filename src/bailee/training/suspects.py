"""Which sessions end their workers, and are left out so that an export comes to its end. Pure.

Rules kept here:

* A worker can end by itself: a session is left out when it was in hand twice. The shard is tried
  again either way.
* No more than `MOST` are left out of one export: a defect that ends every worker must not empty a
  dataset in silence.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

MOST: Final = 100
_TWICE: Final = 2


class Suspects:
    """Of one export, while it is carried out. `Exporting` owns it: it notes on its thread, and the
    leases' threads ask.
    """

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()
        self._left_out: set[str] = set()

    def __contains__(self, session: object) -> bool:
        """Whether a session is left out."""
        return session in self._left_out

    def __len__(self) -> int:
        """How many are left out."""
        return len(self._left_out)

    def note(self, session: str) -> bool:
        """A worker ended with this session in hand. True: from now it is left out."""
        self._times[session] += 1
        if self._times[session] < _TWICE or len(self._left_out) >= MOST:
            return False
        self._left_out.add(session)
        return True

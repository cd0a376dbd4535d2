"""One bound for all together, in which nobody's place depends on how many others there are.

Rules kept here:

* Up to `most` whoever comes first has it.
* Beyond that, who has more than a little gets nothing new: they have their part, whoever else is
  there. Who has little still gets a little, of a second room as large as the first. So it takes
  more accounts than `PARTS` to keep out one more, and what all take is at most twice `most`.
* A little is one `PARTS`th of `most`, and one at the least.

It counts and says who; it refuses nobody. It may be called from any thread.

Rows: G1.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final, Literal

PARTS: Final = 256


class Together:
    """What all take of one bound, by whose it is. Who enforces the bound owns it: a door, a
    journal, what passes rows on. Any thread. It refuses nobody: `over` says, and the owner refuses.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._little = max(1, most // PARTS)
        self._lock = threading.Lock()  # who changes these two; they are read without
        self._of: Counter[str] = Counter()
        self._all = 0

    @property
    def all(self) -> int:
        """What all take."""
        return self._all

    def of(self, name: str) -> int:
        """What one of them takes."""
        return self._of.get(name, 0)

    def over(self, name: str, more: int = 0) -> Literal["", "own", "all"]:
        """Whether `more` of `name` is too much; "own": since they have more than a little, "all":
        since not even a little is left.
        """
        taken = self._all + more
        if taken <= self._most:
            return ""
        if self.of(name) + more > self._little:
            return "own"
        return "all" if taken > 2 * self._most else ""

    def add(self, name: str, amount: int) -> None:
        """It is taken."""
        with self._lock:
            self._of[name] += amount
            self._all += amount

    def less(self, name: str, amount: int) -> None:
        """It is given back."""
        with self._lock:
            self._all -= amount
            self._of[name] -= amount
            if not self._of[name]:
                del self._of[name]

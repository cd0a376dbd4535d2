"""Whose request begins next when several accounts want more than one thread can do.

Pure, but for `soon`: a callable that calls back at the loop's next turn.

Rules kept here:

* While one account alone is there, whatever it sends begins at once.
* Otherwise each account begins at most `most` requests in a turn of the loop; what is more waits
  for the next turn, in the order in which it came, the keys of an account one after the other. So
  another account's request stands behind a few of them, never behind all.
* Nothing waits while there is nobody else: a turn is as long as what is done in it.

Rows: G1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

_MOST: Final = 4

Go = Callable[[], None]


class Rounds:
    """See the module. All methods are called on one event loop's thread. Who is not known is one
    account, of the empty name.
    """

    def __init__(self, soon: Callable[[Go], object], most: int = _MOST) -> None:
        self._soon = soon
        self._most = most
        self._seen: set[str] = set()
        self._crowded = False
        self._begun: dict[str, int] = {}
        self._queues: dict[str, dict[str, deque[Go]]] = {}

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return sum(len(queue) for keys in self._queues.values() for queue in keys.values())

    def begins(self, account: str) -> bool:
        """Whether a request begins now; otherwise its caller goes on with `wait`."""
        if not self._crowded:
            self._seen.add(account)
            self._crowded = len(self._seen) > 1
            return True
        self._seen.add(account)
        begun = self._begun
        count = begun.get(account, 0)
        if count >= self._most or account in self._queues:
            return False
        if not begun:
            self._soon(self._turn)
        begun[account] = count + 1
        return True

    def wait(self, account: str, key: str, go: Go) -> None:
        """`go` is called when the request's turn comes."""
        if not (self._begun or self._queues):
            self._soon(self._turn)
        self._queues.setdefault(account, {}).setdefault(key, deque()).append(go)

    def look(self) -> None:
        """Called now and then: forgets who was there before the last time."""
        self._crowded = len(self._seen) > 1
        self._seen.clear()

    def _turn(self) -> None:
        self._begun.clear()
        if not self._queues:
            return
        due: list[Go] = []
        for account, keys in tuple(self._queues.items()):
            for _ in range(self._most):
                key = next(iter(keys))
                queue = keys.pop(key)
                due.append(queue.popleft())
                if queue:
                    keys[key] = queue  # behind the account's other keys
                if not keys:
                    del self._queues[account]
                    break
            self._begun[account] = self._most
        self._soon(self._turn)
        for go in due:
            go()

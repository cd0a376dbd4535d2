"""What makes sessions' indexes of words in the background of a server: one thread.

What is to be done stands in the database (`bailee.vault.indexing`), so what was under way when the
process ended is gone on with at the next start.

Rows: O8.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from bailee.errors import BaileeError
from bailee.lasting import Lasting
from bailee.node.stores import Stores

_IDLE_SECONDS: Final = 3.0
_AGAIN_SECONDS: Final = 30.0
_SHARE: Final = 4.0  # it rests so many times as long as it worked
_SHARE_BUSY: Final = 24.0  # the same while exchanges wait to be sealed


def rest_after(worked: float, *, busy: bool) -> float:
    """Seconds to rest after so many seconds of work. `busy`: exchanges wait to be sealed."""
    return max(0.01, worked * (_SHARE_BUSY if busy else _SHARE))


class WordMaker:
    """Makes a node's indexes of words from `start` to `stop`.

    It owns the thread `words`, and takes a fifth of a processor at the most, a twenty-fifth while
    exchanges come; the server starts and stops it. Nobody waits for it: who lists or searches has
    taken up what they ask for.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._ending = threading.Event()
        self.thread = Lasting("words", self._run)

    def start(self) -> None:
        """Take up what was left, and whatever comes from now on."""
        self.thread.start()

    def stop(self) -> None:
        """Stop after the present portion."""
        self._ending.set()
        self.thread.join()

    def _run(self) -> None:
        rest = _IDLE_SECONDS
        while not self._ending.wait(rest):
            began = time.thread_time()
            try:
                more = self._stores.vault.indexing.work(self._stores.clock())
            except BaileeError:  # a store that fails is tried again; whoever needs it says so
                rest = _AGAIN_SECONDS
                continue
            worked = time.thread_time() - began
            busy = bool(self._stores.vault.unfiled())
            rest = rest_after(worked, busy=busy) if more else _IDLE_SECONDS

"""What lets sessions follow a choice in the background of a server: one thread, woken by a choice.

The queue is in the database (`bailee.vault.moving`), so a move that was under way when the process
ended is gone on with at the next start, here or by the sweep.

Rows: R4.
"""

from __future__ import annotations

import threading
from contextlib import suppress

from bailee.errors import BaileeError
from bailee.lasting import Lasting
from bailee.node.stores import Stores

_AGAIN_SECONDS = 30.0


class Mover:
    """Carries out a node's moves from `start` to `stop`.

    It owns the thread `mover`, and moves on it; the server starts and stops it, a choice calls
    `wake` on its own thread. It decides nothing: where a session moves to is said by the vault.
    """

    def __init__(self, stores: Stores, again_seconds: float = _AGAIN_SECONDS) -> None:
        self._stores = stores
        self._again = again_seconds
        self._wake = threading.Event()
        self._ending = threading.Event()
        self.thread = Lasting("mover", self._run)

    def start(self) -> None:
        """Take up what was left unfinished, and whatever is asked for from now on."""
        self.wake()
        self.thread.start()

    def wake(self) -> None:
        """Something is asked for."""
        self._wake.set()

    def stop(self) -> None:
        """Stop after the present portion."""
        self._ending.set()
        self._wake.set()
        self.thread.join()

    def _run(self) -> None:
        patience = None
        while True:
            self._wake.wait(patience)
            self._wake.clear()
            if self._ending.is_set():
                return
            try:
                self._stores.vault.moving.run(self._stores.clock(), self._ending.is_set)
                patience = None
            except Exception as error:  # a store that fails is tried again, and so is a defect
                code = error.code if isinstance(error, BaileeError) else "internal"
                with suppress(BaileeError):
                    self._stores.ledger.append("retention.move_failed", "moves", {"error": code})
                patience = self._again

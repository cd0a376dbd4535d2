"""What has a server's witnesses asked: one thread, which asks after the log has grown.

Not on the way of anything: an entry is a leaf, and its checkpoint published, before it begins. It
asks at most every few seconds, however fast the log grows, and those that failed after a while.

Rows: P4.
"""

from __future__ import annotations

import threading
from typing import Final

from bailee.app.said import Say, to_stderr
from bailee.errors import BaileeError
from bailee.lasting import Lasting
from bailee.ledger import Cosigning, Sequencer

_BETWEEN: Final = 5.0
_LOOK: Final = 30.0


class AskingWitnesses:
    """Has a home's log cosigned from `start` to `stop`; where no witness is named, it does nothing.
    The home stays open until `stop` has returned.

    It owns the thread `witnesses`, and asks on it; the server starts and stops it. It signs
    nothing.
    """

    def __init__(self, sequencer: Sequencer, cosigning: Cosigning, say: Say = to_stderr) -> None:
        self._signed = sequencer.signed
        self._cosigning = cosigning
        self._say = say
        self._ending = threading.Event()
        self.thread = Lasting("witnesses", self._run)

    def start(self) -> None:
        """Begin with the checkpoint that is there."""
        if self._cosigning.asks:
            self.thread.start()

    def stop(self) -> None:
        """Stop after the present round, whose time is bounded."""
        self._ending.set()
        self._signed.set()
        self.thread.join()

    def _run(self) -> None:
        said = None
        while not self._ending.is_set():
            try:
                self._cosigning.run()
            except BaileeError as error:  # of our own files: the sequencer's error too
                if said != error.message:
                    self._say(f"bailee: the log can't be cosigned: {error.message}")
                said = error.message
            else:
                said = None
            self._ending.wait(_BETWEEN)
            self._signed.wait(_LOOK)
            self._signed.clear()

"""What has a server's sequencer run: one thread, which takes up what a second brought at once.

What fails is tried again. Entries wait for their leaves meanwhile, and nothing else does.

Rows: P4.
"""

from __future__ import annotations

import threading
from typing import Final

from bailee.app.said import Say, to_stderr
from bailee.errors import BaileeError
from bailee.lasting import Lasting
from bailee.ledger import Sequencer

_BATCH: Final = 1.0
_AGAIN: Final = 30.0
_LOOK: Final = 60.0


class Sequencing:
    """Runs a home's sequencer from `start` to `stop`; what comes after is taken up by its close.

    It owns the thread `sequencer`, and runs it there; the server starts and stops it. It signs
    nothing itself, and nobody waits for it.
    """

    def __init__(
        self, sequencer: Sequencer, say: Say = to_stderr, again_seconds: float = _AGAIN
    ) -> None:
        self._sequencer = sequencer
        self._say = say
        self._again = again_seconds
        self._ending = threading.Event()
        self.thread = Lasting("sequencer", self._run)

    def start(self) -> None:
        """Take up what an earlier process left, and what comes from now on."""
        self._sequencer.noted()
        self.thread.start()

    def stop(self) -> None:
        """Stop after the present batch."""
        self._ending.set()
        self._sequencer.noted()
        self.thread.join()

    def _run(self) -> None:
        said = None
        while not self._ending.is_set():
            if not self._sequencer.wait(_LOOK) or self._ending.wait(_BATCH):
                continue
            try:
                self._sequencer.run()
            except BaileeError as error:
                if said != error.message:
                    hint = f" hint: {error.hint}" if error.hint else ""
                    self._say(f"bailee: the log does not grow: {error.message}{hint}")
                said = error.message
                self._ending.wait(self._again)
            else:
                said = None

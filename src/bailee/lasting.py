"""A thread of a server that is to last: where a defect has ended it, it begins anew.

Rules kept here:

* A thread whose function has returned is over; one whose function has raised has ended by a defect.
* What had it in hand answers those who wait (its owner's `finally`); nothing here knows of that.
* Of the defect, only its class is told: a message may hold what it was about.

Used from any thread, by one that watches (`app.watch`).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable


class Lasting:
    """Runs a function in a thread from `start` until it returns, again after each `revive`."""

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self.name = name
        self._function = run
        self._over = False
        self._thread: threading.Thread | None = None
        self._one = threading.Lock()

    def start(self) -> None:
        """Begin.

        Raises:
            RuntimeError: the machine has no more threads.
        """
        thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        thread.start()
        self._thread = thread

    def revive(self) -> bool:
        """Begin anew where a defect has ended it; whether one had. Where it can't begin, it is
        found ended again.
        """
        with self._one:
            if not self.ended:
                return False
            with contextlib.suppress(RuntimeError):  # no more threads: the next look tries again
                self.start()
            return True

    @property
    def ended(self) -> bool:
        """Whether a defect has ended it."""
        thread = self._thread
        return thread is not None and not thread.is_alive() and not self._over

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._thread is not None and self._thread.is_alive()

    def join(self, seconds: float | None = None) -> None:
        """Wait for its end; at once back if it never began."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        self._function()
        self._over = True

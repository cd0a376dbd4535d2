"""How a gateway of its own stands, and its threads: looked at every few seconds, and said.

What makes it not ready is in `promise`. A thread that a defect has ended begins anew; whoever asks
for the gateway's health gets the same answer as standard error.

Rows: O5, O6.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final

from bailee.app import promise
from bailee.app.promise import GatewayStanding, Reason
from bailee.app.said import Say, to_stderr
from bailee.health import Health
from bailee.lasting import Lasting

_EVERY: Final = 5.0


class GatewayWatch:
    """Watches a gateway of its own, from `start` to `stop`. The role owns it; it looks on its
    thread `watch`, and `health` is for any thread. It stops no request.
    """

    def __init__(
        self,
        *,
        confirmed: Callable[[], bool],
        joined: Callable[[], bool],
        records: Callable[[], bool],
        unheld: Callable[[], float],
        threads: Callable[[], Iterable[Lasting]],
        say: Say = to_stderr,
    ) -> None:
        """As `GatewayStanding` has them, each asked on any thread. `threads`: those that are to
        last.
        """
        self._confirmed = confirmed
        self._joined = joined
        self._records = records
        self._unheld = unheld
        self._threads = threads
        self._say = say
        self._draining = False
        # The watch's thread's to change.
        self._ended: set[str] = set()
        self._again: set[str] = set()
        self._reasons: tuple[Reason, ...] = ()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Watch."""
        self._thread.start()

    def drain(self) -> None:
        """It is about to stop: from now on it is not ready. On any thread."""
        self._draining = True

    def stop(self) -> None:
        """Watch no more."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()

    def health(self) -> Health:
        """How it stands."""
        return promise.health(promise.gateway_reasons(self._standing()))

    def look(self) -> None:
        """Look once: begin anew what has ended, and say what has changed."""
        ended = {thread.name for thread in self._threads() if thread.revive()}
        for name in sorted(ended - self._again):
            self._say(f"bailee: the {name}'s thread had ended by a defect, and begins anew")
        self._ended, self._again = ended, ended & self._ended
        found = tuple(
            reason
            for reason in promise.gateway_reasons(self._standing())
            if reason is not Reason.DRAINING  # which it was told to
        )
        before, self._reasons = self._reasons, found
        for reason in found:
            if reason not in before:
                how = "alert" if reason in promise.ALERTS else "not ready"
                self._say(f"bailee: {how} ({reason}): {promise.IN_WORDS[reason]}")
        for gone in before:
            if gone not in found:
                self._say(f"bailee: no longer {gone}")

    # -- inside ----------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ending.wait(_EVERY):
            try:
                self.look()
            except Exception as error:  # whoever watches must not end
                self._say(f"bailee: the watch failed ({type(error).__name__})")

    def _standing(self) -> GatewayStanding:
        return GatewayStanding(
            confirmed=self._confirmed(),
            joined=self._joined(),
            records=self._records(),
            unheld=self._unheld(),
            lasting=not self._again,
            draining=self._draining,
        )

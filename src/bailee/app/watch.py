"""The watchdog on a server's promise: it looks every few seconds, acts, and says so.

What it looks at and the bounds are in `promise`. Past a bound it has the sweep run, or begins
anew the thread that has ended, and says so on standard error and in the audit record; whoever asks
for the server's health, the console's pages and `bailee retention report` get the same answer.

Rows: R5.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bailee.app import promise
from bailee.app.disk_beside import say_low
from bailee.app.promise import Reason, ServerStanding
from bailee.app.said import Say, to_stderr
from bailee.app.schedule import Schedule
from bailee.clock import Ticks, ticks
from bailee.errors import BaileeError
from bailee.health import Health
from bailee.lasting import Lasting
from bailee.node.node import Node
from bailee.node.sweeping import SEALING, NodeSweep

_EVERY: Final = 5.0
_QUIET: Final = 10.0  # that a start may take before it says what it waits for


@dataclass(frozen=True, slots=True)
class Done:
    """How many sweeps there were, and how many keys of epochs and rows of sessions went."""

    sweeps: int = 0
    keys: int = 0
    sessions: int = 0


class Watch:
    """Watches a node and its schedule, from `start` to `stop`.

    The server owns it. It looks on the thread `watch`, and is told of each sweep on the schedule's;
    `health` is for any thread. It ends nothing that works and stops no request: it has sweeps made,
    ended threads begun anew, and says so.
    """

    def __init__(
        self,
        node: Node,
        every: float,
        *,
        say: Say = to_stderr,
        ready: Callable[[], None] = lambda: None,
        ticking: Ticks = ticks,
        low: Callable[[], bool] = lambda: False,
        unstreamed: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`every`: seconds between sweeps. `ready` is called once, when the first sweep has done
        what it is for, in another thread. `low`, `unstreamed`: as `ServerStanding` has them, asked
        on any thread.
        """
        self._node = node
        self._say = say
        self._ready = ready
        self._ticks = ticking
        self._low = low
        self._said_low: bool | None = None  # since this process began: unknown
        self._unstreamed = unstreamed
        self._draining = False
        self.done = Done()
        """What the sweeps have done since the start; replaced as a whole, on the schedule's thread.
        """
        self.schedule = Schedule(node.sweeping, node.clock, every, self._swept, ticking=ticking)
        self._began = ticking()
        self._begun = False  # set by the watch's thread or the schedule's, whichever sees it first
        # These are the watch's thread's to change; `health` reads them on any.
        self._rotation_since: float | None = None
        self._overdue = 0
        self._keyring = True
        self._threads: list[Lasting] = []
        self._ended: set[str] = set()  # threads that had ended when last looked at
        self._again: set[str] = set()  # those that had the time before, too
        self._reasons: tuple[Reason, ...] = ()
        self._said: dict[str, str] = {}  # the schedule's thread's alone
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Sweep, and watch."""
        self.schedule.start()
        self._thread.start()

    def mind(self, threads: Iterable[Lasting]) -> None:
        """Watch these threads too: what the node has are watched anyway. Before `start`."""
        self._threads += threads

    def drain(self) -> None:
        """The server is about to stop: from now on it is not ready. On any thread."""
        self._draining = True

    def stop(self) -> None:
        """Stop both; the sweep that runs comes to its end, ten seconds at most."""
        self._ending.set()
        self._node.vault.hurry()
        self.schedule.stop()
        if self._thread.ident is not None:
            self._thread.join()

    def health(self) -> Health:
        """How the server stands."""
        return promise.health(promise.reasons(self._standing()), self._node.sweeping.failing)

    def look(self) -> None:
        """Look once, act on what is late, and say what has changed."""
        self._look_at_threads()
        if self._node.sweeping.kept:  # by a command, when the schedule's own failed
            self._begin()
        self._look_at_rotation()
        self._look_at_requests()
        self._say_low()
        slow = self._ticks() - self._began > _QUIET
        left_out = {Reason.DRAINING}  # which it was told to
        if not slow:
            left_out.add(Reason.STARTING)
        standing = promise.reasons(self._standing())
        found = tuple(reason for reason in standing if reason not in left_out)
        before, self._reasons = self._reasons, found
        if {Reason.SWEEP_LATE, Reason.ROTATION_LATE} & (set(found) - set(before)):
            self.schedule.sweep_soon()  # from then on it is tried again as any that failed
        for reason in found:
            if reason not in before:
                self._late(reason)
        for reason in before:
            if reason not in found:
                self._restored(reason)

    # -- inside ----------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ending.wait(_EVERY):
            try:
                self.look()
            except Exception as error:  # whoever watches must not end
                self._say(f"bailee: the watch failed ({type(error).__name__})")

    def _standing(self) -> ServerStanding:
        since = self._rotation_since
        return ServerStanding(
            begun=self._begun,
            records=self._node.vault.spool.failure is None,
            unswept=self._node.sweeping.unswept(),
            unrotated=0.0 if since is None else self._ticks() - since,
            unsealed=self._node.vault.stalled(),
            lasting=not self._again,
            unwitnessed=self._node.cosigning.unwitnessed(),
            overdue=self._overdue,
            draining=self._draining,
            keyring=self._keyring,
            low=self._low(),
            unstreamed=self._unstreamed(),
        )

    def _look_at_threads(self) -> None:
        threads = [self.schedule.thread, *self._node.threads(), *self._threads]
        ended = {thread.name for thread in threads if thread.revive()}
        for name in sorted(ended - self._again):
            self._revived(name)
        self._ended, self._again = ended, ended & self._ended

    def _look_at_rotation(self) -> None:
        try:
            due = self._node.vault.rotation_due(self._node.clock())
        except BaileeError:
            self._keyring = False
            return  # what it was counts on
        self._keyring = True
        if not due:
            self._rotation_since = None
        elif self._rotation_since is None:
            self._rotation_since = self._ticks()

    def _look_at_requests(self) -> None:
        """Whoever asks how the server stands does so on the loop, where no table is read."""
        with suppress(BaileeError):  # what was found counts on
            self._overdue, _ = self._node.cases.late(self._node.clock())

    def _say_low(self) -> None:
        """Gateways beside refuse by it whom the server's own does."""
        low = self._low()
        if low != self._said_low:
            with suppress(BaileeError), self._node.room.deleting():  # the next look says it
                say_low(self._node.data, low, self._node.clock)
                self._said_low = low

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._ready()

    def _swept(self, done: NodeSweep) -> None:
        """A sweep has ended: say what fails from now on, and what no longer does."""
        before, swept = self.done, done.sessions
        self.done = Done(
            before.sweeps + 1, before.keys + swept.keks, before.sessions + swept.sessions
        )
        if done.kept or done.sessions.waits:
            self._begin()
        failing = {
            name: f"{error.message} hint: {error.hint}" if error.hint else error.message
            for name, error in done.failures.items()
            if name != SEALING
        }
        for name, words in failing.items():
            if self._said.get(name) != words:
                self._say(f"bailee: the sweep's step {name!r} fails: {words}")
        for name in self._said:
            if name not in failing:
                self._say(f"bailee: the sweep's step {name!r} succeeds again")
        self._said = failing

    def _late(self, reason: Reason) -> None:
        how = "alert" if reason in promise.ALERTS else "not ready"
        self._say(f"bailee: {how} ({reason}): {promise.IN_WORDS[reason]}")
        if reason in promise.BOUNDS:
            self._enter("watch.late", reason, {"bound": promise.BOUNDS[reason]})

    def _restored(self, reason: Reason) -> None:
        self._say(f"bailee: no longer {reason}")
        if reason in promise.BOUNDS:
            self._enter("watch.restored", reason, {})

    def _revived(self, thread: str) -> None:
        self._say(f"bailee: the {thread}'s thread had ended by a defect, and begins anew")
        self._enter("watch.revived", thread, {})

    def _enter(self, kind: str, subject: str, body: dict[str, float]) -> None:
        with suppress(BaileeError):  # the store that fails may be the record's own
            self._node.ledger.append(kind, subject, body)

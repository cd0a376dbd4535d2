"""Passing rows on to somebody's address: durable before the sender's answer, tried until taken.

Theory of operation: rows are written into a journal of their own, as those that are stored here.
Every second what it holds is closed into a file; one thread sends the files, oldest first, and
removes each when all of it was taken.

Rules kept here:

* Only rows that passed the guard come here, and they are as encrypted while they wait as those that
  stay: past the policy's period their key is destroyed, and what is not delivered by then never is.
* What is not taken is tried again after 1 second, 2, 4 … up to 5 minutes, or when the address says.
  A refusal (any 4xx but 408, 425 and 429) is final: noted in the audit record, and let go.
* Something may arrive twice (after a crash, or when an answer is lost), but is not lost.
* What the policy document lets be passed on no more (another one holds) is sent no more, and what
  waits of it is removed: noted in the audit record.
* What waits is bounded on disk; beyond that a sender of whom more than a little waits is told to
  come later (`over_share`), and others when not even a little is left (`overloaded`). What an
  earlier process left counts to all, as nobody's.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from bailee.admission.together import Together
from bailee.clock import Clock
from bailee.errors import InputError, IntegrityError, StorageError
from bailee.keyring import Keyring
from bailee.lasting import Lasting
from bailee.outbound.network import Network, NoAnswer
from bailee.telemetry import journal, outward
from bailee.telemetry.destinations import Address
from bailee.telemetry.journal import Batch, Journal, check_room, size_of
from bailee.telemetry.records import DataClass, Row
from bailee.telemetry.shelves import shelf_of
from bailee.vault.files import Files
from bailee.vault.frames import Damage

_log = logging.getLogger("bailee.telemetry")
_LINGER: Final = 1.0
_LONGEST: Final = 300.0
_MOST_WAITING: Final = 256 << 20
_FILE_BYTES: Final = 1 << 20
_SECONDS: Final = 60  # for all of a request
_AGAIN: Final = frozenset({408, 425, 429})

Post = Callable[[outward.OutwardRequest], tuple[int, str | None]]
"""Sends a request: the status (0: no answer) and Retry-After."""


@dataclass(slots=True)
class ForwardingState:
    """How it goes. `failing_since`: when an attempt first failed since the last that did not. The
    forwarder's thread writes it; any thread may read it.
    """

    delivered: int = 0
    refused: int = 0
    status: int | None = None
    failing_since: datetime | None = None


class Forwarder:
    """Passes the rows of one class on to one address, from opening to `close`.

    `Telemetry` owns it and calls it: `append` on the ingest's event loop, the rest from any other
    thread. It owns its journal and a thread, which alone sends. It never sees what the guard
    dropped, and stores nothing for good.
    """

    def __init__(
        self,
        data_class: DataClass,
        to: Address,
        folder: Path,
        *,
        keyring: Keyring,
        clock: Clock,
        common: frozenset[str],
        record: Callable[[str, str, dict[str, str | int]], object],
        goes_on: Callable[[], bool] = lambda: True,
        left: Callable[[int], object] = lambda _: None,
        files: Files | None = None,
        post: Post | None = None,
        pause: float = 1.0,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        """`folder` has one for each class; `common`: the fields that are a resource's; `goes_on`:
        whether the policy document lets it be passed on, asked before each request; `pause`:
        seconds before the second try; `left` is told the bytes of each request before it is sent,
        taken or not; `most_waiting`: bytes that may wait (`admission.together`).
        """
        self.data_class: Final = data_class
        self.to: Final = to
        self.state = ForwardingState()
        self._goes_on = goes_on
        self._folder = folder = folder / data_class
        self._keyring = keyring
        self._clock = clock
        self._common = common
        self._record = record
        self._left = left
        self._post = post or _posted
        self._pause = pause
        self._queue: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._sizes: dict[str, int] = {}
        self._waiting = Together(most_waiting)
        self._counting = threading.Lock()  # while `_since` grows, or is given to a file
        self._since: Counter[str] = Counter()  # of whom, since a file was last closed
        self._parts: dict[str, Counter[str]] = {}  # of whom, by file
        self._dirty = threading.Event()
        self._stopping = threading.Event()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in sorted(folder.iterdir(), key=lambda path: path.name.rpartition("~")[2]):
            self._since[""] = path.stat().st_size
            self._waiting.add("", self._since[""])
            self._closed(path.name)
        self._journal = Journal(
            folder, keyring, clock, self._closed, files=files, file_bytes=_FILE_BYTES
        )
        self._thread = Lasting(f"forwarding of {data_class}s", self._run)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Bytes of closed files that are not delivered yet."""
        return sum(self._sizes.copy().values())

    async def append(self, batches: Sequence[Batch], sender: str) -> None:
        """Return when the batches of a sender are durable.

        Raises:
            InputError: `over_share`: too much of this sender's waits.
            StorageError: they are not; `overloaded` when too much waits in all.
        """
        self._check_room(batches, sender)
        await self._journal.append(batches, sender)
        self._appended(batches, sender)

    def append_now(self, batches: Sequence[Batch]) -> None:
        """The same for a thread that has no loop."""
        self._check_room(batches, "")
        self._journal.append_now(batches)
        self._appended(batches, "")

    def sweep(self, now: datetime) -> int:
        """Destroy what is past its time before it was delivered, and remove what may be passed on
        no more; how many files.
        """
        gone = 0
        for name in list(self._sizes):
            shelf = shelf_of(name)
            if shelf.expires_at <= now:
                self._keyring.destroy([shelf.subject])
                self._forget(name)
                gone += 1
        if gone:
            self._record("telemetry.undelivered", self.data_class, {"files": gone})
        return gone + (0 if self._goes_on() else self._let_go([*self._sizes]))

    def threads(self) -> list[Lasting]:
        """Its threads, for whoever watches."""
        return [self._thread, self._journal.thread]

    def close(self) -> None:
        """Write what waits, and stop; what is not delivered is at the next start."""
        self._stopping.set()
        self._dirty.set()
        self._thread.join()
        self._journal.close()

    # -- inside ----------------------------------------------------------------------------------

    def _check_room(self, batches: Sequence[Batch], sender: str) -> None:
        check_room(self._waiting, sender, size_of(batches), "be passed on")

    def _appended(self, batches: Sequence[Batch], sender: str) -> None:
        size = size_of(batches)
        self._waiting.add(sender, size)
        with self._counting:
            self._since[sender] += size
        self._dirty.set()

    def _closed(self, name: str) -> None:
        with self._counting:  # several files may be open: what they hold goes with the first
            self._parts[name], self._since = self._since, Counter()
        with contextlib.suppress(OSError):
            self._sizes[name] = (self._folder / name).stat().st_size
        self._queue.put(name)

    def _forget(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self._folder / name).unlink(missing_ok=True)
        self._sizes.pop(name, None)
        for sender, size in self._parts.pop(name, {}).items():
            self._waiting.less(sender, size)

    def _let_go(self, names: Sequence[str]) -> int:
        """Remove files that are not delivered, since the policy document lets nothing be passed on
        now; how many. Their key is the whole day's, and goes at its time.
        """
        gone = [name for name in names if name in self._sizes]
        for name in gone:
            self._forget(name)
        if gone:
            self._record("telemetry.undelivered", self.data_class, {"files": len(gone)})
        return len(gone)

    def _run(self) -> None:
        self._dirty.set()  # what came before a defect is not left lying
        while not self._stopping.is_set():
            try:
                name = self._queue.get_nowait()
            except queue.Empty:
                self._dirty.wait()
                if not self._stopping.wait(_LINGER):
                    self._dirty.clear()
                    self._journal.roll()
                continue
            try:
                if self._goes_on() and self._deliver(name):
                    self._forget(name)
                elif not self._goes_on():
                    self._let_go([name])
            except Exception as error:  # a defect in one file must not hold up all that follow
                self.state.failing_since = self.state.failing_since or self._clock()
                _log.error(
                    "a file can't be passed on until the next start: %s", type(error).__name__
                )

    def _deliver(self, name: str) -> bool:
        """Send all of a file; False when it stays for the next start."""
        try:
            read = list(journal.read(self._folder, name, self._keyring))
        except IntegrityError:
            return True  # its key is destroyed: nobody can have it any more
        except StorageError:
            return not (self._folder / name).exists()
        rows: list[Row] = [found for found in read if not isinstance(found, Damage)]
        new_id = lambda: secrets.token_hex(16)  # noqa: E731
        for request in outward.requests(self.to, rows, self._common, new_id):
            if not self._sent(request, shelf_of(name).expires_at):
                return False
        return True

    def _sent(self, request: outward.OutwardRequest, until: datetime) -> bool:
        pause = self._pause
        while not self._stopping.is_set() and self._clock() < until and self._goes_on():
            self._left(len(request.body))
            status, after = self._post(request)
            self.state.status = status
            if 200 <= status < 300:
                self.state.delivered += request.rows
                self.state.failing_since = None
                return True
            if 400 <= status < 500 and status not in _AGAIN:
                self.state.refused += request.rows
                self._record(
                    "telemetry.refused", self.data_class, {"status": status, "rows": request.rows}
                )
                return True
            if self.state.failing_since is None:
                self.state.failing_since = self._clock()
            self._stopping.wait(_seconds(after) or pause)
            pause = min(pause * 2, _LONGEST)
        return not self._stopping.is_set() and self._goes_on()


def _seconds(retry_after: str | None) -> float | None:
    if retry_after is None or not retry_after.isdecimal() or len(retry_after) > 6:
        return None
    return min(float(retry_after), _LONGEST)


def _posted(request: outward.OutwardRequest) -> tuple[int, str | None]:
    try:
        answer = Network.of().ask(
            "POST",
            request.url,
            content=request.body,
            headers=request.headers,
            what="where telemetry is passed on to",
            seconds=_SECONDS,
        )
    except (NoAnswer, InputError):
        return 0, None
    return answer.status, answer.headers.get("retry-after")

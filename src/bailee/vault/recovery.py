"""What an earlier process left in the spool, and what it may have ended at.

A process that is killed, or that the machine ends for want of memory, leaves frames that are not in
the index. The sealer takes them up behind a start that is ready already: it asks here what is in
each file, oldest first, and how warily to go; then they have their owners' turns (`turns`).

Rules kept here:

* Files are read in order, and frames within them. Owners have their turns, each in its own order,
  as they had before, both of the spool's lanes merged by when each ended (`turns`): so the frame at
  which a process ended is among the first few that are left of its owner's in one of the lanes.
  Each of those is tried alone, and is on disk as being tried (`RecoveryAttempt`) while it is
  interpreted.
* A frame that a process ended at while it was tried alone is sealed as the bytes that came, and
  reported. If that ends the process too, its bytes are put aside. Neither is tried again. A process
  also ends for reasons of its own, as when somebody kills it: a frame that is too small to have
  cost much (`_LARGE`) is given up only when process after process (`_ENDINGS`) has ended at it.
* What does not open is reported once, and put aside: a whole file, if it is its key.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from bailee.errors import IntegrityError, StorageError
from bailee.keeping.receipts import Record
from bailee.vault.progress import Progress
from bailee.vault.spool_reading import DamagedFrame, SpoolReader
from bailee.vault.spool_rows import is_members
from bailee.vault.spool_writing import Kept, is_large

WARY: Final = 64
WARY_BYTES: Final = 8 << 20
"""So many frames of each owner, and those that begin within so many bytes, are tried alone; the
sealer's batches are no larger.
"""

_LARGE: Final = 1 << 20
"""Bytes of a frame that can itself have been too much for the machine."""

WAITS: Final = 15 * 60.0
"""Seconds after an opening in which no key is destroyed by its time while something is left: it may
be a turn that came before its session's end, and moved that end. With an epoch's half hour and the
time between two sweeps that is within the hour (`app.promise`)."""

_ENDINGS: Final = 3
"""At a smaller frame so many processes end, one after the other, before it is given up."""


@dataclass(frozen=True, slots=True)
class Left:
    """In the sealer's queue: a spool file of an earlier process, and its size in bytes."""

    file: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What was found in the spool. `damaged`: what did not open, each also in the audit record;
    `abandoned`: files whose key had expired; `unopened`: files whose key does not open, put aside.
    """

    files: int
    exchanges: int
    damaged: tuple[DamagedFrame, ...]
    abandoned: int
    unopened: int = 0


class RecoveryStep(StrEnum):
    """How a frame is tried."""

    WHOLE = "whole"  # taken apart
    RAW = "raw"  # as the bytes that came
    ASIDE = "aside"  # not sealed at all


class RecoveryAttempt:
    """The frame that is being tried alone, on disk: who finds one at the start knows where the
    process before ended. Used by the sealer's thread.
    """

    def __init__(self, path: Path) -> None:
        """Raises: StorageError."""
        self._path = path
        self._place, self._step, self._endings = ("", ""), RecoveryStep.WHOLE, 0
        try:
            words = path.read_text("ascii").split()
        except FileNotFoundError:
            words = []
        except (OSError, ValueError) as error:
            raise _failed(error) from error
        if len(words) == 4 and words[2] in set(RecoveryStep) and words[3].isdecimal():
            self._place = (words[0], words[1])
            self._step, self._endings = RecoveryStep(words[2]), int(words[3])

    def step(self, kept: Kept) -> RecoveryStep:
        """How to try a frame, after what became of it before."""
        if self._place != _place(kept):
            return RecoveryStep.WHOLE
        if self._endings < (1 if kept.length > _LARGE else _ENDINGS):
            return self._step
        return RecoveryStep.RAW if self._step is RecoveryStep.WHOLE else RecoveryStep.ASIDE

    def begin(self, kept: Kept, step: RecoveryStep) -> None:
        """Put on disk that a frame is tried.

        Raises:
            StorageError: the disk failed.
        """
        again = (self._place, self._step) == (_place(kept), step)
        endings = self._endings + 1 if again else 1
        line = " ".join((*_place(kept), step, str(endings))).encode()
        try:
            made = not self._path.exists()
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, line, 0)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if made:
                folder = os.open(self._path.parent, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)
        except OSError as error:
            raise _failed(error) from error

    def end(self) -> None:
        """The frame did not end the process."""
        try:
            os.truncate(self._path, 0)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _failed(error) from error


class Recovery:
    """Reads what is left, and keeps count. Used by the sealer's thread, once it has begun."""

    def __init__(self, reader: SpoolReader, attempts: Path, record: Record) -> None:
        """Raises: StorageError."""
        self._reader = reader
        self._record = record
        reader.remove_sealed()
        # Members' may be written to all the while: `member_files` takes them up.
        self.files = tuple(name for name in reader.names() if not is_members(name))
        self.attempts = RecoveryAttempt(attempts)
        self._tried: Counter[tuple[str, bool]] = Counter()  # frames by owner and lane
        self._tried_bytes: Counter[tuple[str, bool]] = Counter()
        self._damaged: dict[tuple[str, int], DamagedFrame] = {}
        self._exchanges: dict[str, int] = {}
        self._abandoned: set[str] = set()
        self._unopened: set[str] = set()

    def wary(self, kept: Kept) -> bool:
        """Whether the next frame that is left is to be tried alone; counts it."""
        whose = kept.owner, is_large(kept.file)
        wary = self._tried[whose] < WARY and self._tried_bytes[whose] < WARY_BYTES
        self._tried[whose] += 1
        self._tried_bytes[whose] += kept.length
        return wary

    def report(self) -> RecoveryReport:
        """What was found, once all has been read; nothing when it is asked for again."""
        report = RecoveryReport(
            len(self.files),
            sum(self._exchanges.values()),
            tuple(self._damaged.values()),
            len(self._abandoned),
            len(self._unopened),
        )
        self.files = ()
        for found in (self._damaged, self._exchanges, self._abandoned, self._unopened):
            found.clear()
        return report

    def frames(self, file: str, sealed: Progress) -> Iterator[Kept]:
        """The frames of a file that are not sealed, in order. Can be repeated.

        Raises:
            StorageError: the file can't be read.
        """
        before = self._exchanges.get(file, 0)
        count = 0
        try:
            for found in self._reader.read(file):
                if isinstance(found, DamagedFrame):
                    self._note(found)
                elif found.sequence not in sealed:
                    count += 1
                    self._exchanges[file] = max(before, count)
                    yield found
        except IntegrityError:
            if self._reader.is_blank(file):
                return  # a crash came before its first use
            if not self._reader.expired(file):
                size = self._reader.quarantine_whole(file)
                self._record("vault.spool_unopened", file, {"bytes": size, "sealed": sealed.count})
                self._unopened.add(file)
            elif file not in self._abandoned:
                self._record("vault.spool_expired", file, {})
                self._abandoned.add(file)

    def named(self, file: str) -> list[tuple[int, str, str]]:
        """Of each frame of a file that opens, its number, the id and the owner of its exchange.

        Raises:
            StorageError: the file can't be read.
        """
        named: list[tuple[int, str, str]] = []
        with suppress(IntegrityError):  # its key does not open: nothing is taken from it
            for one in self._reader.read(file):
                if not isinstance(one, DamagedFrame):
                    exchange = one.exchange or self._reader.one(one)
                    named.append((one.sequence, exchange.exchange_id, exchange.owner))
        return named

    def put_aside(self, kept: Kept, error: str) -> None:
        """Put the bytes of a frame aside, and report it.

        Raises:
            StorageError: the disk failed.
        """
        self._reader.quarantine(kept.file, kept.offset, self._reader.bytes_of(kept))
        self._record(
            "vault.quarantined",
            kept.file,
            {"offset": kept.offset, "length": kept.length, "error": error},
        )

    def kept_as_bytes(self, kept: Kept) -> None:
        """Report that a frame is sealed as the bytes that came."""
        self._record(
            "vault.kept_as_bytes",
            kept.file,
            {"offset": kept.offset, "length": kept.length, "why": "ended_the_process"},
        )

    def _note(self, found: DamagedFrame) -> None:
        place = (found.file, found.offset)
        if place not in self._damaged:
            self._damaged[place] = found
            self._record(
                "vault.torn" if found.torn else "vault.damaged",
                found.file,
                {"offset": found.offset, "length": found.length},
            )


def _place(kept: Kept) -> tuple[str, str]:
    return kept.file, str(kept.sequence)


def _failed(error: Exception) -> StorageError:
    return StorageError(
        f"what was left in the spool can't be taken up ({type(error).__name__}).",
        hint="check the disk and the permissions of the home's vault folder",
    )

"""What members (`db.members`, `member_spool`) wrote into the spool, taken up by whoever has the
home: it reads what is new when it is told, and queues it for the sealer as its own spool does.

Rules kept here:

* It looks when a member says that something is new (`db.follower`), ten times a second at the most,
  and every two seconds whether one does or not: nothing depends on being told. Where it can't hear,
  or has not read all there was, it looks twice a second.
* A group is read once it is committed, whole; a file's in their order. What several files have that
  is new at one look is queued in the order in which it ended.
* A file goes once nothing more is written to it and all of it is sealed. Nothing more is written
  when its member says so; or when that is none any more: then its links are ended first.
* What is read is held in memory by the queue, up to its bound. Beyond, nothing more is read: it
  lies where it is durable, and `behind` says that there is more.
* A file in which something does not open is left alone until nothing more is written to it. Then it
  is gone through as one that an earlier process left (`recovery`): the damage is put aside and
  reported, and all else is filed, each once.
* Keys of a member that is gone are destroyed with its files, as all are.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from bailee.db import members
from bailee.db.follower import Notices
from bailee.errors import BaileeError, IntegrityError, StorageError
from bailee.keyring import Keyring
from bailee.lasting import Lasting
from bailee.vault.frames import HEADER_BYTES, Frame, decode, frame_length, scan
from bailee.vault.progress import Progress
from bailee.vault.recovery import Left
from bailee.vault.sealing_queue import SealingQueue
from bailee.vault.spool_reading import opener_of
from bailee.vault.spool_rows import MemberFile, SpoolRows
from bailee.vault.spool_writing import Kept, subject_of

_EVERY: Final = 0.5
_TOLD: Final = 2.0
_PACE: Final = 0.1
"""Seconds between two looks: where nobody says that there is something new, where they do and did
not, and where they do all the time.
"""
_MOST_FILES: Final = 1000  # of which a look knows; others come when some of these are gone
_CHUNK: Final = 4 << 20  # bytes that are read at once
_AT_ONCE: Final = 16 << 20  # bytes of a look
_ENDING: Final = 40.0


@dataclass(slots=True)
class _Followed:
    """A file that is taken up: how far it is read, and what of it was filed before this process."""

    sealed: Progress
    at: int = 0
    sequence: int = 0
    damaged: bool = False


class MemberFiles:
    """Takes up members' files, on its thread `members`. The vault makes it, begins it once it has
    taken up what an earlier process left, and closes it. Others ask from any thread.
    """

    def __init__(
        self,
        rows: SpoolRows,
        data: Engine,
        keyring: Keyring,
        queue: SealingQueue,
        *,
        sealed: Callable[[str], Progress],
        wary: Callable[[Sequence[Kept]], None],
        every: float = _EVERY,
        told: float = _TOLD,
    ) -> None:
        """`sealed` says which of a file's frames are in the index; `wary` is told of frames at
        which an earlier process may have ended. `every`, `told`: seconds between two looks, where
        nobody says that there is something new, and where they do.
        """
        self._rows = rows
        self._data = data
        self._keyring = keyring
        self._queue = queue
        self._sealed = sealed
        self._wary = wary
        self._every = every
        self._told = told
        self._notices = Notices(data, members.CHANNEL)
        self._files: dict[str, _Followed] = {}
        self._gone: set[str] = set()  # whose release is queued
        self._first = True
        self._begun = False
        self._change = threading.Condition()  # of the next five
        self._looks = 0  # that have begun
        self._whole = 0  # the last that read all there was
        self._asked = 0  # the look that somebody waits for
        self._open: set[str] = set()  # files of which the end is not queued
        self._stop = False
        self.thread = Lasting("members", self._run)

    def begin(self, *, may_be: bool) -> None:
        """Let there be members, if there `may_be`, and take up what they write from now on; else
        end them, and take up what they wrote. Twice changes nothing.

        Raises:
            StorageError: a database can't be written, or a link not be ended.
        """
        if not self._begun:
            (members.allow if may_be else members.refuse)(self._data, self._keyring.engine)
            self._begun = True
            self.thread.start()

    # -- from any thread -------------------------------------------------------------------------

    def catch_up(self, seconds: float) -> bool:
        """Wait until all that members had written before is queued, at most `seconds`; whether it
        is. It may not be: much waits, something is damaged, or the database is away.
        """
        return self._wait(seconds, frozenset())

    def close_all(self, seconds: float) -> bool:
        """The same, and of the files that there are now nothing more is written to any: so the
        queue knows whose copies are in them, and when they go.
        """
        if not self._begun:
            return True
        caught_up = self.catch_up(seconds)
        with self._change:
            there = frozenset(self._open)
        if caught_up and not there:
            return True
        with suppress(StorageError):
            members.ask_to_close(self._data)
            return caught_up and self._wait(seconds, there)
        return False

    @property
    def behind(self) -> bool:
        """Whether there is more than was read, as far as is known."""
        return self._begun and self._whole < self._looks - 1

    def stop(self) -> None:
        """Take up nothing more."""
        with self._change:
            self._stop = True
            self._change.notify_all()
        self._notices.wake()
        if self._begun:
            self.thread.join(_ENDING)
        if not self.thread.is_alive():  # else what it has ends with what it waits for
            self._notices.close()

    def _wait(self, seconds: float, closed: frozenset[str]) -> bool:
        if not self._begun:
            return True
        until = time.monotonic() + seconds
        with self._change:
            wanted = self._looks + 1
            while True:
                if self._whole >= wanted and not closed & self._open:
                    return True
                left = until - time.monotonic()
                if left <= 0 or self._stop:
                    return False
                self._asked = max(self._asked, self._whole + 1, wanted)
                self._change.notify_all()
                self._notices.wake()
                self._change.wait(min(left, self._every / 5) if closed else left)

    # -- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._change:
                if self._stop:
                    return
                self._looks += 1
                look = self._looks
            hears = self._notices.listen()  # before it looks, so that it misses none after it
            whole = False
            with suppress(BaileeError):  # what is away is asked again; nothing is lost meanwhile
                whole = self._look()
            with self._change:
                if whole:
                    self._whole = look
                self._change.notify_all()
                waits = not self._is_awaited()
            if waits and self._notices.wait(self._told if hears and whole else self._every):
                with self._change:
                    self._change.wait_for(self._is_awaited, _PACE)

    def _is_awaited(self) -> bool:
        return self._stop or self._asked > self._looks

    def _look(self) -> bool:
        """Queue what is new; whether that is all there is."""
        self._end_silent()
        files = self._rows.of_members(_MOST_FILES)
        whole = len(files) < _MOST_FILES
        found: list[Kept] = []
        ready: list[MemberFile] = []
        try:
            for file in files:
                if file.file in self._gone:
                    continue
                if sum(kept.length for kept in found) >= _AT_ONCE or not self._queue.has_room:
                    whole = False
                    break
                at_end = self._read(file, found)
                if file.closed and (at_end or self._files[file.file].damaged):
                    ready.append(file)
                whole = whole and at_end
        finally:  # what was read is not read again
            found.sort(key=lambda kept: 0.0 if kept.exchange is None else kept.exchange.ended_at)
            if self._first:
                self._wary(found)
            if found:
                self._queue.put(found)
        self._first = self._first and not whole
        for file in ready:
            self._release(file.file)
        names = {file.file for file in files}
        self._gone &= names
        with self._change:
            self._open = names - self._gone
        return whole

    def _end_silent(self) -> None:
        """End members whose moment has passed, and close the files of those that are none."""
        keys = members.numbers(self._keyring.engine)  # before: who joins is in the other first
        there = members.numbers(self._data)
        for number in keys.keys() - there.keys():
            members.end(self._data, self._keyring.engine, number)
        for number, over in there.items():
            if over:
                members.end(self._data, self._keyring.engine, number)
        files = self._rows.of_members(_MOST_FILES)
        now = members.numbers(self._data)
        for number in {file.member for file in files if not file.closed} - now.keys():
            members.end(self._data, self._keyring.engine, number)
            self._rows.close_all(members.name_of(number))

    def _read(self, file: MemberFile, into: list[Kept]) -> bool:
        """Put what is new in a file `into`; whether nothing more is there."""
        followed = self._files.get(file.file)
        if followed is None:
            followed = self._files[file.file] = _Followed(self._sealed(file.file))
        until = followed.at + _AT_ONCE
        while not followed.damaged and followed.at < until:
            content, more = self._next(file.file, followed.at)
            if not content:
                return True
            taken = self._frames(file.file, followed, content, into)
            followed.damaged = taken < len(content) and not (more and taken)
        return False

    def _next(self, name: str, at: int) -> tuple[bytes, bool]:
        """Bytes of a file from a place on, and whether there may be more. Of what is large, as much
        as it takes to have one whole.
        """
        most = _CHUNK
        while True:
            content = self._rows.part(name, at, most)
            if len(content) < most:
                return content, False
            length = frame_length(content[:HEADER_BYTES])
            if length is None or length <= most:
                return content, True
            most = length

    def _frames(self, name: str, followed: _Followed, content: bytes, into: list[Kept]) -> int:
        """Put the frames of `content` that are not filed `into`; how many bytes they take all
        together. Fewer than all: the next one is not whole, or does not open.
        """
        try:
            key = self._keyring.get(subject_of(name)).key
        except IntegrityError:
            return 0
        opener = opener_of(name, key)
        taken = 0
        for frame in scan(content, opener, followed.sequence):
            if not isinstance(frame, Frame):
                break
            if frame.sequence not in followed.sealed:
                try:
                    exchange = decode(frame.plain)
                except IntegrityError:
                    break
                offset, length = followed.at, frame.end - frame.offset
                into.append(Kept(name, frame.sequence, offset, length, exchange.owner, exchange))
            followed.at += frame.end - frame.offset
            followed.sequence += 1
            taken = frame.end
        return taken

    def _release(self, name: str) -> None:
        """Nothing more is written to a file, and all that can be read so is queued."""
        followed = self._files[name]
        size = self._rows.size(name)
        if followed.damaged or followed.at < size:  # behind a gap, too
            followed.damaged = True
            if self._queue.waits_in(name):
                return  # what of it is queued is filed before it is gone through
            self._queue.put_left(Left(name, size))
        else:
            self._queue.release(name)
        self._gone.add(name)
        del self._files[name]

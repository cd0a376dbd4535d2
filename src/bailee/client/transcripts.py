"""Transcripts on this machine, kept so that sessions can be resumed, and forgotten on time.

```
transcripts/<session>.log   sealed records, append-only (`frames`)
transcripts/<session>.key   the session's own key, wrapped under the machine's
```

Rules kept here:

* A record is durable when `append` returns; a crash in the middle of one loses that one alone. The
  record that begins a session says nothing of a person's yet: it is durable with the one after it.
* A session is forgotten so many days after its last **record**, whatever the file's own times say:
  as many as hold where it was (`lifetimes`), and not before the day until which its person keeps
  it. It can't be read from that moment on, whether or not anything has cleaned up.
* Forgetting overwrites and removes the key, then the file.
* With 0 days nothing is written.
* One process at a time writes a session; another one is told so.

Rows: R3, O7.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from bailee.client import frames
from bailee.client.lifetimes import Lifetimes, LocalDue
from bailee.client.local_key import (
    KEY_BYTES,
    make_private,
    seal,
    unseal,
    wipe,
    write_private,
)
from bailee.clock import Clock, system_clock
from bailee.errors import BaileeError, InputError, IntegrityError, StorageError
from bailee.json_values import JsonObject
from bailee.records import dataclass
from bailee.syncing import sync_folder

Record = JsonObject
_SESSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", re.A)
_TITLE: Final = 80


@dataclass(frozen=True, slots=True)
class KeptTranscript:
    """A session that is kept on this machine. Moments are ISO 8601, UTC."""

    session: str
    folder: str
    title: str
    last_activity: str
    forgotten_at: str | None = None
    records: int = 0
    size: int = 0
    kept_until: str | None = None


@dataclass(frozen=True, slots=True)
class DueTranscript:
    """A session, and when and by what it is forgotten. `kept_until`: its person keeps it.
    `ahead`: all of its times lie ahead of now.
    """

    session: str
    last_activity: datetime
    due: LocalDue
    size: int
    kept_until: datetime | None = None
    ahead: bool = False

    @property
    def forgotten_at(self) -> datetime:
        """When it is forgotten."""
        return self.due.at


class LocalTranscripts:
    """The store in one folder. `days`: for how many new records are kept; 0 keeps nothing.
    `lifetimes`: how long what is there is kept; None: `days`. `kept`: sessions that their person
    keeps, and until when. `key` is asked for when first needed.
    """

    def __init__(
        self,
        folder: Path,
        key: Callable[[], bytes],
        *,
        days: int,
        lifetimes: Lifetimes | None = None,
        kept: Callable[[], Mapping[str, datetime]] = dict,
        clock: Clock = system_clock,
    ) -> None:
        self._folder: Final = folder
        self._key: Final = key
        self._days: Final = days
        self._lifetimes: Final = lifetimes or Lifetimes(days)
        self._kept: Final = kept
        self._clock: Final = clock
        self._open: dict[str, _Writing] = {}

    @property
    def keeps(self) -> bool:
        """Whether anything is written at all."""
        return self._days > 0

    def append(self, session: str, record: Mapping[str, object]) -> None:
        """Keep one record; when this returns, a crash does not lose it (the one that begins a
        session, once the next is kept).

        Raises:
            InputError: the session's name can't be one, or another process writes it.
            IntegrityError: the session is there and can't be opened.
            StorageError: it can't be kept.
        """
        if not self.keeps:
            return
        with reaching(self._folder):
            writing = self._open.get(session)
            if writing is None:
                self._check(session)
                make_private(self._folder)
                writing = _Writing(self._folder, session, self._key())
                self._open[session] = writing
            content = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()
            writing.append(content, self._clock(), durable=record.get("type") != "session")

    def load(self, session: str) -> list[Record]:
        """The records of a session, in order; empty when there is none, or it is past its time.

        Raises:
            IntegrityError: what is there is not what was written.
            StorageError: it can't be read.
        """
        self._check(session)
        with reaching(self._folder):
            content = self._content(session)
            found = frames.layout(content)
            if not found.sound:
                raise IntegrityError(f"The transcript {session} is not a transcript.")
            if not found.frames:
                return []
            due = self._due(session, content, self._kept())
            if due.forgotten_at <= self._clock():
                return []
            key = self._session_key(session)
            return [json.loads(_record(content, frame, session, key)) for frame in found.frames]

    def list(self) -> Sequence[KeptTranscript]:
        """The sessions that can be resumed, latest first. What does not open is listed too, with a
        title that says so, since it must be possible to delete it.
        """
        kept = []
        with reaching(self._folder):
            for due in self.due():
                if due.forgotten_at > self._clock():
                    kept.append(self._described(due))
        return sorted(kept, key=lambda one: one.last_activity, reverse=True)

    def due(self) -> Sequence[DueTranscript]:
        """Every session with the moment at which it is forgotten, soonest first. Where its project
        can't be told, its key not being there, it goes by its person's own settings.
        """
        kept = self._kept()
        found = [
            self._due(path.stem, path.read_bytes(), kept)
            for path in sorted(self._folder.glob("*.log"))
        ]
        return sorted(found, key=lambda one: one.forgotten_at)

    def delete(self, session: str) -> bool:
        """Forget a session now; whether there was one."""
        self._check(session)
        with reaching(self._folder):
            writing = self._open.pop(session, None)
            if writing is not None:
                writing.close()
            log = self._log(session)
            was = log.exists()
            wipe(log.with_suffix(".key"))
            log.unlink(missing_ok=True)
            if was:
                sync_folder(self._folder)
            return was

    def forget(self, may: Callable[[LocalDue], bool] = lambda _: True) -> Sequence[DueTranscript]:
        """Forget every session that is past its time and `may` go; which ones."""
        with reaching(self._folder):
            now = self._clock()
            every = self.due()
            for one in every:
                if one.ahead:  # from now on its file's time counts
                    os.utime(self._log(one.session), (now.timestamp(), now.timestamp()))
            past = [one for one in every if one.forgotten_at <= now and may(one.due)]
        for one in past:
            self.delete(one.session)
        return past

    def close(self) -> None:
        """Let go of the sessions that this process writes."""
        for writing in self._open.values():
            writing.close()
        self._open.clear()

    def _described(self, due: DueTranscript) -> KeptTranscript:
        content = self._content(due.session)
        held = frames.layout(content)
        folder, title = "", ""
        try:
            key = self._session_key(due.session)
            for frame in held.frames[:8]:
                record = json.loads(_record(content, frame, due.session, key))
                folder = folder or str(record.get("folder") or "")
                title = title or _title(record)
        except (BaileeError, ValueError):
            title = "(can't be opened)"
        return KeptTranscript(
            due.session,
            folder,
            title,
            due.last_activity.isoformat(),
            due.forgotten_at.isoformat(),
            len(held.frames),
            due.size,
            None if due.kept_until is None else due.kept_until.isoformat(),
        )

    def _due(self, session: str, content: bytes, kept: Mapping[str, datetime]) -> DueTranscript:
        held = frames.layout(content)
        now = self._clock()
        # A time that lies ahead (a clock that was wrong, a damaged byte) keeps nothing for ever.
        last = max((frame.at for frame in held.frames if frame.at <= now), default=None)
        ahead = False
        if last is None:
            written = datetime.fromtimestamp(self._log(session).stat().st_mtime, tz=UTC)
            ahead, last = written > now, min(written, now)
        until = kept.get(session)
        due = LocalDue.after(
            last, self._lifetimes.of(self._folder_of(session, content, held)), until
        )
        return DueTranscript(session, last, due, len(content), until, ahead)

    def _folder_of(self, session: str, content: bytes, held: frames.Layout) -> str | None:
        """Where a session was; None where that can't be told."""
        try:
            key = self._session_key(session) if held.frames else b""
            for frame in held.frames[:8]:
                record = json.loads(_record(content, frame, session, key))
                if isinstance(record, dict) and isinstance(record.get("folder"), str):
                    return str(record["folder"])
        except (BaileeError, ValueError, OSError):
            pass
        return None

    def _content(self, session: str) -> bytes:
        try:
            return self._log(session).read_bytes()
        except FileNotFoundError:
            return b""

    def _session_key(self, session: str) -> bytes:
        return _unwrapped(self._log(session).with_suffix(".key"), session, self._key())

    def _log(self, session: str) -> Path:
        return self._folder / f"{session}.log"

    def _check(self, session: str) -> None:
        if not _SESSION.fullmatch(session):
            raise InputError("This can't be the name of a session.", hint="bailee local list")


class _Writing:
    """One session that this process writes: its file, locked, and its key."""

    def __init__(self, folder: Path, session: str, machine_key: bytes) -> None:
        self._session = session
        self._folder = folder
        log = folder / f"{session}.log"
        wrapped = log.with_suffix(".key")
        descriptor = os.open(log, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        self._file: BinaryIO = os.fdopen(descriptor, "r+b", buffering=0)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    "Another process is writing this session.",
                    code="home_in_use",
                    hint="continue there, or end it first",
                ) from None
            content = self._file.read()
            held = frames.layout(content)
            if not held.sound:
                raise IntegrityError(f"The transcript {session} is not a transcript.")
            self._number = len(held.frames)
            self._new = self._number <= 1  # nothing of it is durable yet, or nobody knows
            if held.frames:
                self._key = _unwrapped(wrapped, session, machine_key)
                # It must open before it grows: else two keys would lie in one file.
                _record(content, held.frames[-1], session, self._key)
            else:
                self._key = secrets.token_bytes(KEY_BYTES)
                # It is there before what it opens; its name and the file's are synced together.
                wrapping = seal(machine_key, self._key, _wrap_about(session))
                write_private(wrapped, wrapping, named=False)
            self._end = held.end
            if len(content) != held.end or held.end == 0:
                self._file.truncate(held.end)
                if held.end == 0:
                    self._file.seek(0)
                    self._write(frames.MAGIC)
                if not self._new:  # else with the next record
                    os.fsync(descriptor)
        except BaseException:
            self._file.close()
            raise

    def append(self, content: bytes, now: datetime, *, durable: bool = True) -> None:
        """One record, in one write; `durable`: synced, with all that was written before."""
        sealed_size = len(content) + 28
        if sealed_size > frames.LARGEST:
            raise StorageError("a record is too large to be kept.")
        at = frames.moment(frames.milliseconds(now))
        sealed = seal(self._key, content, frames.about(self._session, self._number, at))
        try:
            self._file.seek(self._end)
            self._write(frames.head(len(sealed), at) + sealed)
            if durable:
                os.fdatasync(self._file.fileno())
                if self._new:
                    sync_folder(self._folder)
                    self._new = False
        except OSError:
            # What was written of it must not stand before the next record.
            self._file.truncate(self._end if self._end else 0)
            raise
        self._number += 1

    def close(self) -> None:
        """Let go of the file and its lock."""
        self._file.close()

    def _write(self, content: bytes) -> None:
        place = 0
        while place < len(content):
            place += self._file.write(content[place:]) or 0
        self._end += len(content)


def _record(content: bytes, frame: frames.RecordFrame, session: str, key: bytes) -> bytes:
    sealed = content[frame.start : frame.start + frame.length]
    return unseal(key, sealed, frames.about(session, frame.number, frame.at))


def _unwrapped(path: Path, session: str, machine_key: bytes) -> bytes:
    try:
        wrapped = path.read_bytes()
    except FileNotFoundError:
        raise IntegrityError(
            f"The key of the transcript {session} is gone.",
            code="key_destroyed",
            hint=f"bailee local delete {session}",
        ) from None
    return unseal(machine_key, wrapped, _wrap_about(session))


def _wrap_about(session: str) -> bytes:
    return f"bailee local transcript key\0{session}".encode()


def _title(record: Record) -> str:
    """The first words of a person's message, on one line."""
    if record.get("title"):
        return _short(str(record["title"]))
    if record.get("type") != "prompt":
        return ""
    content = record.get("content")
    blocks = content if isinstance(content, list) else [content]
    for block in blocks:
        text = block.get("text") if isinstance(block, dict) else block
        if isinstance(text, str) and text.strip():
            return _short(text)
    return ""


def _short(text: str) -> str:
    line = "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
    return line if len(line) <= _TITLE else f"{line[: _TITLE - 1]}…"


@contextmanager
def reaching(folder: Path) -> Iterator[None]:
    """Turn what a disk refuses into a `StorageError`."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"the local transcripts in {folder} can't be used ({error.strerror}).",
            hint="fix its permissions or free some space",
        ) from error

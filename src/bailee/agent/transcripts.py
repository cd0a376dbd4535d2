"""Where a session's records go: memory, or files, one for each session.

`Files` writes JSON Lines in folders that only their owner may enter, and syncs each line. A line
that a crash cut off is passed over when it is read, and closed off before the next is written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson

from bailee.agent.ports import Kept, Record
from bailee.errors import InputError, StorageError

_SESSION: Final = re.compile(r"[0-9a-fA-F-]{8,64}")


class InMemory:
    """A `ports.Transcripts` that forgets with the process."""

    def __init__(self) -> None:
        self.records: dict[str, list[Record]] = {}

    def append(self, session: str, record: Record) -> None:
        """See `ports.Transcripts.append`."""
        self.records.setdefault(session, []).append(record)

    def load(self, session: str) -> list[Record]:
        """See `ports.Transcripts.load`."""
        return list(self.records.get(session, ()))

    def list(self) -> Sequence[Kept]:
        """See `ports.Transcripts.list`."""
        return [kept(session, records) for session, records in reversed(self.records.items())]


class Files:
    """A `ports.Transcripts` of plain files."""

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        self._folder = folder
        self._clock = clock

    def append(self, session: str, record: Record) -> None:
        """See `ports.Transcripts.append`."""
        line = orjson.dumps({**record, "at": self._clock().isoformat()}) + b"\n"
        file = self._file(session)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                size = os.fstat(handle).st_size
                if size and os.pread(handle, 1, size - 1) != b"\n":
                    line = b"\n" + line
                if os.write(handle, line) != len(line):
                    raise OSError(28, "no space left")
                os.fdatasync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise StorageError(
                f"the session's transcript can't be kept: {error.strerror}."
            ) from error

    def load(self, session: str) -> list[Record]:
        """See `ports.Transcripts.load`."""
        try:
            lines = self._file(session).read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        records = []
        for line in lines:
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(record, dict):
                records.append(record)
        return records

    def list(self) -> Sequence[Kept]:
        """See `ports.Transcripts.list`."""
        found = [kept(f.stem, self.load(f.stem)) for f in self._folder.glob("*.jsonl")]
        return sorted(found, key=lambda k: k.last_activity, reverse=True)

    def _file(self, session: str) -> Path:
        if not _SESSION.fullmatch(session):
            raise InputError("that is not the id of a session.", code="not_found")
        return self._folder / f"{session}.jsonl"


def kept(session: str, records: Sequence[Record]) -> Kept:
    """A session's line in a list, from its records. Pure."""
    folder = next((str(r.get("folder", "")) for r in records if r.get("type") == "session"), "")
    last = max((str(r.get("at", "")) for r in records), default="")
    return Kept(session, folder, title_of(records), last)


def title_of(records: Sequence[Record]) -> str:
    """The first line of the first prompt, as far as it fits. Pure."""
    for record in records:
        if record.get("type") != "prompt" or not isinstance(record.get("content"), list):
            continue
        for block in record["content"]:
            text = block.get("text") if isinstance(block, dict) else None
            if isinstance(text, str) and text.strip():
                return text.strip().splitlines()[0][:100]
    return ""

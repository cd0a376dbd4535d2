"""Sessions that a person chose to keep on their machine longer than its time.

```
kept.json   [{of, session, since, until, clause, document, released}]
```

Rules kept here:

* It is an act of the person's, of one session, until a day: the clause `local_transcript_kept` of
  the policy document says how long at most. The entry is its record: who (`of`), what, since when,
  until when, by which clause of which document, and when it was taken back.
* It only ever lengthens. When it is over, the session goes by its own time again.
* A note that can't be read stops deleting: what it kept is unknown then.

Rows: O7.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bailee.client.local_key import alone, write_private
from bailee.errors import InputError, IntegrityError, StorageError
from bailee.json_values import JsonObject, objects
from bailee.records import dataclass

REMEMBERED: Final = timedelta(days=30)
_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class KeptSession:
    """One act. `of`: "bailee" or the agent's name; `document`: SHA-256 (hex) of the policy's."""

    of: str
    session: str
    since: datetime
    until: datetime
    clause: str
    document: str
    released: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it keeps the session now."""
        return self.released is None and now < self.until

    def as_json(self) -> JsonObject:
        """As it stands in the note."""
        return {
            "of": self.of,
            "session": self.session,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "clause": self.clause,
            "document": self.document,
            "released": None if self.released is None else self.released.isoformat(),
        }


class KeptSessions:
    """The note in one folder; read anew each time, since other processes write it too. Commands
    and starts ask it, each on its own thread. It never deletes a session.
    """

    def __init__(self, folder: Path) -> None:
        self._file: Final = folder / "kept.json"

    def all(self) -> Sequence[KeptSession]:
        """Every act that is remembered, oldest first.

        Raises:
            IntegrityError: the note is not one.
            StorageError: it can't be read.
        """
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise StorageError(f"{self._file} can't be read ({error.strerror}).") from error
        try:
            held = json.loads(content)
            if not isinstance(held, list) or len(objects(held)) != len(held):
                raise ValueError
            return tuple(map(_kept, objects(held)))
        except (ValueError, KeyError, TypeError, OverflowError):
            raise IntegrityError(
                f"{self._file} is not what was written: which sessions you keep is not known, "
                "and none is deleted by time.",
                hint="put it back, or remove it: then none is kept beyond its time",
            ) from None

    def until(self, of: str, now: datetime) -> dict[str, datetime]:
        """Which sessions of a program are kept now, and until when. Raises as `all` does."""
        return {one.session: one.until for one in self.all() if one.of == of and one.holds(now)}

    def keep(self, kept: KeptSession) -> None:
        """Note that a session is kept; one that was kept before is kept until the new day.

        Raises:
            InputError: too many are kept.
            IntegrityError, StorageError: as `all` does; or it can't be written.
        """
        with alone(self._file):
            others = [one for one in self._remembered(kept.since) if not _same(one, kept)]
            if len(others) >= _MOST:
                raise InputError("too many sessions are kept.", hint="bailee local release SESSION")
            self._write([*others, kept])

    def release(self, of: str, session: str, now: datetime) -> bool:
        """Take it back; whether it was kept. Raises as `keep` does."""
        if not self._file.exists():
            return False
        with alone(self._file):
            found = [
                replace(one, released=now)
                if (one.of, one.session) == (of, session) and one.holds(now)
                else one
                for one in self._remembered(now)
            ]
            was = any(one.released == now for one in found)
            if was:
                self._write(found)
            return was

    def _remembered(self, now: datetime) -> list[KeptSession]:
        return [one for one in self.all() if now - (one.released or one.until) < REMEMBERED]

    def _write(self, kept: Sequence[KeptSession]) -> None:
        write_private(self._file, json.dumps([one.as_json() for one in kept], indent=1).encode())


def _same(one: KeptSession, other: KeptSession) -> bool:
    return (one.of, one.session) == (other.of, other.session) and one.released is None


def _kept(held: JsonObject) -> KeptSession:
    released = held["released"]
    return KeptSession(
        str(held["of"]),
        str(held["session"]),
        _moment(held["since"]),
        _moment(held["until"]),
        str(held["clause"]),
        str(held["document"]),
        None if released is None else _moment(released),
    )


def _moment(value: object) -> datetime:
    return datetime.fromisoformat(str(value)).astimezone(UTC)

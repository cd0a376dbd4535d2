"""Every payload that is to be sent or has been sent, as its exact bytes, by day.

```
outbox/2026-11-23/<id>.item    one line of JSON about it, then the sealed bytes
```

Rules kept here:

* What is not in the outbox is not sent: the sender takes its bytes from here.
* The bytes are sealed under the machine's key (a report holds a conversation), the files are for
  their owner alone. What is said about a payload holds no content, and no credential.
* A change of state replaces the file whole.
* What is forgotten on this machine is forgotten here too: by the day it was made.

Rows: S7.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypedDict, Unpack

from bailee import json_lines
from bailee.client.local_key import make_private, seal, unseal, wipe, write_private
from bailee.client.payloads import Payload
from bailee.clock import Clock, system_clock
from bailee.errors import InputError, StorageError
from bailee.records import dataclass
from bailee.syncing import sync_folder

_ID: Final = re.compile(r"[0-9a-f]{16}")
STATES: Final = ("pending", "sent", "refused")


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """One payload. Moments are ISO 8601, UTC. `answer`: what the server called it, or said."""

    id: str
    flow: str
    state: str
    path: str
    content_type: str
    size: int
    made: str
    attempts: int = 0
    next_attempt: str | None = None
    sent: str | None = None
    destination: str | None = None
    answer: str | None = None

    @property
    def day(self) -> str:
        """The day on which it was made."""
        return self.made[:10]


class _Changes(TypedDict, total=False):
    """What may change of a payload once it is in the outbox."""

    state: str
    attempts: int
    next_attempt: str | None
    sent: str | None
    destination: str | None
    answer: str | None


class Outbox:
    """The outbox in one folder."""

    def __init__(
        self, folder: Path, key: Callable[[], bytes], *, clock: Clock = system_clock
    ) -> None:
        self._folder: Final = folder
        self._key: Final = key
        self._clock: Final = clock

    def put(self, payload: Payload) -> OutboxItem:
        """Queue a payload; durable when this returns. Raises `StorageError`."""
        item = OutboxItem(
            secrets.token_hex(8),
            payload.flow,
            "pending",
            payload.path,
            payload.content_type,
            len(payload.body),
            self._clock().isoformat(),
        )
        with self._storing():
            make_private(self._folder / item.day)
            self._write(item, payload.body)
        return item

    def record(self, payload: Payload, *, destination: str, answer: str) -> OutboxItem:
        """Keeps what a person has just sent elsewhere themselves. Raises `StorageError`."""
        now = self._clock().isoformat()
        item = OutboxItem(
            secrets.token_hex(8),
            payload.flow,
            "sent",
            payload.path,
            payload.content_type,
            len(payload.body),
            now,
            attempts=1,
            sent=now,
            destination=destination,
            answer=answer,
        )
        with self._storing():
            make_private(self._folder / item.day)
            self._write(item, payload.body)
        return item

    def items(self, *, state: str | None = None) -> list[OutboxItem]:
        """What is there, oldest first. What can't be read is passed over."""
        found = []
        with self._storing():
            for path in self._folder.glob("*/*.item"):
                item = _item(path)
                if item is not None and state in (None, item.state):
                    found.append(item)
        return sorted(found, key=lambda item: (item.made, item.id))

    def find(self, item_id: str) -> OutboxItem:
        """One item. Raises `InputError` when there is none."""
        with self._storing():
            if _ID.fullmatch(item_id):
                for path in self._folder.glob(f"*/{item_id}.item"):
                    item = _item(path)
                    if item is not None:
                        return item
        raise InputError(
            "There is no such payload in the outbox.", code="not_found", hint="bailee outbox"
        )

    def body(self, item: OutboxItem) -> bytes:
        """The exact bytes. Raises `IntegrityError` when they are not those that were put in."""
        with self._storing():
            content = self._path(item).read_bytes().partition(b"\n")[2]
            return unseal(self._key(), content, _about(item))

    def change(self, item: OutboxItem, **changes: Unpack[_Changes]) -> OutboxItem:
        """The item with another state, attempt or answer; its bytes stay."""
        changed = replace(item, **changes)
        with self._storing():
            sealed = self._path(item).read_bytes().partition(b"\n")[2]
            write_private(self._path(changed), _line(changed) + sealed)
        return changed

    def delete(self, item: OutboxItem) -> None:
        """Remove an item and its bytes."""
        with self._storing():
            path = self._path(item)
            wipe(path)
            try:
                path.parent.rmdir()
            except OSError:
                return  # others of that day are still there
            sync_folder(self._folder)

    def forget(self, days: int) -> int:
        """Remove what was made so many days ago or more; how many. Pending ones are not exempt."""
        limit = self._clock() - timedelta(days=days)
        past = [item for item in self.items() if datetime.fromisoformat(item.made) <= limit]
        for item in past:
            self.delete(item)
        return len(past)

    @contextmanager
    def sending(self) -> Iterator[bool]:
        """Held by the one process that sends; gives False where another does."""
        with self._storing():
            make_private(self._folder)
            descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    def _write(self, item: OutboxItem, body: bytes) -> None:
        write_private(self._path(item), _line(item) + seal(self._key(), body, _about(item)))

    def _path(self, item: OutboxItem) -> Path:
        return self._folder / item.day / f"{item.id}.item"

    @contextmanager
    def _storing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"the outbox {self._folder} can't be used ({error.strerror}).",
                hint="fix its permissions or free some space",
            ) from error


def _line(item: OutboxItem) -> bytes:
    return json_lines.line(asdict(item))


def _about(item: OutboxItem) -> bytes:
    return f"bailee outbox\0{item.id}\0{item.flow}\0{item.path}\0{item.content_type}".encode()


def _item(path: Path) -> OutboxItem | None:
    try:
        made = OutboxItem(**json.loads(path.read_bytes().partition(b"\n")[0]))
        datetime.fromisoformat(made.made)
    except (ValueError, TypeError, FileNotFoundError):
        return None
    same = path == path.parent.parent / made.day / f"{made.id}.item"
    return made if same and made.state in STATES else None

"""`python -m bailee.training.working`: one shard after another, made into files.

`carry_out` is the one function of an export that runs elsewhere: from a task to two files and a
result. It leases each session of its shard from the home, opens it, makes rows of it, masks them
and writes them.

Rules kept here:

* A session's rows are in the file all or not at all. One that can't be read is named, and the
  others go on.
* A key is in memory while its session is written. Nothing of a session is printed, logged or in an
  error; what ends a worker says its kind alone.
* A worker that is over one session for longer than `PATIENCE` is ended by the kernel, whatever it
  is in the midst of: a pattern that never comes to its end holds the interpreter's lock.
* The process is given a socket's path, a token and a folder. It has no home, no database and no
  keyring, and leaves no core. It dies with who started it. On another machine than the home's it
  has a host and certificates in place of path and folder, and hands its files over (`handing`).
* One process at a time writes a shard: another waits until it lets go.
"""

from __future__ import annotations

import base64
import ctypes
import fcntl
import hashlib
import os
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from bailee.errors import BaileeError
from bailee.json_values import JsonObject, members
from bailee.training import (
    duplicates,
    files,
    handing,
    naming,
    reaching,
    rows,
    scrubbing,
    wire,
)
from bailee.training.counting import Counts
from bailee.training.dataset import Row
from bailee.training.finding import Finder, Names
from bailee.training.shards import ShardResult, ShardTask, facts_file, shard_file
from bailee.training.wire import Leased

PATIENCE: Final = 300.0
"""Seconds for one session, and for the end of a shard."""
_NICE: Final = 5
_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG


class NotLeasedError(Exception):
    """The home lends nothing for this token, or not any more."""


@dataclass(slots=True)
class _Written:
    """What has been written of a shard so far."""

    facts: BinaryIO
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    rows: dict[str, int] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def note(self, row: Row) -> None:
        """Write down what is known of a row, without what it says."""
        line = orjson.dumps(facts_of(row)) + b"\n"
        self.facts.write(line)
        self.digest.update(line)


def carry_out(task: ShardTask, going_on: Callable[[], None] = lambda: None) -> ShardResult:
    """Make the files of a shard, anew if they are there. `going_on`: called before each session.

    Raises:
        NotLeasedError: the token is not good.
        OSError, EOFError, ValueError: the home can't be reached.
        InputError: it can't be reached as things are: there are no certificates, or no model.
        StorageError: a file can't be written.
    """
    return _handed_over(task, going_on) if task.folder == "" else _put(task, going_on)


def _put(task: ShardTask, going_on: Callable[[], None]) -> ShardResult:
    """The files, in the folder that is shared with the home."""
    folder = Path(task.folder)
    facts = folder / facts_file(task.number)
    path, form = folder / shard_file(task.number, task.format), files.Format(task.format)
    with facts.open("ab") as out:
        fcntl.flock(out, fcntl.LOCK_EX)  # who had this shard before is refused, and lets go
        out.truncate(0)
        with _begun(task) as connection:
            written = _Written(out)
            file = files.write(path, _rows(connection, written, going_on, task), form)
        out.flush()
        os.fsync(out.fileno())
    return _result(task, file, written)


def _handed_over(task: ShardTask, going_on: Callable[[], None]) -> ShardResult:
    """The files, without names here, handed to the home."""
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as facts,
        _begun(task) as connection,
    ):
        written = _Written(facts)
        form = files.Format(task.format)
        file = files.write_into(out, _rows(connection, written, going_on, task), form)
        going_on()
        handing.hand_over(connection, (out, facts))
    return _result(task, file, written)


def _begun(task: ShardTask) -> socket.socket:
    """A connection on which the shard's sessions are asked for."""
    connection = reaching.connected(task.address, os.environ)
    try:
        wire.send(connection, {"token": task.token})
        if wire.receive(connection)[0].get("shard") != task.number:
            raise NotLeasedError
    except BaseException:
        connection.close()
        raise
    return connection


def _result(task: ShardTask, file: files.WrittenFile, written: _Written) -> ShardResult:
    return ShardResult(
        task.export,
        task.number,
        file.sha256,
        written.digest.hexdigest(),
        written.rows,
        tuple(written.unreadable),
    )


def _rows(
    connection: socket.socket,
    written: _Written,
    going_on: Callable[[], None],
    task: ShardTask,
) -> Iterator[Row]:
    model = named(task.names_model, task.names_digest)
    for leased in _sessions(connection, going_on):
        try:
            made = made_of(leased, model)
        except (BaileeError, ValueError, TypeError, LookupError, AttributeError):
            written.unreadable.append(leased.commitment)
            continue
        written.rows[leased.commitment] = len(made)
        for row in made:
            written.note(row)
            yield row


def made_of(leased: Leased, named: Names | None = None) -> list[Row]:
    """The rows of a session, masked. `named`: what finds names in them."""
    finder = _finder(leased.names, named)
    return [scrubbing.masked(row, finder)[0] for row in rows.conversation(leased.exported())]


@lru_cache(maxsize=64)
def _finder(names: tuple[str, ...], named: Names | None) -> Finder:
    """Of the same owner the same: it remembers, by digests, texts in which there is nothing."""
    return Finder(names, named)


@lru_cache(maxsize=1)
def named(folder: str, digest: str) -> Names | None:
    """What finds names with the model in a folder, loaded once; None: there is to be none.

    Raises:
        InputError: it is another model than the export was begun with, or none.
    """
    return naming.by_model(Path(folder), digest=digest) if folder else None


def facts_of(row: Row) -> JsonObject:
    """What is known of a row, without what it says."""
    counts = Counts()
    counts.add(row)
    return {
        "row": row.id,
        "session": row.session,
        "counts": counts.as_json(),
        "signature": base64.b64encode(duplicates.signature(row)).decode(),
    }


def _sessions(connection: socket.socket, going_on: Callable[[], None]) -> Iterator[Leased]:
    while True:
        going_on()
        wire.send(connection, {})
        said, key = wire.receive(connection)
        if "end" in said:
            return
        if "skip" in said:
            continue
        if "refused" in said:
            raise NotLeasedError
        of = len(said.get("exchanges") or ())  # type: ignore[arg-type]
        yield wire.as_leased(said, key, [wire.receive(connection)[1] for _ in range(of)])


def _take_time() -> None:
    """From now the process has so many seconds until it is ended."""
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)


def main() -> None:
    """Answer tasks on standard input, a line each, until it is closed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    for line in sys.stdin.buffer:
        task = ShardTask(**members(orjson.loads(line)))  # type: ignore[arg-type]
        try:
            result = carry_out(task, _take_time)
        except Exception as error:
            result = ShardResult(task.export, task.number, failed=type(error).__name__)
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.buffer.write(orjson.dumps(asdict(result)) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

"""A dataset as it lies in its place: whether it is what was signed, and whose rows are where.

It reads the columns that say whose a row is, and no other. What it finds wrong it names, and goes
on: one bad file hides no other. It has one file of rows at a time (`placing`), and of the list of
sessions those of its shard (`listing`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import BinaryIO, Final, NamedTuple

import orjson

from bailee.errors import BaileeError, InputError, IntegrityError, StorageError
from bailee.json_values import members, text
from bailee.ledger.tlog import notes
from bailee.outbound.bucket import pieces
from bailee.training import manifest
from bailee.training.exported import Export
from bailee.training.files import Format
from bailee.training.finishing import Finished
from bailee.training.listing import RowsAllowed, SessionsListed
from bailee.training.manifest import DatasetManifest, SignedFile
from bailee.training.placing import DatasetPlace

FILTER: Final = "withdrawn.txt"
_BATCH: Final = 1000


class RowOwner(NamedTuple):
    """Of a row its id, the commitment of its session, and what allowed it. `consent`: a
    commitment.
    """

    row: str
    session: str
    clause: str
    consent: str
    document: str


SessionsKept = Callable[[int], Mapping[str, RowsAllowed]]
"""The sessions of a shard as the home remembers them, by commitment. A commitment to a consent
record is opened by making it again from the record."""
_SAID: Final = RowOwner._fields[1:]


@dataclass(frozen=True, slots=True)
class WrongPart:
    """A part of a dataset that is not as it was signed, and what is wrong with it."""

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class WithdrawnRow:
    """A row that is to be dropped. `why`: `withdrawn`, `deleted`, `erased` or `expired`."""

    row: str
    session: str
    file: str
    why: str


@dataclass(frozen=True, slots=True)
class CheckedDataset:
    """What a check came to. `document`: SHA-256 of the manifest."""

    export: str
    document: str
    policy: str
    sessions: int
    rows: int
    files: int
    wrong: list[WrongPart]


class Dataset:
    """One dataset in its place. An operation makes it, on its thread; it changes no file but the
    filter's.
    """

    def __init__(self, place: DatasetPlace) -> None:
        self._place = place

    def manifest(self) -> DatasetManifest:
        """What the dataset says of itself.

        Raises:
            InputError: code `not_found`, there is no dataset.
            IntegrityError: its manifest is none.
        """
        return manifest.of_bytes(self._raw(manifest.MANIFEST))

    def finished(self) -> Finished:
        """The dataset, as the export gives it at its end. Errors as in `manifest`."""
        raw = self._raw(manifest.MANIFEST)
        made = manifest.of_bytes(raw)
        rows = [one for one in made.files if one.rows is not None]
        return Finished(
            made.export,
            self._place.named,
            manifest.digest(raw),
            made.sessions,
            made.rows,
            sum(made.taken_out.values()),
            made.unreadable,
            len(rows),
            sum(one.bytes for one in rows),
        )

    def check(
        self,
        key: notes.Key,
        exports: Mapping[str, Export],
        policies: Collection[str],
        kept: SessionsKept,
    ) -> CheckedDataset:
        """Compare all of it with what was signed. `key`: the home's; `exports`: those it knows;
        `policies`: the hashes of the documents that have held there; `kept`: the sessions of a
        shard of this export as the home remembers them. Errors as in `manifest`.
        """
        raw = self._raw(manifest.MANIFEST)
        made, document = manifest.of_bytes(raw), manifest.digest(raw)
        wrong = [*self._signed(key, made, document)]
        known = exports.get(made.export)
        if known is None or known.document != document:
            wrong.append(WrongPart(manifest.MANIFEST, "this home did not sign it"))
        if made.policy not in policies:
            wrong.append(WrongPart(manifest.MANIFEST, "its policy has never held in this home"))
        try:
            with self._place.open(manifest.SESSIONS) as lines:
                wrong += self._files(made, _RowsCheck(made, SessionsListed(lines), kept))
        except OSError:
            wrong.append(WrongPart(manifest.SESSIONS, "it can't be read"))
            wrong += self._files(made, None)
        return CheckedDataset(
            made.export, document, made.policy, made.sessions, made.rows, len(made.files), wrong
        )

    def rows_of(self, sessions: Mapping[str, str]) -> Iterator[WithdrawnRow]:
        """The rows of some sessions, each with the word that stands by its session."""
        for file in self.manifest().files:
            if file.rows is None or not sessions:
                continue
            with self._opened(file.path) as opened:
                for one in _rows(opened, file.path):
                    if one.session in sessions:
                        yield WithdrawnRow(one.row, one.session, file.path, sessions[one.session])

    def write_filter(self, rows: Collection[WithdrawnRow]) -> str:
        """Write the file with the ids of the rows to be dropped; its path.

        Raises:
            StorageError: it can't be written.
        """
        try:
            return self._place.put(FILTER, "".join(f"{one.row}\n" for one in rows).encode())
        except OSError as error:
            raise StorageError(
                f"the filter can't be written ({error.strerror}).",
                hint="check that the folder is writable; --json lists the rows all the same",
            ) from error

    # -- inside ----------------------------------------------------------------------------------

    def _raw(self, name: str) -> bytes:
        with self._opened(name) as opened:
            return opened.read()

    def _opened(self, name: str) -> BinaryIO:
        try:
            return self._place.open(name)
        except FileNotFoundError:
            raise InputError(
                f"there is no dataset at this place: it has no {name}.", code="not_found"
            ) from None
        except OSError as error:
            raise StorageError(
                f"{name} can't be read ({error.strerror}).", hint="check the folder's permissions"
            ) from error

    def _signed(self, key: notes.Key, made: DatasetManifest, document: str) -> Iterator[WrongPart]:
        try:
            note = notes.read(self._raw(manifest.SIGNATURE))
            if note.text != manifest.statement(key.name, made.export, document):
                raise IntegrityError("it is of another manifest or home.")
            if not note.verified([key]):
                raise IntegrityError("it is by another key.")
        except BaileeError as error:
            yield WrongPart(manifest.SIGNATURE, error.message)

    def _files(self, made: DatasetManifest, rows: _RowsCheck | None) -> Iterator[WrongPart]:
        """Whether the files are those that were signed, and their rows those that `rows` allows;
        None: nobody can tell.
        """
        known = {one.path for one in made.files}
        for name in self._place.names(manifest.DATA):
            if name not in known:
                yield WrongPart(name, "the manifest does not know it")
        shards = count()
        for file in made.files:
            shard = None if file.rows is None else next(shards)
            try:
                with self._place.open(file.path) as opened:
                    if _digest(opened) != file.sha256:
                        yield WrongPart(file.path, "it is not what was signed")
                    if shard is not None and rows is not None:
                        opened.seek(0)
                        yield from rows.of(shard, file, opened)
            except OSError as error:
                yield WrongPart(file.path, f"it can't be read ({error.strerror})")
        if rows is not None:
            yield from rows.end()


class _RowsCheck:
    """Whether rows are those of the sessions that are listed, and these those that the home
    remembers: of one shard after the other. `Dataset` makes one for a check.
    """

    def __init__(self, made: DatasetManifest, sessions: SessionsListed, kept: SessionsKept) -> None:
        self._made = made
        self._sessions: SessionsListed | None = sessions  # None: it can't be read any more
        self._kept = kept
        self._short = self._other = 0

    def of(self, shard: int, file: SignedFile, opened: BinaryIO) -> Iterator[WrongPart]:
        """What is wrong with the rows of a shard's file."""
        if self._sessions is None:
            return
        try:
            listed = self._sessions.of(shard)
        except IntegrityError as error:
            self._sessions = None
            yield WrongPart(manifest.SESSIONS, error.message)
            return
        found: Counter[str] = Counter()
        yield from _wrong_rows((self._made, file), opened, listed, found)
        self._short += sum(found[name] != rows for name, (rows, *_) in listed.items())
        kept = self._kept(shard)
        self._other += sum(listed.get(name) != kept.get(name) for name in listed.keys() | kept)

    def end(self) -> Iterator[WrongPart]:
        """What is wrong with the list as a whole."""
        if self._sessions is not None:
            try:
                self._sessions.finish()
            except IntegrityError as error:
                yield WrongPart(manifest.SESSIONS, error.message)
            self._short += self._sessions.passed_over
        if self._short:
            yield WrongPart(manifest.SESSIONS, f"{self._short} sessions have more rows, or fewer")
        if self._other:
            other = f"{self._other} sessions are not as the home has them"
            yield WrongPart(manifest.SESSIONS, other)


def _wrong_rows(
    signed: tuple[DatasetManifest, SignedFile],
    opened: BinaryIO,
    listed: Mapping[str, RowsAllowed],
    found: Counter[str],
) -> Iterator[WrongPart]:
    """What is wrong with the rows of a file; those of each session are counted in `found`."""
    made, file = signed
    number = 0
    try:
        for one in _rows(opened, file.path):
            number += 1
            found[one.session] += 1
            allowed = listed.get(one.session)
            if allowed is None or allowed[1:] != (one.clause, one.consent):
                yield WrongPart(file.path, f"row {number} is of no session that is listed")
            elif one.document != made.policy:
                yield WrongPart(file.path, f"row {number} was decided by another policy")
    except IntegrityError as error:
        yield WrongPart(file.path, error.message)
    if number != file.rows:
        yield WrongPart(file.path, f"it has {number} rows, and {file.rows} were signed")


def _digest(opened: BinaryIO) -> str:
    found = hashlib.sha256()
    for piece in pieces(opened):
        found.update(piece)
    return found.hexdigest()


def _rows(opened: BinaryIO, name: str) -> Iterator[RowOwner]:
    """Whose the rows of a file are. Raises: IntegrityError, it has none."""
    try:
        yield from _owned(opened, name)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise IntegrityError("it is no file of rows.") from error


def _owned(opened: BinaryIO, name: str) -> Iterator[RowOwner]:
    if name.endswith(f".{Format.JSONL.value}"):
        for line in opened:
            said = members(orjson.loads(line))
            yield RowOwner(text(said["id"]), *(text(said[name]) for name in RowOwner._fields[1:]))
        return
    import pyarrow.parquet as pq

    with pq.ParquetFile(opened) as parquet:
        for batch in parquet.iter_batches(_BATCH, columns=["id", *_SAID]):
            for said in batch.to_pylist():
                yield RowOwner(said["id"], *(said[name] for name in _SAID))

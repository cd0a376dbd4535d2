"""Looking for what remains of somebody, or of a session: in the home, and in folders named beside.

Rules kept here:

* What is looked for are words (their email and names, as far as they are known or were given), ids
  and digests by which they were found, and keys of theirs that open still, by the home's root and
  by each root that lies in the folders.
* Every file is read in pieces, whatever its size; what is compressed is looked into. Nothing that
  is sealed is opened but what the audit record says of people, which a search at an erasure reads
  too: no policy lets anybody read others' sessions for this.
* Of what is found is told the place, the kind, how often, and why it is there: never what it is.
* Folders beside are read and not touched: their databases are opened as they lie.

Rows: R5, R6.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from bailee.accounts import emails
from bailee.accounts.attempts import digest_of
from bailee.db.engine import overwrites
from bailee.db.searching_there import search_too
from bailee.errors import BaileeError, InputError, StorageError
from bailee.home.searching import Search, Trace, search
from bailee.keyring import FileRoot, Root
from bailee.keyring.copies import opening
from bailee.ledger.verifying import copied
from bailee.node import databases, subjects
from bailee.node import erasure_receipt as said
from bailee.node import traces as traces_of
from bailee.node.stores import Stores

GIVEN: Final = "word that was given"
KEY: Final = "key that opens"
_ALL: Final = 1 << 50
_ROOTS: Final = "root.json*"
_KEYRINGS: Final = "keyring.db*"
_FILES: Final = ("data/data.db", "keyring/keyring.db")
_LATER: Final = ("-wal", "-shm", "-journal")

UNSEEN: Final = (
    "Sealed content was not opened: sessions, reports, cloud outputs, metrics and errors are under "
    "keys, and no policy lets anybody read them for this. Nor was base64 looked into, nor words "
    "under six bytes, nor what is not in these folders. A file that can't be looked into is named."
)


def unseen(node: Stores) -> str:
    """What was not looked into."""
    pages = "" if overwrites(node.data) else said.NO_PAGES
    return UNSEEN + pages + ("" if node.objects.where is None else said.NO_BUCKET)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: traces, and the keyring's names of keys. `subject`: whose, an id, if one
    is known.
    """

    subject: str | None
    traces: tuple[Trace, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Remain:
    """Something that was found. `expected`: it is left on purpose, for the reason given."""

    where: str
    what: str
    count: int
    why: str
    until: str
    expected: bool


@dataclass(frozen=True, slots=True)
class Searched:
    """One folder: what was read there, and the files that could not be looked into."""

    folder: str
    files: int
    bytes: int
    databases: int
    opened: int
    closed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of it. `untried`: copies of a root or keyring that could not be tried."""

    searched: tuple[Searched, ...]
    found: tuple[Remain, ...]
    untried: tuple[str, ...]


def of_person(node: Stores, named: str, also: Sequence[str], now: datetime) -> Wanted:
    """What to look for of a person (id or email) or account; of an email that nobody has, or has
    any more, that email and its digests. `also`: words that were given.

    Raises:
        InputError: `not_found`, there is no such id.
    """
    words = [*also, *([named] if "@" in named else [])]
    found = dict.fromkeys(_given(node, words))
    try:
        subject = subjects.find(node.registry.people, node.accounts, named)
    except InputError:
        if "@" not in named:
            raise
        return Wanted(None, tuple(found), ())
    found |= dict.fromkeys(traces_of.gather(node, subject, now))
    ids = [subject.id, *([] if subject.account is None else [subject.account.account_id])]
    found |= dict.fromkeys(Trace(traces_of.OURS, one.encode()) for one in ids)
    things = [one.id for one in found if one.id]
    return Wanted(subject.id, tuple(found), (subject.id, *_keys_of(node, things)))


def of_session(node: Stores, session: str, also: Sequence[str]) -> Wanted:
    """What to look for of one session, whether there is one of this id or not."""
    by_id = Trace(traces_of.SESSION, session.lower().encode(), session)
    return Wanted(session, (by_id, *_given(node, also)), tuple(_keys_of(node, [session])))


def look(node: Stores, wanted: Wanted, beside: Sequence[Path]) -> Looked:
    """Search the home and the folders.

    Raises:
        InputError: one of them is no folder, or not outside of the home.
        StorageError: one can't be read.
    """
    home = node.home.path.resolve()
    for folder in beside:
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}.", code="not_found")
        if home.is_relative_to(folder.resolve()) or folder.resolve().is_relative_to(home):
            raise InputError(f"{folder} is not outside of the home.", hint="the home is searched")
    searched, remains = [], [*_on_record(node, wanted), *_living(node, wanted)]
    untried: list[str] = []
    for folder in (node.home.path, *beside):
        found = search(folder, wanted.traces, most=_ALL, within=True, still=folder in beside)
        if folder == node.home.path:
            there = databases.there(node.data, node.keyring.engine)
            found = search_too(found, there, wanted.traces, most=_ALL)
        searched.append(_searched(folder, found))
        prefix = "" if folder == node.home.path else f"{folder}/"
        remains += _found(found, prefix)
    roots = [node.keyring.root, *_roots(beside, untried)]
    for folder in beside:
        remains += _opening(folder, roots, wanted.keys, untried)
    return Looked(tuple(searched), tuple(remains), tuple(untried))


def _given(node: Stores, words: Sequence[str]) -> Iterator[Trace]:
    """Words that were given, in their spellings; of an email the digests too."""
    for word in words:
        yield from traces_of.spelled(GIVEN, word)
        if "@" not in word:
            continue
        email = emails.normal(word)
        names = node.registry.identifiers
        for raw in (names.index("email", email), digest_of(names, "email", email)):
            yield Trace(traces_of.DIGEST, raw.lower())
            yield Trace(traces_of.DIGEST, raw.hex().encode())


def _keys_of(node: Stores, things: Sequence[str]) -> Iterator[str]:
    for thing in things:
        yield from node.holds.keeper(thing).keys_of(thing).values()


def _on_record(node: Stores, wanted: Wanted) -> Iterator[Remain]:
    """What the audit record says of them under others' keys."""
    words = [one.word for one in wanted.traces if one.what in (traces_of.EMAIL, GIVEN)]
    numbers = node.ledger.naming(lambda text: _has(text, words)) if words else []
    if numbers:
        yield Remain(
            f"{_places(node)[0]} audit, sealed", GIVEN, len(numbers), *_CHANCE, expected=False
        )


def _places(node: Stores) -> tuple[str, str]:
    """What the two databases are called."""
    data, keys = databases.SETTINGS
    return _FILES if overwrites(node.data) else (data, keys)


def _has(text: str, words: Collection[bytes]) -> bool:
    raw = text.encode("utf-8", "backslashreplace").lower()
    return any(word and word in raw for word in words)


def _living(node: Stores, wanted: Wanted) -> Iterator[Remain]:
    if count := len(node.keyring.living(list(wanted.keys))):
        yield Remain(_places(node)[1], KEY, count, *_CHANCE, expected=False)


def _opening(
    folder: Path, roots: Sequence[Root], keys: Sequence[str], untried: list[str]
) -> Iterator[Remain]:
    """Keys that open in the copies of a keyring that lie in a folder."""
    for path in sorted(folder.rglob(_KEYRINGS)):
        if not path.is_file() or path.name.endswith(_LATER):
            continue
        try:
            with copied(path) as engine:
                count = max(opening(engine, root, keys) for root in roots)
        except StorageError:
            untried.append(str(path))
            continue
        if count:
            why = "this copy of the keyring, and a root that opens it, are older than the erasure"
            yield Remain(str(path), KEY, count, why, "one of the two is destroyed", expected=False)


def _roots(folders: Sequence[Path], untried: list[str]) -> Iterator[Root]:
    """Roots that lie about, beside the one that the home has."""
    for path in sorted(path for folder in folders for path in folder.rglob(_ROOTS)):
        try:
            yield FileRoot(path, may_make=False)
        except BaileeError:  # another driver's, or others may read it
            untried.append(str(path))


_CHANCE: Final = (said.CHANCE, said.UNKNOWN)


def _found(found: Search, prefix: str) -> Iterator[Remain]:
    for one in said.left(found, beside=prefix != ""):
        expected = one["until"] != said.UNKNOWN
        where = f"{prefix}{one['where']}"
        yield Remain(where, one["what"], one["count"], one["why"], one["until"], expected)


def _searched(folder: Path, found: Search) -> Searched:
    return Searched(
        str(folder), found.files, found.bytes, found.databases, found.opened, found.closed
    )


def by_kind(wanted: Wanted) -> dict[str, int]:
    """How much of each kind is looked for."""
    return dict(sorted(Counter(one.what for one in wanted.traces).items()))

"""Rows that are nearly the same, found by signatures alone (MinHash and LSH, by rensa).

A signature is made where the row is; what compares them sees no content. It says a little of the
content all the same: it lies beside the rows while an export goes on, and nowhere else.

The first row, in the order of the export, stays; every other says which that is. Compared are
runs of five words of what person, model and tools said: instructions and declared tools are the
same in every conversation of a client, and are left out.

Standard: Broder, "On the resemblance and containment of documents" (1997).
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bailee.errors import StorageError
from bailee.training.dataset import Row

if TYPE_CHECKING:
    from rensa import RMinHash

ALIKE: Final = 0.8
"""Share of the runs of words from which on rows are nearly the same."""

_PERMUTATIONS: Final = 128
_BANDS: Final = 16  # of eight values each: who has one of them in common is compared
_SEED: Final = 1
_WORDS: Final = 5
_MOST_WORDS: Final = 200_000
_WORD: Final = re.compile(r"\w+")
_MOST_ALIKE: Final = 16
"""So many rows of each band are compared: who says half the same thousands of times costs no more.
"""
_WITH_BAND: Final = "SELECT place FROM bands WHERE value = ? ORDER BY place LIMIT ?"
_STAYS: Final = "SELECT id, signature FROM stays WHERE place = ?"
_FILE: Final = "near-duplicates.sqlite"
_TABLES: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -16384;
CREATE TABLE stays (place INTEGER PRIMARY KEY, id TEXT, signature BLOB);
CREATE TABLE bands (value INTEGER, place INTEGER, PRIMARY KEY (value, place)) WITHOUT ROWID;
CREATE TABLE marks (shard INTEGER, id TEXT, first TEXT, PRIMARY KEY (shard, id)) WITHOUT ROWID;
BEGIN;
"""


def signature(row: Row) -> bytes:
    """A row's signature: about 600 bytes; the same for the same words, on every machine."""
    from rensa import RMinHash

    made = RMinHash(num_perm=_PERMUTATIONS, seed=_SEED)
    made.update(sorted(set(_runs(row))))
    state = made.__reduce__()[2]
    assert isinstance(state, bytes)
    return state


def _runs(row: Row) -> Iterator[str]:
    words: list[str] = []
    for message in row.messages:
        if message.role == "system":
            continue
        for text in (message.content, *(one.arguments for one in message.tool_calls)):
            for found in _WORD.finditer(text):
                words.append(found[0].lower())
                if len(words) == _MOST_WORDS:
                    break
    if len(words) < _WORDS:
        yield " ".join(words)
    for start in range(len(words) - _WORDS + 1):
        run = " ".join(words[start : start + _WORDS])
        yield hashlib.blake2b(run.encode(), digest_size=8).hexdigest()


class NearDuplicates:
    """The rows of one export that are nearly the same as an earlier one. `Finishing` makes one and
    closes it, on its thread. What is known of the rows that stay, some 1 KB each, lies in a file,
    however many they are: in memory are 16 MB of it. The file is of use to nobody later: it is
    made anew each time, and nothing of it is made durable.
    """

    def __init__(self, folder: Path) -> None:
        """`folder`: where the file lies.

        Raises:
            StorageError: there can be no such file.
        """
        self._path = folder / _FILE
        self.count = 0
        self._stays = 0
        try:
            self._path.unlink(missing_ok=True)
            self._file = sqlite3.connect(self._path, isolation_level=None)
            self._file.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise _failed(error) from error

    def add(self, shard: int, row: str, state: bytes) -> bool:
        """The next row, in their order, by its id and signature: whether it is nearly the same as
        an earlier one.

        Raises:
            ValueError: that is no signature.
            StorageError: the file can't be written.
        """
        this = _restored(state)
        values = _values(this)
        try:
            first = self._first(this, values)
            if first is not None:
                self._file.execute("INSERT INTO marks VALUES (?, ?, ?)", (shard, row, first))
                self.count += 1
                return True
            self._file.execute("INSERT INTO stays VALUES (?, ?, ?)", (self._stays, row, state))
            self._file.executemany(
                "INSERT OR IGNORE INTO bands VALUES (?, ?)",
                [(value, self._stays) for value in values],
            )
        except sqlite3.Error as error:
            raise _failed(error) from error
        self._stays += 1
        return False

    def of(self, shard: int) -> dict[str, str]:
        """The rows of a shard that are nearly the same as an earlier one, each with the id of that.

        Raises:
            StorageError: the file can't be read.
        """
        try:
            found = self._file.execute("SELECT id, first FROM marks WHERE shard = ?", (shard,))
            return dict(found.fetchall())
        except sqlite3.Error as error:
            raise _failed(error) from error

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _first(self, this: RMinHash, values: list[int]) -> str | None:
        """The first that is nearly the same, among the first few of those with a band in common."""
        alike: set[int] = set()
        for value in values:
            asked = (value, _MOST_ALIKE)
            alike.update(one[0] for one in self._file.execute(_WITH_BAND, asked))
        for place in sorted(alike):
            identifier, state = self._file.execute(_STAYS, (place,)).fetchone()
            if this.jaccard(_restored(state)) >= ALIKE:
                return str(identifier)
        return None


def _values(this: RMinHash) -> list[int]:
    """What stands for each band, as a whole number of 64 bits."""
    found = this.digest()
    size = _PERMUTATIONS // _BANDS
    packed = struct.Struct(f"<H{size}I")
    return [
        int.from_bytes(
            hashlib.blake2b(
                packed.pack(band, *found[size * band : size * (band + 1)]), digest_size=8
            ).digest(),
            "little",
            signed=True,
        )
        for band in range(_BANDS)
    ]


def _failed(error: Exception) -> StorageError:
    return StorageError(
        f"what finds rows that are nearly the same can't be written ({type(error).__name__}).",
        hint="check the dataset's folder and its room, and run it again: it goes on",
    )


def _restored(state: bytes) -> RMinHash:
    from rensa import RMinHash

    made = RMinHash(num_perm=_PERMUTATIONS, seed=_SEED)
    made.__setstate__(state)
    return made

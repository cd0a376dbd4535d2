"""Rows that are nearly the same, found by signatures alone (MinHash and LSH, by rensa).

A signature is made where the row is; what compares them sees no content. It says a little of the
content all the same: it is kept in memory while an export goes on, and nowhere else.

The first row, in the order of the export, stays; every other says which that is. Compared are
runs of five words of what person, model and tools said: instructions and declared tools are the
same in every conversation of a client, and are left out.

Standard: Broder, "On the resemblance and containment of documents" (1997).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from bailee.training.dataset import Row

if TYPE_CHECKING:
    from rensa import RMinHash

ALIKE: Final = 0.8
"""Share of the runs of words from which on rows are nearly the same."""

_PERMUTATIONS: Final = 128
_BANDS: Final = 16
_SEED: Final = 1
_WORDS: Final = 5
_MOST_WORDS: Final = 200_000
_WORD: Final = re.compile(r"\w+")


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


def mark(signatures: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, str]]:
    """Of rows in their order, each that is nearly the same as an earlier one, and the id of that;
    told before the next signature is taken.

    It holds the signatures of the rows that stay: about 1 KB each.

    Raises:
        ValueError: what is no signature.
    """
    from rensa import RMinHashLSH

    index = RMinHashLSH(threshold=ALIKE, num_perm=_PERMUTATIONS, num_bands=_BANDS)
    stay: list[tuple[str, RMinHash]] = []
    for identifier, state in signatures:
        this = _restored(state)
        alike = (stay[place] for place in sorted(index.query(this)))
        first = next((one for one, other in alike if this.jaccard(other) >= ALIKE), None)
        if first is None:
            index.insert(len(stay), this)
            stay.append((identifier, this))
        else:
            yield identifier, first


def _restored(state: bytes) -> RMinHash:
    from rensa import RMinHash

    made = RMinHash(num_perm=_PERMUTATIONS, seed=_SEED)
    made.__setstate__(state)
    return made

"""What has changed in a database since somebody last looked, and for how long what they have in
memory may be gone by. Pure.

Theory of operation: each change of a row that is had in memory elsewhere gets a number, one above
the last, and a mark that is drawn for it (`change_log`). Who has read everything as of a number
asks for that one and what came after it.

Rules kept here:

* There is no gap among numbers. Where the known number is still there, with its mark, and all that
  follow, they say in order which rows to read anew. Otherwise all is read anew: it was too long
  ago, or the database has another past than the one that was read (a primary was lost with its last
  commits, something was put back).
* A confirmation counts from before the question: its answer may lack what came later.
* Who has no confirmation within `BOUND` goes by nothing, until there is one. That is told by a
  clock that nobody sets, and asked at each use: nothing has to run for it.
* Another may have said that it is good for longer while the database can't be reached. That counts
  once a look has failed for this reason, and no longer than until one fails for another. So nobody
  who slept, or stands still, goes by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from bailee.errors import StorageError

if TYPE_CHECKING:
    from bailee.clock import Ticks

BOUND: Final = 10.0
"""For how many seconds after a confirmation what is in memory may be gone by."""
EVERY: Final = 2.0
"""Seconds between two looks, where nothing says that something has changed."""


class DataVersion(NamedTuple):
    """Up to which change something was read: its number, and its mark."""

    number: int
    mark: int


NOTHING: Final = DataVersion(0, 0)
"""Before the first change of all."""


class RowChange(NamedTuple):
    """A row of a table was made, changed or removed. `id`: by which it is found there, as text."""

    number: int
    mark: int
    table: str
    id: str

    @property
    def version(self) -> DataVersion:
        """What is known once this change is."""
        return DataVersion(self.number, self.mark)


@dataclass(frozen=True, slots=True)
class ChangedRows:
    """What to read anew, to know all as of `version`. `rows`: by table, the ids of rows; None:
    everything.
    """

    version: DataVersion
    rows: Mapping[str, frozenset[str]] | None

    def of(self, table: str) -> frozenset[str]:
        """The ids of a table's rows, where not everything is to be read."""
        return frozenset() if self.rows is None else self.rows.get(table, frozenset())


def since(known: DataVersion, found: Sequence[RowChange]) -> ChangedRows | None:
    """What has changed since `known`, by the changes from its number on, in order. None: they don't
    follow from it, so all is to be read anew.
    """
    if not found:
        return ChangedRows(known, {}) if known == NOTHING else None
    if found[0].version != known:
        return None
    rows: dict[str, set[str]] = {}
    for number, change in enumerate(found[1:], known.number + 1):
        if change.number != number:
            return None
        rows.setdefault(change.table, set()).add(change.id)
    return ChangedRows(found[-1].version, {table: frozenset(ids) for table, ids in rows.items()})


class Confirmation:
    """When what is in memory was last known to be what the database has. Whoever reads the database
    notes it, on one thread; whoever goes by what is in memory asks first, on any.
    """

    def __init__(self, ticks: Ticks, bound: float = BOUND) -> None:
        self._ticks = ticks
        self._bound = bound
        self._unreached_bound = bound
        self._unreached = False
        self._asked = float("-inf")

    def note(self, asked: float) -> None:
        """It is so as of `asked`, in seconds of the clock, from before the question."""
        self._asked = max(self._asked, asked)
        self._unreached = False

    def missed(self, *, unreached: bool) -> None:
        """A look failed. `unreached`: since the database can't be reached, and for no other
        reason.
        """
        self._unreached = unreached

    def let_go_on(self, seconds: float) -> None:
        """From now on it is good for so many seconds where the database can't be reached, and never
        for fewer than otherwise.
        """
        self._unreached_bound = max(self._bound, seconds)

    @property
    def age(self) -> float:
        """Seconds since then; infinite, if there was none."""
        return self._ticks() - self._asked

    @property
    def is_stale(self) -> bool:
        """Whether it is too long ago."""
        return not self.age < self._good_for

    @property
    def goes_on(self) -> bool:
        """Whether the database can't be reached, and it is good all the same."""
        return self._unreached and not self.is_stale

    @property
    def _good_for(self) -> float:
        return self._unreached_bound if self._unreached else self._bound

    def require(self) -> None:
        """Go on only if it is not.

        Raises:
            StorageError: code `outdated`.
        """
        if self.is_stale:
            raise StorageError(
                "which keys are good, and what the policy says, was not confirmed for "
                f"{self._good_for:g} seconds.",
                code="outdated",
                hint="see that PostgreSQL runs and is reached from here; it goes on by itself then",
            )

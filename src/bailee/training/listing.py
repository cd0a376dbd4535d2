"""The list of a dataset's sessions, as it lies there: read a shard at a time, so that a check holds
the sessions of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Final, NamedTuple

import orjson

from bailee.errors import IntegrityError
from bailee.json_values import members, text, whole
from bailee.training import manifest

_MOST: Final = 100_000  # sessions of a shard; an export has some hundred in each


class RowsAllowed(NamedTuple):
    """Of a session how many rows it has, its clause, and the commitment to its consent record."""

    rows: int
    clause: str
    consent: str


class SessionsListed:
    """The sessions that are in a dataset, by its list. Whoever checks the dataset makes one, and
    asks for each shard once, in order. It owns nothing: the lines are the caller's.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._groups = groupby(_sessions(lines), key=lambda one: one[0])
        self._ahead: tuple[int, dict[str, RowsAllowed]] | None = None
        self.passed_over = 0
        """Sessions of shards that nobody asked for, or that stand in another order."""

    def of(self, shard: int) -> Mapping[str, RowsAllowed]:
        """The sessions of a shard, by commitment.

        Raises:
            IntegrityError: the list can't be read from here on.
        """
        while True:
            found = self._take()
            if found is None or found[0] > shard:
                self._ahead = found
                return {}
            if found[0] == shard:
                return found[1]
            self.passed_over += len(found[1])

    def finish(self) -> None:
        """Pass over what is left. Errors as in `of`."""
        while (found := self._take()) is not None:
            self.passed_over += len(found[1])

    def _take(self) -> tuple[int, dict[str, RowsAllowed]] | None:
        found, self._ahead = self._ahead, None
        if found is not None:
            return found
        for shard, group in self._groups:
            sessions: dict[str, RowsAllowed] = {}
            for _, name, allowed in group:
                sessions[name] = allowed
                if len(sessions) > _MOST:
                    raise IntegrityError("the list has too many sessions for one file.")
            return shard, sessions
        return None


def _sessions(lines: Iterable[bytes]) -> Iterator[tuple[int, str, RowsAllowed]]:
    """Each session that is in, with its shard. Those that were taken out are passed over."""
    try:
        for line in lines:
            said = members(orjson.loads(line))
            if "left" not in said:
                name, rows = manifest.session_of(line)
                allowed = RowsAllowed(rows, text(said.get("clause")), text(said.get("consent")))
                yield whole(said.get("shard")), name, allowed
    except (OSError, ValueError) as error:
        raise IntegrityError("the list of sessions can't be read.") from error

"""How things end that have a key each, one as the other: reports, what a cloud session leaves.

    requested: on record   →   inaccessible: denied to everybody   →   the key is destroyed
                                                  ↓ held                       ↑
                                              deferred: the hold keeps the key ┘ released
    then the bytes and rows go

Rules kept here:

* Each step is noted when it is taken, and can be taken twice; a crash is found by the receipt.
* What a hold keeps is taken by it before the key is destroyed. So the thing's own key goes in any
  case, and nobody reads what is held but for the matter.
* Sessions of the vault end in sets, under keys of whole epochs: see `vault.forgetting`.

Rows: R5, R6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bailee.keeping.holds import Holds
from bailee.keeping.receipts import (
    DEFERRED,
    INACCESSIBLE,
    REQUESTED,
    Due,
    Receipt,
    Receipts,
)
from bailee.keyring import Keyring


class Shelves(Protocol):
    """What a store does with the things that receipts are of. Each can be done twice. `Ending`
    calls it, inside the store's lock.
    """

    def key_of(self, receipt: Receipt) -> str:
        """The keyring's name of a thing's key."""

    def deny(self, receipt: Receipt, now: datetime) -> None:
        """Let nobody read it from now on."""

    def remove(self, receipt: Receipt) -> None:
        """Remove its bytes and its rows."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The ends of one store's things, of which receipts are of these `kinds`. The store calls it,
    inside its lock; `end_all` takes that by itself.
    """

    of: Shelves
    kinds: frozenset[str]
    keyring: Keyring
    holds: Holds
    receipts: Receipts

    def begin(
        self,
        kind: str,
        some: Sequence[Due],
        now: datetime,
        *,
        by: str | None = None,
        part_of: str | None = None,
    ) -> list[Receipt]:
        """Destroy these things, as far as holds allow: their receipts.

        Raises:
            StorageError: a store failed; `finish` goes on with those that have receipts.
        """
        asked = self.receipts.request(kind, some, now, by=by, part_of=part_of)
        self._drive(asked, now)
        return [self.receipts.get(one.id) for one in asked]

    def end_all(
        self,
        kind: str,
        due: Callable[[], Sequence[Due]],
        now: datetime,
        *,
        lock: AbstractContextManager[object],
        by: str | None = None,
        part_of: str | None = None,
    ) -> int:
        """Destroy what `due` gives, some at a time, until it gives nothing; how many things. It
        gives nothing again that was destroyed or waits for a hold. The `lock` is held for one
        portion, so that who writes waits for no more.

        Raises:
            StorageError: as `begin`.
        """
        count = 0
        while True:
            with lock:
                some = due()
                if not some:
                    return count
                self.begin(kind, some, now, by=by, part_of=part_of)
            count += len(some)

    def finish(self, now: datetime) -> int:
        """Go on with what a crash or a failing store interrupted; how many things."""
        begun = self.receipts.begun(self.kinds)
        self._drive(begun, now)
        return len(begun)

    def resume(self, subject: str, now: datetime) -> None:
        """Go on with what waited for the last hold on a thing."""
        self._drive(self.receipts.deferred(subject), now)

    def _drive(self, some: Sequence[Receipt], now: datetime) -> None:
        if not some:
            return
        asked = [one for one in some if one.state == REQUESTED]
        for one in asked:
            self.of.deny(one, now)
        self.receipts.advance_all(asked, INACCESSIBLE, now)
        held = self.holds.held().intersection(one.subject for one in some)
        for subject in held:
            self.holds.secure(subject)
        self.keyring.destroy([self.of.key_of(one) for one in some])
        self.receipts.advance_all([one for one in some if one.subject in held], DEFERRED, now)
        going = [one for one in some if one.subject not in held]
        self.receipts.let_go(going, now)
        for one in going:
            self.of.remove(one)
            self.receipts.without(self.of.key_of(one))

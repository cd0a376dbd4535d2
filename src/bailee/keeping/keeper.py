"""What a store promises whose things are kept under terms: sessions, reports, what a cloud session
leaves.

Rules kept by each keeper:

* What is past its time, or erased, is read by nobody from that moment on. Then its keys are
  destroyed, then its bytes and rows go; a receipt follows each step, and a crash is found by it.
* What is held (`holds`) is denied to everybody all the same; its end is deferred until the last
  hold on it is released.
* A thing's id says by its beginning which keeper has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

KeyOf = Callable[[str], bytes | None]
"""By the name of a part: the key that a hold keeps of it, None if it keeps none."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose things: a person's, with or without an account of their own; or those of an account
    that has no person.
    """

    account_id: str | None
    person_id: str | None


class Swept(Protocol):
    """A store from which goes what is past its time. `Sweeping` calls it, on whichever thread
    sweeps, one sweep at a time.
    """

    @property
    def name(self) -> str:
        """What its step of the sweep is called."""

    def sweep(self, now: datetime) -> Mapping[str, int]:
        """Destroy what is past its time and finish what was begun; how much of what.

        Raises:
            StorageError: a store failed; the next sweep goes on.
        """


class Counted(Protocol):
    """A store that counts what people did, under their ids. An erasure calls it, on any thread."""

    def forget(self, whose: Owner) -> None:
        """Make what is counted of somebody a total that names nobody. Can be repeated.

        Raises:
            StorageError: a store failed; call again.
        """


class Keeper(Protocol):
    """A store of things that are somebody's. Its methods may be called from any thread."""

    @property
    def what(self) -> str:
        """What one of its things is called: `session`."""

    @property
    def prefix(self) -> str:
        """What the ids of its things begin with, and no others'; empty: all others'."""

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Held while something of it is destroyed."""

    def is_kept(self, thing: str, now: datetime) -> bool:
        """Whether there is something of it that can be read at `now`."""

    def keys_of(self, thing: str) -> Mapping[str, str]:
        """The keyring's names of its keys, by the part that each is of."""

    def resume(self, thing: str, now: datetime) -> None:
        """Go on with what holds have deferred; there is none any more. Inside its lock."""

    def read_held(self, thing: str, key_of: KeyOf) -> Iterator[bytes]:
        """What a hold keeps of a thing, as JSON Lines, whether its time has passed or not.

        Raises:
            IntegrityError: it is not what was written.
        """

    def follow(self, account_id: str, chosen_at: datetime | None, policy: int) -> None:
        """Let an account's things follow its present choice and the document that holds, so far as
        they do. `policy`: the number of the last document that changed something for it.

        Raises:
            StorageError: a store failed; call again.
        """

    def erase(self, whose: Owner, now: datetime, part_of: str, by: str) -> None:
        """Destroy all that is somebody's, as a part of an erasure; what is held is deferred. Can be
        broken off and repeated.

        Raises:
            StorageError: a store failed; call again.
        """

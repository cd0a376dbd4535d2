"""A root whose keys a service holds and never hands out: what all such drivers share.

Rules kept here:

* What went wrong is the service's fault unless it says that a wrap does not authenticate. Then it
  is a `StorageError` with the code `root_unreachable`: nothing is set aside, nothing destroyed.
* A service that failed is left alone for a second, then for longer, up to half a minute: whoever
  needs a key meanwhile is refused at once, and does not wait for a service that hangs.
* Which generations there are is read at the opening, and anew before one is made and after some
  were destroyed: an answer that was lost is found again, and a destruction is not believed unread.
* Neither a token, a PIN nor an answer of the service is in an error.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

from bailee.clock import Ticks, ticks
from bailee.errors import IntegrityError, StorageError
from bailee.keyring.roots.root import Bound, Root, gone

SECONDS: Final = 5.0
"""How long a service may be silent."""
CONNECTING: Final = 3.0
"""How long it may take to be reached."""
_HINT: Final = "whoever runs it: is it the service that keyring.root names?"
_LONGEST: Final = 30.0
_AT_ONCE: Final = 8

T = TypeVar("T")
U = TypeVar("U")


class RootUnreachable(Exception):
    """A service does not answer, or refuses. `what`: in words, without anything that it said;
    `hint`: who has to do what.
    """

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what, self.hint = what, hint


class ServicePatience:
    """For how long a service is left alone after it failed. A root has one; any thread."""

    def __init__(self, ticking: Ticks) -> None:
        self._ticks = ticking
        self._failed = 0
        self._until = 0.0
        self._last: tuple[str, str] | None = None  # not the error: that keeps all its callers

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        """Around a call of the service that is called `name` in an error.

        Raises:
            StorageError: code `root_unreachable`: it failed now, or a moment ago.
        """
        last = self._last
        if last is not None and self._ticks() < self._until:
            raise _refused(name, *last)
        try:
            try:
                yield
            except (LookupError, TypeError, ValueError):
                raise RootUnreachable("gave something that is no answer", _HINT) from None
        except RootUnreachable as error:
            self._failed += 1
            self._until = self._ticks() + min(_LONGEST, 2.0 ** (self._failed - 1))
            self._last = error.what, error.hint
            raise _refused(name, *self._last) from None
        self._failed, self._last = 0, None


def _refused(name: str, what: str, hint: str) -> StorageError:
    return StorageError(
        f"{name}, which holds the root key, {what}; what needs a key that is not open yet "
        "is refused.",
        code="root_unreachable",
        hint=hint,
    )


class ServiceRoot(Root):
    """A root in a service. A driver says how the service lists, makes and ends generations, seals
    and opens; each raises `RootUnreachable` where it can't.

    It is asked from any thread, which waits for the service; of those that make or end generations
    one goes on at a time. It owns a few threads, to ask for several keys at once. No key of a
    generation is ever here.
    """

    called = "the service"
    """How it is named in an error."""

    def __init__(self, *, may_make: bool, moving: bool = False, ticking: Ticks = ticks) -> None:
        """What the driver's `__init__` ends with. `may_make`: a first generation, if nothing is
        wrapped under one that was here before; while a home is `moving`, there may be none left.

        Raises:
            IntegrityError: there is no generation, and it may make none.
            StorageError: code `root_unreachable`.
        """
        self._patience = ServicePatience(ticking)
        self._changing = threading.RLock()  # while generations are made or ended, and read anew
        self._pool = ThreadPoolExecutor(_AT_ONCE, "root")  # its threads begin when they are needed
        self._living: tuple[int, ...] = ()
        self._read()
        if self._living or (moving and not may_make):
            return
        if not may_make:
            raise IntegrityError(
                f"{self.called} has no root key, and the keyring has keys under one.",
                code="home_parts",
                hint="whoever runs it must bring the key back; nothing was changed",
            )
        self.add()

    # -- what a driver says ----------------------------------------------------------------------

    @abstractmethod
    def _list(self) -> tuple[int, ...]:
        """The living generations, in order: what could open a wrap, or be made to."""

    @abstractmethod
    def _make(self) -> None:
        """Make the next."""

    @abstractmethod
    def _end(self, generation: int) -> None:
        """Destroy the generations up to this one."""

    @abstractmethod
    def _seal(self, generation: int, some: Sequence[Bound]) -> list[bytes]:
        """Wrap under a living generation."""

    @abstractmethod
    def _open(self, generation: int, some: Sequence[Bound]) -> list[bytes | IntegrityError]:
        """Unwrap under a living generation."""

    # -- what a root does ------------------------------------------------------------------------

    def generations(self) -> tuple[int, ...]:
        """The living generations, as they were last read."""
        return self._living

    def add(self) -> int:
        """Make the next generation; one of which only the answer was lost is taken."""
        with self._changing:
            before = self._living[-1:]
            self._read()
            if self._living[-1:] == before:
                with self._patience.call(self.called):
                    self._make()
                self._read()
            if not self._living or self._living[-1:] == before:
                raise self._untrue("made no new generation of it")
            return self._living[-1]

    def destroy(self, generation: int) -> None:
        """Destroy generations, and look whether they are gone."""
        with self._changing:
            self._read()
            if self._living and self._living[0] <= generation:
                with self._patience.call(self.called):
                    self._end(generation)
                self._read()
            if self._living and self._living[0] <= generation:
                raise self._untrue(f"still has generation {self._living[0]} of it")

    def wrap_all(self, generation: int, some: Sequence[Bound]) -> list[bytes]:
        """Keys sealed under a generation."""
        if generation not in self._living:
            raise gone(generation)
        with self._patience.call(self.called):
            return self._seal(generation, some)

    def unwrap_all(self, generation: int, some: Sequence[Bound]) -> list[bytes | IntegrityError]:
        """What `wrap_all` sealed."""
        if generation not in self._living:
            return [gone(generation)] * len(some)
        with self._patience.call(self.called):
            return self._open(generation, some)

    def _each(self, call: Callable[[T], U], some: Sequence[T]) -> list[U]:
        """One call of the service for each of some, a few at a time."""
        return [call(one) for one in some] if len(some) == 1 else [*self._pool.map(call, some)]

    def _read(self) -> None:
        with self._patience.call(self.called):
            self._living = self._list()

    def _untrue(self, what: str) -> StorageError:
        return StorageError(
            f"{self.called}, which holds the root key, {what}.",
            code="root_unreachable",
            hint="whoever runs it: look what may be done with the key, and by whom",
        )

"""The root key: what everything in the keyring is wrapped under, and where it is kept.

* A root has generations. `add` makes a new one; `destroy` makes old ones unusable for good, and
  with them every older copy of the keyring that was wrapped under them.
* A driver wraps and unwraps; it need not hand out the key, so a key management service fits.
* That something does not authenticate is an `IntegrityError`: the keyring's fault. Whatever else
  goes wrong is not, and nothing is set aside or destroyed for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from bailee.errors import IntegrityError

Random = Callable[[int], bytes]
Bound: TypeAlias = "tuple[bytes, bytes]"
"""A key, or what it was wrapped to; and the bytes that the wrap is bound to."""


class Root(ABC):
    """A root key with generations. Whoever opens a home makes one, and the keyring's store has it:
    it wraps and unwraps from any thread, and makes and destroys generations on one at a time. When
    that is due it never decides.
    """

    driver: str
    """What `keyring.root` calls it."""
    lag = timedelta(0)
    """How long a generation could still be brought back after `destroy`."""
    first_made: datetime | None = None
    """When the first generation was made, of a root that has never had another and whose service
    makes that one with the key itself. None: of any other."""

    @abstractmethod
    def generations(self) -> tuple[int, ...]:
        """The living generations as far as is known, oldest first. New wraps use the last."""

    @abstractmethod
    def add(self) -> int:
        """Make the next generation, durable when this returns; its number.

        Raises:
            StorageError: it can't be made, or it is not known that it was. Call again.
        """

    @abstractmethod
    def destroy(self, generation: int) -> None:
        """Make a generation and every older one unusable for good. Nothing happens if they are gone
        already.

        Raises:
            StorageError: it is not known that they are gone. Call again.
        """

    @abstractmethod
    def wrap_all(self, generation: int, some: Sequence[Bound]) -> list[bytes]:
        """Keys sealed under a generation, each bound to its data.

        Raises:
            StorageError: the root is not to be reached.
        """

    @abstractmethod
    def unwrap_all(self, generation: int, some: Sequence[Bound]) -> list[bytes | IntegrityError]:
        """What `wrap_all` sealed; in the place of one that does not authenticate (`tampered`), or
        whose generation has been destroyed (`key_destroyed`), the error.

        Raises:
            StorageError: the root is not to be reached.
        """

    def wrap(self, generation: int, key: bytes, data: bytes) -> bytes:
        """One key. Errors as in `wrap_all`."""
        return self.wrap_all(generation, [(key, data)])[0]

    def unwrap(self, generation: int, wrapped: bytes, data: bytes) -> bytes:
        """One key.

        Raises:
            IntegrityError: it does not authenticate (`tampered`), or the generation has been
                destroyed (`key_destroyed`).
            StorageError: the root is not to be reached.
        """
        (found,) = self.unwrap_all(generation, [(wrapped, data)])
        if isinstance(found, IntegrityError):
            raise found
        return found


def gone(generation: int) -> IntegrityError:
    """The error that a generation is not there."""
    return IntegrityError(
        f"root generation {generation} has been destroyed.",
        code="key_destroyed",
        hint="this copy of the keyring is older than the last rotation",
    )


def unauthentic(what: str) -> IntegrityError:
    """The error that a service's wrap does not open. `what` names it."""
    return IntegrityError(
        f"{what} does not authenticate.",
        hint="the store was changed or damaged; restore it from a backup",
    )

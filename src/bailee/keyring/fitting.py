"""Whether a keyring and a root are of one another, and which of the two is older.

What is wrapped names the root's generation. A root that has not come as far as a wrap is older than
the keyring; a keyring whose every wrap is under generations that the root has destroyed is older
than the root. And a root of the right generations under which nothing opens is another one's: the
few wraps that don't open, while others do, are damaged, and no matter of the root's.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, inspect, select

from bailee.db.engine import reading, storage_errors
from bailee.db.keys import keks, secrets
from bailee.errors import IntegrityError
from bailee.keyring.root import Root
from bailee.keyring.wrapping import SEALED_KEY_BYTES, kek_data, secret_data

_ZEROS = bytes(SEALED_KEY_BYTES)


@dataclass(frozen=True, slots=True)
class Wrap:
    """A key that is wrapped under a generation of the root, and what it is bound to."""

    generation: int
    wrapped: bytes
    data: bytes


def wraps(engine: Engine) -> list[Wrap]:
    """What the store in `engine` has under a root. It need not be migrated yet.

    Raises:
        StorageError: it can't be read.
    """
    with storage_errors("the keyring"), reading(engine) as connection:
        if not inspect(connection).has_table(keks.name):
            return []
        found = [
            Wrap(row.generation, row.wrapped, secret_data(row.name, row.generation))
            for row in connection.execute(select(secrets))
        ]
        found += [
            Wrap(
                row.generation,
                row.wrapped,
                kek_data(row.id, row.data_class, row.epoch, row.generation),
            )
            for row in connection.execute(select(keks).where(keks.c.wrapped != _ZEROS))
        ]
    return found


def check(root: Root, found: list[Wrap]) -> None:
    """Whether `root` is the one that the wraps were `found` under. Changes nothing.

    Raises:
        IntegrityError: code `home_parts`: it is another one's, or older, or the keyring is.
    """
    living = root.generations()
    if not found or any(_opens(root, wrap) for wrap in found if wrap.generation in living):
        return
    newest = max(wrap.generation for wrap in found)
    if newest > max(living):
        raise _refused(
            "the root key is older than the keyring: it lacks the generation that keys are under.",
            "put back the root.json that was there last",
        )
    if newest < min(living):
        raise _refused(
            "the keyring is older than the root key: what it was wrapped under has been destroyed.",
            "put back the keyring that was there last; with this one nothing can be read again",
        )
    raise _refused(
        "the root key opens no key of this keyring: one of the two is of another home, or changed.",
        "put back root.json, or the keyring, that belongs here",
    )


def _opens(root: Root, wrap: Wrap) -> bool:
    try:
        root.unwrap(wrap.generation, wrap.wrapped, wrap.data)
    except IntegrityError:
        return False
    return True


def _refused(message: str, hint: str) -> IntegrityError:
    return IntegrityError(message, code="home_parts", hint=f"{hint}; nothing was changed")

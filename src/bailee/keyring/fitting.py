"""Whether a keyring and a root are of one another, and which of the two is older.

What is wrapped names the root's generation. A root that has not come as far as a wrap is older than
the keyring; a keyring whose every wrap is under generations that the root has destroyed is older
than the root. And a root of the right generations under which nothing opens is another one's: the
few wraps that don't open, while others do, are damaged, and no matter of the root's.

One wrap that opens says that the two belong together, so it costs the same however many there are:
all are read only where none opens. Which of the others are damaged is found where they are used, by
the next rotation, and by `verify`.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from contextlib import closing

from sqlalchemy import Engine, func, inspect, select

from bailee.db.engine import reading, storage_errors
from bailee.db.keys import keks, secrets
from bailee.errors import IntegrityError
from bailee.keyring.roots.root import Root
from bailee.keyring.wrapping import ZEROS, kek_data, secret_data

_AT_ONCE = 100  # rows that are fetched
_NEWEST = (
    select(keks.c.generation)
    .where(keks.c.wrapped != ZEROS)
    .order_by(keks.c.generation.desc())
    .limit(1)
)


def newest_generation(engine: Engine) -> int | None:
    """The newest generation of a root that something in the store is wrapped under; None: there is
    nothing. The store need not be migrated yet.

    Raises:
        StorageError: it can't be read.
    """
    with storage_errors("the keyring"), reading(engine) as connection:
        if not inspect(connection).has_table(keks.name):
            return None
        found = [
            connection.execute(select(func.max(secrets.c.generation))).scalar(),
            connection.execute(_NEWEST).scalar(),
        ]
    return max((one for one in found if one is not None), default=None)


def check(root: Root, engine: Engine, newest: int | None) -> None:
    """Whether `root` is the one that the store in `engine` is under, whose `newest_generation` this
    is. Changes nothing.

    Raises:
        IntegrityError: code `home_parts`: it is another one's, or older, or the keyring is.
        StorageError: the store can't be read.
    """
    if newest is None:
        return
    living = root.generations()
    with closing(_wraps(engine, living)) as wraps:  # it reads, also when the root is not reached
        if any(_opens(root, *wrap) for wrap in wraps):
            return
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


def _wraps(engine: Engine, living: Collection[int]) -> Generator[tuple[int, bytes, bytes]]:
    """What is wrapped under these generations, one after the other: the generation, the wrap, and
    what that is bound to.
    """
    named = select(secrets).where(secrets.c.generation.in_(living))
    ours = select(keks).where(keks.c.generation.in_(living), keks.c.wrapped != ZEROS)
    with storage_errors("the keyring"), reading(engine) as connection:
        for row in connection.execute(named):
            yield row.generation, row.wrapped, secret_data(row.name, row.generation)
        for row in connection.execute(ours).yield_per(_AT_ONCE):
            data = kek_data(row.id, row.data_class, row.epoch, row.generation)
            yield row.generation, row.wrapped, data


def _opens(root: Root, generation: int, wrapped: bytes, data: bytes) -> bool:
    try:
        root.unwrap(generation, wrapped, data)
    except IntegrityError:
        return False
    return True


def _refused(message: str, hint: str) -> IntegrityError:
    return IntegrityError(message, code="home_parts", hint=f"{hint}; nothing was changed")

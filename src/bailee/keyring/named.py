"""Named keys: 32 bytes each, for keyed digests and the like, directly under the root.

They are read and made together, since a root may be a service that is asked over a network. Each
stands for itself all the same: one that was tampered with is no matter of who asks for another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, Engine, insert, select

from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.keys import secrets
from bailee.errors import IntegrityError
from bailee.keyring.roots.root import Bound, Root
from bailee.keyring.store import KeyStore
from bailee.keyring.wrapping import secret_data
from bailee.shown import line


def secret(store: KeyStore, name: str) -> bytes:
    """A named key; made when first asked for. Errors as in `Keyring.secret`."""
    with store.lock:
        if name not in store.named:
            found = _take(store, [name])[name]
            if isinstance(found, IntegrityError):
                raise found
        return store.named[name]


def take_secrets(store: KeyStore, names: Iterable[str]) -> None:
    """Have these in memory, as far as they open; those that are not there are made. Errors as in
    `Keyring.take_secrets`.
    """
    with store.lock:
        if missing := [name for name in names if name not in store.named]:
            _take(store, missing)


def open_secrets(
    store: KeyStore, rows: Sequence[DbRow]
) -> tuple[dict[str, bytes], dict[str, IntegrityError]]:
    """The keys of rows of `secrets`, by name, and of which that were tampered with, why they do not
    open. The root is asked once for each of its generations.

    Raises:
        StorageError: one is not in memory, and the root is not to be reached.
    """
    found = {row.name: store.named[row.name] for row in rows if row.name in store.named}
    opened, shut = _unwrapped(store.root, [row for row in rows if row.name not in found])
    return found | opened, shut


def read_secrets(engine: Engine, root: Root, names: Iterable[str]) -> dict[str, bytes]:
    """The named keys of a keyring that another process has. Nothing is made or written.

    Raises:
        IntegrityError: one is not there (code `home_parts`), or was tampered with.
        StorageError: the store can't be read, or the root is not to be reached.
    """
    wanted = [*names]
    with storage_errors("the keyring"), reading(engine) as connection:
        rows = connection.execute(select(secrets).where(secrets.c.name.in_(wanted))).all()
    found, shut = _unwrapped(root, rows)
    for error in shut.values():
        raise error
    if missing := [name for name in wanted if name not in found]:
        raise IntegrityError(
            f"the keyring has no secret {line(missing[0])}.",
            code="home_parts",
            hint="the home was never opened by a server of this version; nothing was changed",
        )
    return found


def _unwrapped(
    root: Root, rows: Sequence[DbRow]
) -> tuple[dict[str, bytes], dict[str, IntegrityError]]:
    found: dict[str, bytes] = {}
    shut: dict[str, IntegrityError] = {}
    wraps: dict[int, dict[str, Bound]] = {}
    for row in rows:
        data = secret_data(row.name, row.generation)
        wraps.setdefault(row.generation, {})[row.name] = (row.wrapped, data)
    for generation, some in wraps.items():
        opened = root.unwrap_all(generation, [*some.values()])
        for name, key in zip(some, opened, strict=True):
            if isinstance(key, bytes):
                found[name] = key
            else:
                shut[name] = _tampered(name, key)
    return found, shut


def _take(store: KeyStore, names: Sequence[str]) -> dict[str, bytes | IntegrityError]:
    with storage_errors("the keyring"), store.engine.begin() as connection:
        rows = connection.execute(select(secrets).where(secrets.c.name.in_(names))).all()
        found, shut = open_secrets(store, rows)
        made = {name: store.new_key() for name in names if name not in found | shut}
        if made:
            _add(store, connection, made)
    store.named |= found | made
    return {**found, **made, **shut}


def _add(store: KeyStore, connection: Connection, made: Mapping[str, bytes]) -> None:
    generation = store.root.generations()[-1]
    bound = [(key, secret_data(name, generation)) for name, key in made.items()]
    wraps = zip(made, store.root.wrap_all(generation, bound), strict=True)
    rows = [{"name": name, "generation": generation, "wrapped": wrap} for name, wrap in wraps]
    connection.execute(insert(secrets), rows)


def _tampered(name: str, error: IntegrityError) -> IntegrityError:
    said = IntegrityError(
        f"the secret {line(name)} of the keyring does not open: {error.message}",
        code=error.code,
        hint="put back the keyring that was there last; nothing was changed",
    )
    said.__cause__ = error
    return said

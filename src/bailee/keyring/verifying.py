"""Whether every key in the store opens. Reads, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Table, select

from bailee.damage import UNSOUND, Damaged
from bailee.db.checks import unsound
from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.keys import CHECKED, deks, ended_roots, keks, root_place, rotation, secrets
from bailee.errors import IntegrityError
from bailee.keyring import damage, ending
from bailee.keyring.store import KeyStore
from bailee.keyring.wrapping import kek_data, secret_data

_PORTION = 1000
_NAMES = {damage.NAMED: "secret", damage.KEK: "KEK", damage.DEK: "key"}

UNLIKE = "what is said of it is not what was written; the next rotation replaces it."
TWO_EPOCHS = "its epoch is not what was written, in one of two places."


def found(store: KeyStore) -> Iterator[Damaged]:
    """The keys that were found not to open, before now, named as `verify` names them."""
    for key in damage.listed(store.engine):
        yield said(key.kind, key.name, key.keys)
    yield from rows(store, (rotation, root_place, ended_roots))


def rows(store: KeyStore, tables: Sequence[Table]) -> Iterator[Damaged]:
    """The rows of these tables that are not what was written."""
    for table in tables:
        with storage_errors("the keyring"), reading(store.engine) as connection:
            wrong = unsound(connection, table)
        for one in wrong:
            if table is keks:
                yield Damaged(f"KEK {one}", UNLIKE)
            else:
                yield Damaged(f"{table.name} {one}", UNSOUND)


def said(kind: str, name: str, under: int = 0) -> Damaged:
    """How a key that does not open is named. `under`: how many are wrapped under a KEK."""
    what = "it does not open."
    if kind == damage.KEK:
        what = f"it does not open, nor do the {under} keys under it."
    return Damaged(f"{_NAMES[kind]} {name}", what)


def verify(store: KeyStore) -> Iterator[Damaged]:
    """The keys that do not open: secrets, KEKs, and DEKs under a KEK that does. What is under one
    that does not is counted with it.

    Raises:
        StorageError: the store can't be read.
    """
    with storage_errors("the keyring"), reading(store.engine) as connection:
        named = connection.execute(select(secrets)).all()
        ours = connection.execute(select(keks)).all()
    for row in named:
        data = secret_data(row.name, row.generation)
        if not _opens(store, row.generation, row.wrapped, data):
            yield said(damage.NAMED, row.name)
    for row in ours:
        data = kek_data(row.id, row.data_class, row.epoch, row.generation)
        if _opens(store, row.generation, row.wrapped, data):
            yield from _under(store, row)
        else:
            with storage_errors("the keyring"), reading(store.engine) as connection:
                under = select(deks.c.subject).where(deks.c.kek_id == row.id)
                count = len(connection.execute(under).all())
            yield said(damage.KEK, row.id, count)
    with storage_errors("the keyring"), reading(store.engine) as connection:
        lost = damage.astray(connection)
        ends = ending.differing(connection)
    for kek_id in ends:
        yield Damaged(f"KEK {kek_id}", TWO_EPOCHS)
    yield from rows(store, CHECKED)
    for subject in lost:
        yield said(damage.DEK, subject)


def _under(store: KeyStore, kek: DbRow) -> Iterator[Damaged]:
    key = store.open_kek(kek)
    after = ""
    while True:
        query = (
            select(deks)
            .where(deks.c.kek_id == key.id, deks.c.subject > after)
            .order_by(deks.c.subject)
            .limit(_PORTION)
        )
        with storage_errors("the keyring"), reading(store.engine) as connection:
            rows = connection.execute(query).all()
        for row in rows:
            try:
                data_class = kek.data_class
                store.unwrap(row.subject, data_class, row.version, row.wrapped, key)
            except IntegrityError:
                yield said(damage.DEK, row.subject)
        if len(rows) < _PORTION:
            return
        after = rows[-1].subject


def _opens(store: KeyStore, generation: int, wrapped: bytes, data: bytes) -> bool:
    try:
        store.root.unwrap(generation, wrapped, data)
    except IntegrityError:
        return False
    return True

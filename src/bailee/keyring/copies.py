"""Which keys open in a copy of the keyring's store. Reads, and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, select

from bailee.db.among import among
from bailee.db.engine import reading, storage_errors
from bailee.db.keys import deks, keks
from bailee.errors import IntegrityError
from bailee.keyring.roots.root import Root
from bailee.keyring.wrapping import dek_data, kek_data, unseal


def opening(copy: Engine, root: Root, subjects: Sequence[str]) -> int:
    """How many of `subjects` have a key in the copy that opens under this root.

    Raises:
        StorageError: the copy can't be read.
    """
    query = (
        select(
            deks, keks.c.data_class, keks.c.epoch, keks.c.generation, keks.c.wrapped.label("kek")
        )
        .join(keks, deks.c.kek_id == keks.c.id)
        .where(among(deks.c.subject, subjects))
    )
    with storage_errors("a copy of the keyring"), reading(copy) as connection:
        rows = connection.execute(query).all()
    count = 0
    for row in rows:
        under = kek_data(row.kek_id, row.data_class, row.epoch, row.generation)
        named = dek_data(row.subject, row.kek_id, row.data_class, row.version)
        try:
            unseal(root.unwrap(row.generation, row.kek, under), row.wrapped, named, "a copied key")
        except IntegrityError:
            continue
        count += 1
    return count

"""Taking subjects' keys: made where there is none, moved where the expiry or the class changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from sqlalchemy import Connection

from bailee.db.engine import reading, storage_errors
from bailee.errors import IntegrityError
from bailee.keyring.epochs import epoch_of
from bailee.keyring.moving import Want, shift
from bailee.keyring.store import Dek, KeyStore, Target, destroyed


def take(store: KeyStore, wants: Iterable[Want]) -> dict[str, Dek]:
    """The subjects' keys, in one transaction; each subject may be wanted once. Errors as in
    `Keyring.dek`.
    """
    found: dict[str, Dek] = {}
    missing: list[tuple[Want, int]] = []
    with store.lock:
        for want in wants:
            epoch = epoch_of(want.expires_at)
            dek = store.remembered(want.subject)
            if dek and dek.epoch == epoch and dek.data_class == want.data_class:
                found[want.subject] = dek
            else:
                missing.append((want, epoch))
        if missing:
            with storage_errors("the keyring"), store.engine.begin() as connection:
                taken = _take(store, connection, missing)
            store.remember(taken)
            found |= {dek.subject: dek for dek in taken}
    return found


def get(store: KeyStore, subject: str) -> Dek:
    """The subject's key as it is. Errors as in `Keyring.get`."""
    with store.lock:
        dek = store.remembered(subject)
        if dek is None:
            with storage_errors("the keyring"), reading(store.engine) as connection:
                row = store.rows(connection, [subject]).get(subject)
                if row is None:
                    raise destroyed(subject)
                dek = store.open_dek(connection, row)
            store.remember([dek])
        return dek


def some(store: KeyStore, subjects: Sequence[str]) -> dict[str, Dek | IntegrityError]:
    """Of each of the subjects its key as it is, or why there is none. They are not remembered: who
    asks goes over all there are. Errors as in `Keyring.some`.
    """
    found: dict[str, Dek | IntegrityError] = {}
    with store.lock:
        for subject in subjects:
            if (dek := store.remembered(subject)) is not None:
                found[subject] = dek
        missing = [subject for subject in subjects if subject not in found]
        if missing:
            with storage_errors("the keyring"), reading(store.engine) as connection:
                rows = store.rows(connection, missing)
                for subject in missing:
                    try:
                        row = rows.get(subject)
                        if row is None:
                            raise destroyed(subject)
                        found[subject] = store.open_dek(connection, row)
                    except IntegrityError as error:
                        found[subject] = error
    return found


def keys_of(store: KeyStore, subjects: Sequence[str]) -> dict[str, bytes]:
    """The keys of those of the subjects whose key opens, and nothing else of them: a third of what
    `some` takes. Errors as in `Keyring.keys_of`.
    """
    found: dict[str, bytes] = {}
    with store.lock, storage_errors("the keyring"), reading(store.engine) as connection:
        rows = [row for row in store.rows(connection, subjects).values() if row.id is not None]
        keks = store.open_keks(list({row.id: row for row in rows}.values()))
        for row in rows:
            kek = keks[row.id]
            if isinstance(kek, IntegrityError):
                continue
            with suppress(IntegrityError):
                found[row.subject] = store.unwrap(
                    row.subject, row.data_class, row.version, row.wrapped_dek, kek
                )
    return found


def _take(store: KeyStore, connection: Connection, wants: Sequence[tuple[Want, int]]) -> list[Dek]:
    rows = store.rows(connection, [want.subject for want, _ in wants])
    there: list[tuple[Dek, str, int]] = []
    new: list[tuple[str, Target]] = []
    for want, epoch in wants:
        if (row := rows.get(want.subject)) is not None:
            there.append((store.open_dek(connection, row), want.data_class, epoch))
        else:
            new.append((want.subject, (want.data_class, epoch)))
    under = store.current_keks(connection, {target for _, target in new})
    made = [Dek(subject, *target, under[target].id, 1, store.new_key()) for subject, target in new]
    if made:
        store.add(connection, [(dek, under[dek.data_class, dek.epoch]) for dek in made])
    return shift(store, connection, there) + made

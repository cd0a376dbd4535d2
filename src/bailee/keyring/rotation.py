"""Rotating the root, so that older copies of the keyring open nothing that was destroyed.

The steps, each of which may be the last before a crash and is found again by its traces:

1. A new root generation. While there are two, a rotation is under way.
2. Every dirty KEK from before is replaced: its living DEKs are rewrapped under a new KEK in
   portions, and it is destroyed.
3. Every other KEK and every named secret is rewrapped under the new generation.
4. Standbys of the store have all of that (`db.standbys`): one that is promoted without it would
   have keys under a root that is gone. They are waited for, call by call, for `STANDBYS` from the
   beginning on, and no longer: what is past its time goes within the hour.
5. The older generations are destroyed. A copy of the store from before now opens nothing at all;
   a copy from during the rotation opens only KEKs that are living, and none that was dirty.

A key that does not open is set aside (`damage`) and stops nothing: the old generation goes all the
same, since it opens that key no more than the new one. Only where nothing opens at all it is the
root that does not fit, and nothing is changed; nor where the root says that it has lost a
generation (`rooted`). What is wrapped anew is opened once before the old generation goes.

The root may be a service that is slow: it is asked for many keys at once, and mostly while nobody
waits for the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Column, Connection, bindparam, delete, func, select, update

from bailee.db import standbys
from bailee.db.checks import sound
from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.keys import deks, ended_roots, keks, root_place, rotation, secrets
from bailee.db.portable import insert
from bailee.errors import IntegrityError, StorageError
from bailee.keyring import damage, fitting, mending, rooted, twice
from bailee.keyring.checkpoint import truncate_log
from bailee.keyring.damage import DEK, KEK, NAMED
from bailee.keyring.destroying import remove_keks, zero_keks
from bailee.keyring.named import open_secrets
from bailee.keyring.roots.root import Root
from bailee.keyring.store import Dek, Kek, KeyStore, Swap
from bailee.keyring.wrapping import ZEROS, kek_data, secret_data

STANDBYS: Final = timedelta(minutes=5)
"""For how long a rotation waits for standbys of its store that lack what it has written."""
_AT_ONCE: Final = 5.0  # seconds of that in one call
_PORTION: Final = 1000
_DIRTY: Final = 200  # KEKs that are replaced together


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did. Whatever was destroyed before `began` is gone from older copies, too.
    `behind`: how many standbys lacked the new wraps when the older root was destroyed. `damaged`:
    kind and name of each key that was found damaged, and had not been before.
    """

    generation: int
    began: datetime
    replaced_keks: int
    rewrapped_deks: int
    behind: int = 0
    damaged: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class EndedRoots:
    """All generations below `generation` are gone, by a rotation that began at `began`."""

    generation: int
    began: datetime


class _Aside:
    """What one rotation has set aside. The rotation makes it and uses it, on its own thread."""

    def __init__(self, store: KeyStore) -> None:
        self._clock = store.clock
        self.keks: list[str] = []
        self.news: list[tuple[str, str]] = []

    def put(self, connection: Connection, kind: str, name: str) -> None:
        if damage.note(connection, kind, name, self._clock()):
            self.news.append((kind, name))
        if kind == KEK:
            self.keks.append(name)
            connection.execute(update(keks).where(keks.c.id == name).values(current=False))


def rotate(store: KeyStore) -> Rotation:
    """Do or finish a rotation, by the steps at the head of this module.

    Raises:
        IntegrityError: code `home_parts`: nothing opens under the root.
        StorageError: code `standby_behind`: a standby lacks what was written; call again.
    """
    replaced = rewrapped = 0
    aside = _Aside(store)
    with storage_errors("the keyring"):
        fitting.check(store.root, store.engine, fitting.newest_generation(store.engine))
        rooted.check_oldest(store.engine, store.root)
        with store.lock, store.engine.begin() as connection:
            mending.mend(store, connection, everything=True)  # else they would stay behind
        began, new = _begin(store)
        while dirty := _next_dirty(store, new, aside):
            while (moved := _move_portion(store, dirty, aside)) > 0:
                rewrapped += moved
            replaced += len(set(dirty).difference(aside.keks))
        while _rewrap_keks(store, new, aside):
            pass
        with store.lock:
            _rewrap_secrets(store, new, aside)
            truncate_log(store.engine)
        while not _end_older(store, new, aside):
            while _rewrap_keks(store, new, aside):
                pass
        behind = _lacking(store, new, began)
        with store.lock:
            store.root.destroy(new - 1)
            with store.engine.begin() as connection:
                connection.execute(update(rotation).values(rotated_at=began))
                damage.forget_gone(connection, new)
                now = store.clock()
                gone = ended_roots.c.gone_at <= now
                newest = select(func.max(ended_roots.c.generation)).where(gone).scalar_subquery()
                old = ended_roots.c.generation < newest
                connection.execute(delete(ended_roots).where(gone, old))
                ended = {"began_at": began, "gone_at": gone_at(store.root.lag, now)}
                row = insert(ended_roots).values(generation=new, **ended)
                connection.execute(row.on_conflict_do_nothing())
    return Rotation(new, began, replaced, rewrapped, behind, tuple(aside.news))


def gone_at(lag: timedelta, now: datetime) -> datetime:
    """From when on a root is gone for good that was destroyed `now`. One that is gone at once is so
    by any clock, also by one that is set back afterwards.
    """
    return now + lag if lag else twice.EVER


def _begin(store: KeyStore) -> tuple[datetime, int]:
    """When the rotation began, and its generation. A rotation that was broken off is taken up as it
    is: what was destroyed since it began counts for the next.
    """
    with store.lock:
        if len(store.root.generations()) == 1:
            began = store.clock()
            with store.engine.begin() as connection:
                connection.execute(update(rotation).values(began_at=began))
            store.root.add()
            with store.engine.begin() as connection:
                connection.execute(update(rotation).values(destroyed_since=False))
        else:
            with store.engine.begin() as connection:
                row = twice.rotated(connection)
            began = row.began_at or row.rotated_at
        return began, store.root.generations()[-1]


def _lacking(store: KeyStore, new: int, began: datetime) -> int:
    """Wait until every standby has what is under the new generation; how many have not, once the
    time for that is over.

    Raises:
        StorageError: code `standby_behind`: one has not, and there is time.
    """
    if store.wrapped_at is None or store.wrapped_at[0] != new:  # once: the log goes on meanwhile
        store.wrapped_at = new, standbys.place(store.engine)
    found = standbys.lacking(store.engine, store.wrapped_at[1], _AT_ONCE)
    if found and timedelta() <= store.clock() - began < STANDBYS:
        raise StorageError(
            "a standby of the database of keys lacks what was written last: until it has that, the "
            "older root key stays.",
            code="standby_behind",
            hint="see that it runs, or drop its replication slot if there is none any more",
        )
    return found


def _next_dirty(store: KeyStore, new: int, aside: _Aside) -> list[str]:
    """Some KEKs that are to be replaced; from now on nothing new goes under them."""
    with store.lock, store.engine.begin() as connection:
        found = list(
            connection.execute(
                select(keks.c.id)
                .where(
                    keks.c.dirty,
                    keks.c.generation != new,
                    keks.c.wrapped != ZEROS,
                    keks.c.id.not_in(aside.keks),
                    sound(keks),
                )
                .limit(_DIRTY)
            ).scalars()
        )
        connection.execute(update(keks).where(keks.c.id.in_(found)).values(current=False))
    return found


def _move_portion(store: KeyStore, dirty: list[str], aside: _Aside) -> int:
    """Rewrap some DEKs of dirty KEKs; 0 when none was left and the KEKs have been destroyed. One
    that does not open is set aside, with what is under it.
    """
    with store.lock:
        with store.engine.begin() as connection:
            living = select(keks).where(keks.c.id.in_(dirty), keks.c.id.not_in(aside.keks))
            olds = {row.id: row for row in connection.execute(living)}  # epochs end meanwhile
            rows, opened = _under(store, connection, olds, aside)
            under = [olds[row.kek_id] for row in rows]
            news = store.current_keks(connection, {(old.data_class, old.epoch) for old in under})
            swaps: list[Swap] = []
            for row, old in zip(rows, under, strict=True):
                version, wrapped = row.version + 1, row.wrapped
                kek = news[old.data_class, old.epoch]
                try:
                    key = store.unwrap(
                        row.subject, old.data_class, row.version, row.wrapped, opened[old.id]
                    )
                    dek = Dek(row.subject, old.data_class, old.epoch, kek.id, version, key)
                    wrapped = store.wrap(dek, kek)
                except IntegrityError:
                    # It goes along as it is, so that its time comes with that of the others.
                    aside.put(connection, DEK, row.subject)
                swaps.append(Swap(row.subject, version, kek.id, wrapped))
            if swaps:
                store.rewrap(connection, swaps)
                store.forget(row.subject for row in rows)
                return len(rows)
            destroyed_since = twice.rotated(connection).destroyed_since
            zero_keks(store, connection, list(olds))
            # This destruction is part of the rotation and calls for no further one.
            connection.execute(update(rotation).values(destroyed_since=destroyed_since))
        with store.engine.begin() as connection:
            remove_keks(connection, list(olds))
    return 0


def _under(
    store: KeyStore, connection: Connection, olds: dict[str, DbRow], aside: _Aside
) -> tuple[Sequence[DbRow], dict[str, Kek]]:
    """Some DEKs under these KEKs, and the KEKs that they are under, opened. One that does not open
    is set aside, and is not among `olds` any more; one that nothing is under is not opened.
    """
    while True:
        query = select(deks).where(deks.c.kek_id.in_(olds)).order_by(deks.c.kek_id)
        rows = connection.execute(query.limit(_PORTION)).all()
        some = [olds[kek_id] for kek_id in dict.fromkeys(row.kek_id for row in rows)]
        found = store.open_keks(some)
        closed = [kek_id for kek_id, kek in found.items() if not isinstance(kek, Kek)]
        if not closed:
            return rows, {kek_id: kek for kek_id, kek in found.items() if isinstance(kek, Kek)}
        for kek_id in closed:
            aside.put(connection, KEK, kek_id)
            del olds[kek_id]


def _rewrap_keks(store: KeyStore, new: int, aside: _Aside) -> int:
    """Wrap some KEKs under the new generation; how many were left to be looked at."""
    query = select(keks).where(
        keks.c.generation != new, keks.c.wrapped != ZEROS, keks.c.id.not_in(aside.keks)
    )
    with reading(store.engine) as connection:
        rows = connection.execute(query.limit(_PORTION)).all()
    opened = store.open_keks(rows, remember=False)
    keys = {row.id: kek.key for row in rows if isinstance(kek := opened[row.id], Kek)}
    bound = {
        row.id: kek_data(row.id, row.data_class, row.epoch, new) for row in rows if row.id in keys
    }
    wraps = _wrapped(store.root, new, keys, bound)
    with store.lock, store.engine.begin() as connection:
        closed = [row.id for row in rows if row.id not in wraps]
        there = select(keks.c.id).where(keks.c.id.in_(closed), keks.c.wrapped != ZEROS)
        for kek_id in connection.execute(there).scalars().all():
            aside.put(connection, KEK, kek_id)
        _put_under(connection, keks.c.id, new, wraps)
    return len(rows)


def _end_older(store: KeyStore, new: int, aside: _Aside) -> bool:
    """Note that nothing is under an older generation than `new`, if nothing is. From then on nobody
    wraps under one: a member asks for that in the turn in which it puts a key there (`beside`), and
    may have put one just before.
    """
    there = select(keks.c.id).where(
        keks.c.generation != new, keks.c.wrapped != ZEROS, keks.c.id.not_in(aside.keks)
    )
    with store.lock, store.engine.begin() as connection:
        if connection.execute(there.limit(1)).first() is not None:
            return False
        connection.execute(update(root_place).values(oldest=new))
    return True


def _rewrap_secrets(store: KeyStore, new: int, aside: _Aside) -> None:
    with store.engine.begin() as connection:
        rows = connection.execute(select(secrets).where(secrets.c.generation != new)).all()
        keys, shut = open_secrets(store, rows)
        for name in shut:
            aside.put(connection, NAMED, name)
        bound = {name: secret_data(name, new) for name in keys}
        _put_under(connection, secrets.c.name, new, _wrapped(store.root, new, keys, bound))


def _wrapped(
    root: Root, new: int, keys: Mapping[str, bytes], bound: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Keys wrapped under the new generation, by name, and bound to what belongs to each.

    Raises:
        StorageError: the root does not give back what it was given.
    """
    wraps = root.wrap_all(new, [(keys[name], bound[name]) for name in keys]) if keys else []
    named = dict(zip(keys, wraps, strict=True))
    again = root.unwrap_all(new, [(named[name], bound[name]) for name in keys]) if keys else []
    if again != [*keys.values()]:
        raise StorageError(
            "the root does not open what it has just wrapped.",
            code="root_unreachable",
            hint="whoever keeps the root key: is it the service that keyring.root names?",
        )
    return named


def _put_under(
    connection: Connection, name: Column[str], new: int, wraps: Mapping[str, bytes]
) -> None:
    """Put KEKs or secrets under the new generation: of each its name and its wrap. What was
    destroyed meanwhile stays so.
    """
    if wraps:
        there = name.table.c.wrapped != ZEROS
        statement = update(name.table).where(name == bindparam("of"), there)
        connection.execute(
            statement.values(generation=new, wrapped=bindparam("wrap")),
            [{"of": of, "wrap": wrap} for of, wrap in wraps.items()],
        )

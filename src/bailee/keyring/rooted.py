"""Which root the keyring is under: its driver, where its numbers begin, and what it must have.

* The keyring notes its root's driver. Under another it is opened by a move alone.
* A move is noted before anything is wrapped under the new root, and is over when nothing is left
  under the old one and that is destroyed. In between the home opens with both, and with no other.
* `oldest` is the oldest generation that nothing here has destroyed; it is set before those below it
  are destroyed. A root that says it has none such is not believed: it was put back from an older
  copy, or its service errs. Then nothing is wrapped anew, and nothing destroyed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, inspect, update

from bailee.db.engine import reading, storage_errors
from bailee.db.keys import root_place
from bailee.errors import InputError, IntegrityError
from bailee.keyring import twice
from bailee.keyring.roots.joined import Joined, Shifted
from bailee.keyring.roots.opening import driver_of
from bailee.keyring.roots.root import Root

Open = Callable[[str, bool], Root]
"""Opens the root of a place, as `keyring.root` names it; whether between two roots."""


@dataclass(frozen=True, slots=True)
class RootPlace:
    """Which root the keyring is under. `base`: what its generations are counted from; `moving_to`:
    the driver that a move has begun to, `next_base` what that one's are counted from.
    """

    driver: str
    base: int
    oldest: int
    moving_to: str | None = None
    next_base: int = 0


def read(engine: Engine) -> RootPlace | None:
    """What the keyring notes; None: nothing yet. It need not be migrated yet.

    Raises:
        StorageError: it can't be read.
    """
    with storage_errors("the keyring"), reading(engine) as connection:
        if not inspect(connection).has_table(root_place.name):
            return None
        names = [root_place.c[name] for name in RootPlace.__slots__]
        row = twice.row(connection, root_place, names)
    return None if row is None else RootPlace(**row._mapping)


def open_under(engine: Engine, where: str, coming_from: str | None, opened: Open) -> Root:
    """The root of a home whose keyring is in `engine`: that at `where`, or while the home is
    `coming_from` another place, both.

    Raises:
        InputError: code `configuration`; the keyring is under another driver, or between two.
        IntegrityError, StorageError: as `opened` raises them.
    """
    noted = read(engine)
    if coming_from is None:
        _require(noted, where)
        root = opened(where, False)
        return root if noted is None or not noted.base else Shifted(root, noted.base)
    if noted is None:
        raise InputError(
            "this home has no keyring that could move, or none that this version has opened.",
            code="configuration",
            hint=f"start it once with keyring.root = {coming_from.partition(':')[0]}",
        )
    _require_move(noted, where, coming_from)
    old = opened(coming_from, True)
    old = Shifted(old, noted.base) if noted.base else old
    base = noted.next_base if noted.moving_to else max(old.generations(), default=noted.oldest)
    return Joined(old, Shifted(opened(where, True), base), base)


def _require(noted: RootPlace | None, where: str) -> None:
    driver = driver_of(where)
    if noted is not None and noted.moving_to is not None:
        raise InputError(
            f"this home is on its way from the root key's driver {noted.driver} to "
            f"{noted.moving_to}, and not there yet.",
            code="configuration",
            hint="finish it: bailee keyring move --from, as it was begun",
        )
    if noted is not None and noted.driver != driver:
        raise InputError(
            f"this home's root key is of the driver {noted.driver}, and keyring.root says "
            f"{driver}.",
            code="configuration",
            hint="set keyring.root to what it was, or: bailee keyring move --from WHAT-IT-WAS",
        )


def _require_move(noted: RootPlace, where: str, coming_from: str) -> None:
    to, old = driver_of(where), driver_of(coming_from)
    if where == coming_from:
        said = f"keyring.root is {where.partition(':')[0]}, which is where this home comes from"
    elif old != noted.driver:
        said = f"this home's root key is of the driver {noted.driver}, not {old}"
    elif noted.moving_to not in (None, to):
        said = f"this home is on its way to the driver {noted.moving_to}, not {to}"
    else:
        return
    raise InputError(
        f"{said}.", code="configuration", hint="keyring.root is where it goes; --from where it was"
    )


def note(connection: Connection, root: Root) -> None:
    """Note the root that the keyring is under from now on, or that it moves to one."""
    if isinstance(root, Joined):
        moves = update(root_place).where(root_place.c.moving_to.is_(None))
        connection.execute(moves.values(moving_to=root.driver, next_base=root.base))
        return
    first = {"driver": root.driver, "base": 0, "oldest": root.generations()[0], "next_base": 0}
    twice.note(connection, root_place, first)


def arrived(engine: Engine) -> None:
    """Note that a move is over: nothing is under the old root, and that is destroyed.

    Raises:
        StorageError: it can't be written.
    """
    place = root_place.c
    with storage_errors("the keyring"), engine.begin() as connection:
        connection.execute(
            update(root_place)
            .where(place.moving_to.is_not(None))
            .values(driver=place.moving_to, base=place.next_base, moving_to=None, next_base=0)
        )


def check_oldest(engine: Engine, root: Root) -> None:
    """Whether the root still has every generation that nothing here has destroyed.

    Raises:
        IntegrityError: code `home_parts`; it says that it has not.
        StorageError: the keyring can't be read.
    """
    noted = read(engine)
    if noted is not None and noted.oldest not in root.generations():
        raise IntegrityError(
            f"the root key says that its generation {noted.oldest} is gone, which this home has "
            "not destroyed.",
            code="home_parts",
            hint="whoever keeps the root key must bring it back; nothing was changed",
        )

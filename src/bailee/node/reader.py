"""Accounts, keys and the policy of a home, beside the process that has it: read from PostgreSQL and
followed. Of it nothing is written but what `writing` lets through.

Rules kept here:

* What it goes by was confirmed within ten seconds (`db.versions`), or it goes by nothing: whoever
  asks is refused (`outdated`) until it is confirmed again. That is told by no clock that can be
  set.
* Where the database can't be reached, the policy document may say that it goes on for longer
  (`without_database`): the document that was confirmed last.
* A confirmation is the word of the primary, of the home that was opened, with the schema that this
  version knows. A standby says what was; what another home's rows say, or another version's, is not
  known here.
* It takes no lease and no lock, and makes nothing: a home that no server has opened is refused.
* Of the keyring it reads two named keys: that of the rows' checks, and that of tokens. It has no
  key of a person's or a session's, and no name that is sealed.
* Keys of cloud sessions and of a server's run are followed as all others are.

Rows: O6, T2, R5.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Final, Literal

from sqlalchemy import Connection, Engine, text

from bailee import config
from bailee.accounts.held import HeldAccounts, unopened
from bailee.accounts.identifiers import indexed
from bailee.accounts.known import FollowedAccounts
from bailee.clock import Clock, Ticks, ticks
from bailee.config import Settings
from bailee.damage import Damages
from bailee.db import home_clock
from bailee.db.accounts import accounts, api_keys, ephemeral_keys
from bailee.db.checks import KEY as ROW_KEY
from bailee.db.checks import use_key
from bailee.db.engine import reading, storage_errors
from bailee.db.fencing import fence_of
from bailee.db.follower import Follower
from bailee.db.migrate import newest
from bailee.db.policy import own_policies, policy_activations
from bailee.db.versions import BOUND, EVERY, ChangedRows, Confirmation
from bailee.errors import IntegrityError, StorageError
from bailee.home import Home, parts
from bailee.keyring import Root, open_root, open_under, read_secrets
from bailee.node import databases
from bailee.node.activations import in_force
from bailee.node.own_policies import own_in_force
from bailee.node.person_keys import INDEX_KEY
from bailee.policy.holding import FollowedPolicy, InForce, OwnHeld
from bailee.steady import MachineClocks, SteadyClock, this_machine

_STANDING: Final = text(
    "SELECT pg_is_in_recovery() AS standby, (SELECT home FROM identity) AS home, "
    "(SELECT version_num FROM alembic_version) AS revision"
)


class HomeReader:
    """A home that another process has, for one that only asks who presents a key and what the
    policy says. A process makes one and closes it; `accounts` and `holding` may be asked from any
    thread.
    """

    accounts: FollowedAccounts
    """Its accounts and keys."""
    holding: FollowedPolicy
    """The policy that holds, and organisations' own."""
    data: Engine
    """Its data database, to read."""
    keys: Engine
    """Its database of keys, to read."""
    settings: Settings
    clock: Clock
    """By which keys end and hours begin."""
    home_id: str
    """Which home it is."""
    root: Callable[[], Root]
    """Opens the home's root key."""

    def __init__(
        self,
        home: Home,
        *,
        settings: Settings | None = None,
        clock: Clock | MachineClocks | None = None,
        environment: Mapping[str, str] = os.environ,
        every: float = EVERY,
        bound: float = BOUND,
        ticks: Ticks = ticks,
    ) -> None:
        """`home`: where its settings are, and its root key, if that is in a file. `clock`: as for
        `Wiring`; by it keys end. `every`: seconds between two looks without a notice; `bound`: for
        how many a confirmation is good, by `ticks`.

        Raises:
            InputError: a setting is wrong, or its databases are files.
            StorageError: a database or the root can't be reached.
            IntegrityError: code `schema` or `home_parts`: no server of this version has opened it,
                or its parts are of several; or what is there can't be read.
        """
        settings = settings or config.load(home.settings_file, environment, {})
        self.damages = Damages()
        self.confirmation = Confirmation(ticks, bound)
        self._written: list[Engine] = []
        with ExitStack() as undo:
            data, keys = databases.connect_beside(settings, undo)
            self.home_id = _home_of(home, data, keys)
            _check_schema(_revision(keys), "keys")

            def opened(where: str, moving: bool) -> Root:
                file = home.root_key_file
                return open_root(where, file, settings, environment, may_make=False, moving=moving)

            where = settings.text("keyring.root") or "file"
            self.root = partial(open_under, keys, where, None, opened)
            secrets = read_secrets(keys, self.root(), (ROW_KEY, INDEX_KEY))
            use_key(data, secrets[ROW_KEY])
            self.data, self.keys = data, keys
            self.settings, self._row_key = settings, secrets[ROW_KEY]
            require = self.confirmation.require
            prove = partial(indexed, secrets[INDEX_KEY])
            self.clock = _clock(home, data, clock)
            self.accounts = FollowedAccounts(self._nothing(), self.clock, prove, require)
            self.holding = FollowedPolicy(require)
            self.follower = Follower(data, self._take, self.confirmation, every=every, ticks=ticks)
            undo.callback(self.follower.close)
            self.follower.look()
            self.follower.start()
            self._closing = undo.pop_all()

    def close(self) -> None:
        """Follow no more, and let go of the databases."""
        self._closing.close()

    def writing(self) -> Engine:
        """An engine that writes what a process beside may (`db.beside`), closed with this. Once it
        writes no more (`lost`), this process is to end.

        Raises:
            StorageError, IntegrityError: see `databases.open_beside`.
        """
        engine = databases.open_beside(self.settings, self.home_id, newest("data"))
        self._closing.callback(engine.dispose)
        use_key(engine, self._row_key)
        self._written.append(engine)
        return engine

    def lost(self) -> StorageError | None:
        """Why this process is to end; None: it is not. A look into memory."""
        fences = (fence_of(engine) for engine in self._written)
        return next((one.why() for one in fences if one is not None and one.lost.is_set()), None)

    # -- inside: on the follower's thread, and before it begins ----------------------------------

    def _nothing(self) -> HeldAccounts:
        return HeldAccounts(self.damages, unopened)

    def _take(self, connection: Connection, changes: ChangedRows) -> None:
        self._check(connection)
        if changes.rows is None:
            held = self._nothing()
            held.load(connection)
            self.accounts.take(held)
            self._take_policy(in_force(connection), own_in_force(connection))
            return
        of_keys = changes.of(api_keys.name) | changes.of(ephemeral_keys.name)
        changed = changes.of(accounts.name), of_keys
        if any(changed):
            self.accounts.reread(connection, *changed)
        operators, own = changes.of(policy_activations.name), changes.of(own_policies.name)
        if operators or own:
            self._take_policy(
                in_force(connection) if operators else self._now,
                own_in_force(connection) if own else self._own,
            )

    def _take_policy(self, now: InForce, own: Mapping[str, OwnHeld]) -> None:
        self._now, self._own = now, own
        self.holding.take_all(now, own)
        self.confirmation.let_go_on(60.0 * now.policy.gateways_go_on)

    def _check(self, connection: Connection) -> None:
        """Whether what is read is the present of this home, in a form that this version knows.

        Raises:
            StorageError: it is a standby's.
            IntegrityError: it is another home's, or another version's.
        """
        found = connection.execute(_STANDING).one()
        if found.standby:
            raise StorageError("the database is a standby.", hint="name the primary")
        if found.home != self.home_id:
            raise IntegrityError(
                "the database is another home's now.", code="home_parts", hint="start this anew"
            )
        _check_schema(found.revision, "data")


def _home_of(home: Home, data: Engine, keys: Engine) -> str:
    """Which home the databases are of, that both are and the folder's, as far as that says it."""
    marks = [part.mark for part in databases.parts(data, keys).values()]
    ids = {mark.home for mark in marks if mark is not None}
    own = parts.id_of(home)
    if None in marks or len(ids | ({own} if own else set())) != 1:
        raise IntegrityError(
            "the databases are not of this home, not both of one, or no server has opened it yet.",
            code="home_parts",
            hint="start the server first, and set both databases as it has them",
        )
    return ids.pop()


def _revision(engine: Engine) -> object:
    with storage_errors("the database"), reading(engine) as connection:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _check_schema(revision: object, line: Literal["data", "keys"]) -> None:
    if revision != newest(line):
        raise IntegrityError(
            f"the {line} database is of another version (schema {revision}).",
            code="schema",
            hint="have the server and this of one version; nothing was changed",
        )


def _clock(home: Home, data: Engine, given: Clock | MachineClocks | None) -> Clock:
    machine = given or this_machine()
    if not isinstance(machine, MachineClocks):
        return machine
    if home.has_test_clock:
        return machine.wall
    return SteadyClock(machine, home_clock.last_noted(data).seen)

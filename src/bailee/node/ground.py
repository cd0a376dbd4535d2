"""What every part of a home stands on: settings, policy, time, both databases, keys, audit record.

Nothing is opened, made or written before it is known that the parts on the disk are of one home.
Then the databases are taken to this version's schema. Who opens a home holds its lock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from bailee import config
from bailee.accounts import Account
from bailee.clock import Clock
from bailee.config import Settings
from bailee.damage import UNSOUND, Damages
from bailee.db import home_clock
from bailee.db.checks import KEY as ROW_KEY
from bailee.db.checks import use_key
from bailee.db.migrate import upgrade
from bailee.errors import BaileeError, StorageError
from bailee.home import Home, parts
from bailee.home.reserve import Reserve
from bailee.keyring import Keyring, Root, check_root, newest_generation, open_root, open_under
from bailee.ledger import Cosigning, Folder, Ledger, Sequencer, history, signing
from bailee.ledger.cosigning import SETTING as WITNESSES
from bailee.ledger.cosigning import policy_of
from bailee.ledger.history import History
from bailee.node import databases, old_entries, spooling
from bailee.node.activations import Activations
from bailee.node.marks import Marks
from bailee.node.minding import Minding
from bailee.node.named_keys import NAMED_KEYS
from bailee.node.own_policies import OwnPolicies
from bailee.node.person_keys import Holders
from bailee.policy import Policy, load
from bailee.policy.holding import PolicyHolder
from bailee.steady import MachineClocks, this_machine


@dataclass(frozen=True, eq=False)
class Ground:
    """A home whose databases are open. `data` is the data database's engine; `clock` the home's
    time; `minding` there unless a test sets that.
    """

    home: Home
    settings: Settings
    holding: PolicyHolder
    activations: Activations
    own_policies: OwnPolicies
    room: Reserve
    damages: Damages
    marks: Marks
    data: Engine
    keyring: Keyring
    clock: Clock
    minding: Minding | None
    ledger: Ledger
    sequencer: Sequencer
    cosigning: Cosigning

    @property
    def policy(self) -> Policy:
        """The operator's policy that holds at the moment. Who asks it twice may be told by two."""
        return self.holding.policy

    def policy_of(self, account: Account) -> Policy:
        """The policy that holds for an account: with its organisation's own document, if any."""
        return self.holding.of(account.organisation_id).policy

    def latest(self) -> datetime:
        """The time by which is told what may be read: while the machine's clock has stepped ahead,
        that time.
        """
        return self.clock() if self.minding is None else self.minding.clock.latest()


def lay(
    home: Home,
    closing: ExitStack,
    *,
    settings: Settings | None,
    clock: Clock | MachineClocks | None,
    environment: Mapping[str, str],
    accepted: Collection[str],
    coming_from: str | None = None,
    restoring: bool = False,
) -> Ground:
    """Open what everything else in a home needs; a new home is made. What is to be done at the end
    is put onto `closing`. The arguments are those of `Wiring`.

    Raises:
        InputError, StorageError, IntegrityError: as `Wiring` does.
    """
    home.make()
    settings = settings or config.load(home.settings_file, environment, {})
    document = settings.text("policy.document")
    named = None if document is None else Path(document)
    spooling.is_in_database(settings)
    there = databases.connect(home, settings, closing)
    elsewhere = {} if there is None else dict(databases.parts(*there))
    if there is not None:
        elsewhere |= spooling.vault_part(there[0], elsewhere)
    if there is None and not home.data_database.exists():
        load(named)  # a new home's first document: what is wrong with it is said before it is made
    trusted = settings.text(WITNESSES)
    witnesses = policy_of(None if trusted is None else Path(trusted))
    standing = parts.examine(home, accepted, restoring=restoring, elsewhere=elsewhere)
    room = Reserve(home.stores)
    with room.deleting():  # on a full disk too: what is deleted there makes room
        marks = Marks(home, standing)
        data, keys = there or databases.files(home, room, closing)
        newest = newest_generation(keys)

        def opened(where: str, moving: bool) -> Root:
            may_make = newest is None or (moving and where != coming_from)
            file = home.root_key_file
            return open_root(where, file, settings, environment, may_make=may_make, moving=moving)

        root = open_under(keys, settings.text("keyring.root") or "file", coming_from, opened)
        check_root(root, keys, newest)
        upgrade(keys, "keys")
        machine = clock or this_machine()
        time: Clock = machine.wall if isinstance(machine, MachineClocks) else machine

        def now() -> datetime:
            return time()  # which is another one, below

        keyring = Keyring.open(keys, root, now)
        keyring.take_secrets(NAMED_KEYS)
        use_key(data, keyring.secret(ROW_KEY))
        upgrade(data, "data")
        minding: Minding | None = None
        if restoring:  # its time is now, however long ago the backup was
            home_clock.forget(data)
        if isinstance(machine, MachineClocks) and not home.has_test_clock:
            minding = Minding(data, machine)
            time = minding.clock
        marks.begin(data, keys)
        if there is not None:
            parts.write_elsewhere(home)
        closing.callback(_last_mark, marks)
        holders = Holders(data, keyring)
        old_entries.seal(data, holders)
    files = Folder(home.ledger)
    sequencer = Sequencer(
        data,
        holders,
        files,
        lambda: signing.signers(marks.home_id, keyring.secret),
        beside=History(files, lambda: keyring.secret(history.NAME)).files,
    )
    closing.callback(_last_leaves, sequencer)

    def appended() -> None:
        marks.noted()
        sequencer.noted()

    damages = Damages()
    if minding is not None and minding.damaged:
        damages.note("home_clock 1", f"{UNSOUND} The machine's clock is taken as it is.")
    ledger = Ledger(data, time, holders, appended=appended, damages=damages)
    activations = Activations(data, ledger, time, damages)
    with room.deleting():
        holding = activations.begin(named)
    own_policies = OwnPolicies(data, ledger, time, damages, holding)
    own_policies.begin()
    return Ground(
        home,
        settings,
        holding,
        activations,
        own_policies,
        room,
        damages,
        marks,
        data,
        keyring,
        time,
        minding,
        ledger,
        sequencer,
        Cosigning(sequencer, witnesses),
    )


def _last_leaves(sequencer: Sequencer) -> None:
    with suppress(BaileeError):  # whoever opens it next goes on
        sequencer.finish()


def _last_mark(marks: Marks) -> None:
    with suppress(StorageError):
        marks.advance()

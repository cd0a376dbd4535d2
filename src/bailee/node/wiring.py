"""Each part of a home, made when it is first asked for, with what it depends on and no more.

So a process opens what its role needs: the accounts alone, what a gateway needs, a sweep's stores.
Rules kept here:

* A part is made once, and what it is given when it is made is all that it is ever given.
* What was opened is closed in the reverse order, each part by itself, at the end.
* What a server does beside is said by a wiring of its own (`app.wiring`), which is asked instead.

Who opens a home holds its lock.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, suppress
from datetime import datetime
from functools import cached_property, partial
from typing import TypedDict

from bailee.accounts import PeopleRegistry
from bailee.accounts.keys import KeyLimits
from bailee.apis.reading import interpret
from bailee.cases import Cases
from bailee.clock import Clock
from bailee.cloud.egress.lists import NetworkLists
from bailee.cloud.git.connections import GitConnections
from bailee.cloud.sessions.store import Store as CloudStore
from bailee.config import Settings
from bailee.errors import StorageError
from bailee.feedback.reports import Reports
from bailee.feedback.survey import Survey, by_telemetry
from bailee.home import Home
from bailee.keeping.holds import Holds
from bailee.keeping.receipts import Receipts
from bailee.keeping.snapshots import KeySnapshots
from bailee.node import bounded
from bailee.node.deciding import Deciding
from bailee.node.egress import TELEMETRY, EgressDays
from bailee.node.erasing import Erasures
from bailee.node.erasure_rows import ErasureRows
from bailee.node.following import Following
from bailee.node.ground import Ground, lay
from bailee.node.objects import REPORTS, SEGMENTS, HomeObjects, open_objects
from bailee.node.once import Once
from bailee.node.person_keys import KeyringPersonKeys
from bailee.node.spooling import rows_of
from bailee.node.stores import Stores
from bailee.node.sweeping import Sweeping
from bailee.registry import load as load_registry
from bailee.steady import MachineClocks
from bailee.telemetry.telemetry import Telemetry
from bailee.telemetry.webhook import Webhook
from bailee.training.exports import Exports
from bailee.training.staging import Staging
from bailee.usage.counts import UsageCounts
from bailee.usage.increases import IncreaseRequests
from bailee.usage.limit_store import LimitStore
from bailee.usage.reserving import new_gateway
from bailee.vault.files import FilesWithin
from bailee.vault.vault import Vault
from bailee.vault.workbench import Bench, DigestKeys


class OpeningOptions(TypedDict, total=False):
    """What may be given to a `Wiring` besides the home, as it says of each."""

    settings: Settings | None
    clock: Clock | MachineClocks | None
    environment: Mapping[str, str]
    bench: Callable[[DigestKeys], Bench] | None
    accepted: Collection[str]
    restoring: bool


class WiringOptions(OpeningOptions, total=False):
    """The same, for a home that may be moving to another root key."""

    coming_from: str | None


class Wiring:
    """Opens one home, part by part, and closes what it opened. A process makes one and asks it for
    parts on the thread that it starts on; a choice may ask for what follows it later, on any. It
    does nothing with what is in them: what a start has to do is `Node.over`'s.
    """

    def __init__(
        self,
        home: Home,
        *,
        settings: Settings | None = None,
        clock: Clock | MachineClocks | None = None,
        environment: Mapping[str, str] = os.environ,
        bench: Callable[[DigestKeys], Bench] | None = None,
        accepted: Collection[str] = (),
        coming_from: str | None = None,
        restoring: bool = False,
    ) -> None:
        """A new home is made when its first part is asked for. `clock`: a time that is taken as it
        is, or a machine's clocks (default: this machine's), whose steps are minded. `bench`: where
        what was recorded is taken apart; in this process, unless it is given. Of the home's parts,
        older ones are `accepted` if they are named. `coming_from`: where the root key was, while
        the home moves to where `keyring.root` says. `restoring`: the home is a backup's, and not
        whole yet.
        """
        self._home = home
        self._settings = settings
        self._clock = clock
        self._environment = environment
        self._bench = bench
        self._accepted = accepted
        self._coming_from = coming_from
        self._restoring = restoring
        self._closing = ExitStack()

    def close(self) -> None:
        """Let go of all that was opened; what is in the spool is sealed before."""
        with self.ground.room.deleting():
            self._closing.close()

    @cached_property
    def ground(self) -> Ground:
        """The databases and the audit record, on which every other part stands.

        Raises:
            InputError: a setting or the policy document is wrong.
            StorageError: a store can't be opened.
            IntegrityError: a store was written by a newer version, or does not authenticate; code
                `home_parts`, parts of the home are missing, older, or of another one.
        """
        with ExitStack() as undo:
            ground = lay(
                self._home,
                undo,
                settings=self._settings,
                clock=self._clock,
                environment=self._environment,
                accepted=self._accepted,
                coming_from=self._coming_from,
                restoring=self._restoring,
            )
            self._closing.push(undo.pop_all())
        return ground

    # -- stores ----------------------------------------------------------------------------------

    @cached_property
    def registry(self) -> PeopleRegistry:
        """People, organisations, accounts, keys."""
        at = self.ground
        return PeopleRegistry(
            at.data,
            at.holding,
            at.clock,
            at.ledger,
            keys=KeyringPersonKeys(at.keyring),
            sign_up=bounded.sign_up(at.settings, at.policy),
            damages=at.damages,
            retention_follows=self._follow,
            key_limits=KeyLimits(
                at.settings.number("keys.per_person"),
                at.settings.number("keys.per_account"),
                at.settings.number("keys.in_all"),
            ),
        )

    def _follow(self, account_id: str) -> None:
        self.following.follow(account_id)

    @cached_property
    def erasure_rows(self) -> ErasureRows:
        """The erasures that are on record."""
        return ErasureRows(self.ground.data, self.ground.damages)

    @cached_property
    def receipts(self) -> Receipts:
        """The receipts of what was destroyed."""
        at = self.ground
        return Receipts(
            at.data,
            at.ledger.append_all,
            at.keyring.generation,
            self.snapshots.reached,
            overwritten=at.keyring.overwrites,
        )

    @cached_property
    def snapshots(self) -> KeySnapshots:
        """The copies of keys that are still about."""
        at = self.ground
        longest = partial(bounded.snapshots_at_most, at)
        return KeySnapshots(at.data, at.ledger.append, self._let_go, longest)

    def _let_go(self, now: datetime) -> None:
        self.vault.note_ended_roots(now)

    @cached_property
    def holds(self) -> Holds:
        """The legal holds. Each store lets its things be held when it opens."""
        at = self.ground
        return Holds(at.data, keyring=at.keyring, record=at.ledger.append, damages=at.damages)

    @cached_property
    def objects(self) -> HomeObjects:
        """Where sealed segments and reports are."""
        at = self.ground
        return open_objects(at.home, at.settings, self._environment, at.marks.home_id)

    @cached_property
    def vault(self) -> Vault:
        """Spool, segments and their index."""
        at = self.ground
        vault = Vault(
            at.data,
            at.home.vault,
            keyring=at.keyring,
            clock=at.clock,
            interpret=interpret,
            bench=self._bench,
            record=at.ledger.append,
            append_owned=at.ledger.append,
            holds=self.holds,
            receipts=self.receipts,
            present=self.deciding.present,
            deleted_by=self._deleted_by,
            rotation_interval=partial(bounded.shredding_after, at),
            damages=at.damages,
            objects=self.objects.of(SEGMENTS),
            rows=rows_of(at.data, at.settings, self.objects),
            files=FilesWithin(at.room.ready),
            room=at.room.writing,
        )
        self._closing.callback(vault.close)
        return vault

    def _deleted_by(self) -> str:
        return self.ground.policy.resumes(session_deleted=True, account_erased=False).clause

    @cached_property
    def reports(self) -> Reports:
        """Bug reports."""
        at = self.ground
        return Reports(
            at.data,
            self.objects.of(REPORTS),
            keyring=at.keyring,
            clock=at.clock,
            record=at.ledger.append,
            holds=self.holds,
            receipts=self.receipts,
        )

    @cached_property
    def survey(self) -> Survey:
        """The survey's counts."""
        return Survey(
            self.ground.data,
            lambda: self.ground.policy.document.survey.answers,
            self.deciding.survey_period,
            load_registry().fields["service.name"].kind.values,
        )

    @cached_property
    def cloud(self) -> CloudStore:
        """Cloud sessions, and what they leave."""
        at = self.ground
        return CloudStore(
            at.data,
            keyring=at.keyring,
            ledger=at.ledger,
            clock=at.clock,
            terms=self.deciding.cloud_terms,
            holds=self.holds,
            receipts=self.receipts,
        )

    @cached_property
    def git_connections(self) -> GitConnections:
        """Credentials for Git."""
        at = self.ground
        return GitConnections(at.data, keyring=at.keyring, ledger=at.ledger, clock=at.clock)

    @cached_property
    def network_lists(self) -> NetworkLists:
        """What cloud sessions may reach."""
        return NetworkLists(self.ground.data, ledger=self.ground.ledger, clock=self.ground.clock)

    @cached_property
    def once(self) -> Once:
        """What was answered within the day."""
        return Once(self.ground.data, self.ground.keyring.secret, self.ground.clock)

    @cached_property
    def webhook(self) -> Webhook | None:
        """Who is told of new issues, if anybody is; its thread runs."""
        url = self.ground.settings.text("telemetry.webhook")
        if url is None:
            return None
        made = Webhook(url, self._unheard)
        self._closing.callback(made.close)
        return made

    def _unheard(self) -> None:
        self.ground.ledger.append("telemetry.alert_failed", "webhook", {})

    @cached_property
    def telemetry(self) -> Telemetry:
        """Metrics and errors."""
        at, egress = self.ground, self.egress  # made first: it writes what was sent up to the end
        made = Telemetry(
            at.data,
            at.home.vault / "telemetry",
            keyring=at.keyring,
            clock=at.clock,
            registry=load_registry(),
            record=at.ledger.append,
            alert=self.webhook or (lambda *_: None),
            survey=by_telemetry(self.survey),
            left=lambda sent: egress.add(TELEMETRY, sent, 0),
            places=partial(bounded.measurements_go, at),
            files=FilesWithin(at.room.ready),
        )
        self._closing.callback(made.close)
        return made

    @cached_property
    def egress(self) -> EgressDays:
        """What left, by the day."""
        made = EgressDays(self.ground.data, self.ground.ledger, self.ground.clock)

        def last() -> None:
            with suppress(StorageError):  # these counts are lost
                made.write()

        self._closing.callback(last)
        return made

    @cached_property
    def exports(self) -> Exports:
        """The training exports."""
        return Exports(self.ground.data, self.ground.holding, self.ground.ledger)

    @cached_property
    def staging(self) -> Staging:
        """Those on their way to a bucket."""
        return Staging(self.ground.home.datasets)

    @cached_property
    def usage(self) -> UsageCounts:
        """What is used of models, by the hour."""
        return UsageCounts(self.ground.data, self._gateway)

    @cached_property
    def limits(self) -> LimitStore:
        """Limits on that."""
        at = self.ground
        return LimitStore(at.data, at.ledger, self.usage.used_by, self._gateway)

    @cached_property
    def increases(self) -> IncreaseRequests:
        """What members ask for beyond these."""
        at = self.ground
        return IncreaseRequests(at.data, at.ledger, at.damages, self.limits)

    @cached_property
    def _gateway(self) -> str:
        return new_gateway()

    @cached_property
    def cases(self) -> Cases:
        """People's requests about their own data."""
        at = self.ground
        return Cases(
            at.data,
            keyring=at.keyring,
            ledger=at.ledger,
            damages=at.damages,
            deadlines=bounded.deadlines(at),
            terms=self.deciding.request_terms,
        )

    @cached_property
    def stores(self) -> Stores:
        """All of them."""
        return Stores(
            **vars(self.ground),
            registry=self.registry,
            receipts=self.receipts,
            snapshots=self.snapshots,
            holds=self.holds,
            objects=self.objects,
            vault=self.vault,
            reports=self.reports,
            survey=self.survey,
            cloud=self.cloud,
            git_connections=self.git_connections,
            network_lists=self.network_lists,
            once=self.once,
            webhook=self.webhook,
            telemetry=self.telemetry,
            egress=self.egress,
            exports=self.exports,
            staging=self.staging,
            usage=self.usage,
            limits=self.limits,
            increases=self.increases,
            cases=self.cases,
        )

    # -- services --------------------------------------------------------------------------------

    @cached_property
    def deciding(self) -> Deciding:
        """What the policy says, by what holds now."""
        at = self.ground
        return Deciding(at.holding, self.registry.accounts, self.erasure_rows.is_gone, at.damages)

    @cached_property
    def following(self) -> Following:
        """What lets sessions follow a choice."""
        return Following(self.stores, self.moves_wait)

    @cached_property
    def erasures(self) -> Erasures:
        """What erases people."""
        keys_open = partial(bounded.keys_open, self.ground, "en")
        return Erasures(self.erasure_rows, self.stores, self.end_cloud_sessions, keys_open)

    @cached_property
    def sweeping(self) -> Sweeping:
        """What destroys what is due."""
        return Sweeping(self.stores, self.erasures)

    # -- what a server does otherwise ------------------------------------------------------------

    def moves_wait(self) -> None:
        """There is something in the queue of moves: here it is done at once."""
        self.vault.moving.run(self.ground.clock())

    def end_cloud_sessions(self, account_id: str) -> None:
        """End the cloud sessions of an account that run: here none does."""

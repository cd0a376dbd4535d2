"""Everything that one home holds, opened and wired together.

Opening takes what is on the disk to this version's schema, recovers what a crash left in the
spool, and gives one object through which the rest is reached. Who opens a home holds its lock.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Engine

from bailee import config
from bailee.accounts import Account, Registry
from bailee.clock import Clock
from bailee.cloud.egress.lists import NetworkLists
from bailee.cloud.git.connections import GitConnections
from bailee.cloud.sessions import store as cloud
from bailee.config import Settings
from bailee.damage import Damages
from bailee.db.checks import KEY as ROW_KEY
from bailee.db.checks import use_key
from bailee.db.engine import open_sqlite
from bailee.db.migrate import upgrade
from bailee.errors import InputError, StorageError
from bailee.feedback.reports import Reports
from bailee.feedback.survey import Survey, by_telemetry
from bailee.gateway.interpret import interpret
from bailee.health import Ask
from bailee.home import Home, parts
from bailee.home.belonging import Standing
from bailee.home.reserve import Reserve
from bailee.keyring import EnvironmentRoot, FileRoot, Keyring, Root, check_root, newest_generation
from bailee.lasting import Lasting
from bailee.ledger import Ledger
from bailee.node import old_entries
from bailee.node.erasing import Erasures
from bailee.node.marks import Marks
from bailee.node.minding import Minding
from bailee.node.once import Once
from bailee.node.person_keys import Holders, PersonKeys
from bailee.node.running import RunningCloud
from bailee.node.sweeping import NodeSweep, Sweeping
from bailee.node.traces import gather
from bailee.policy import Decision, Policy, load
from bailee.registry import load as load_registry
from bailee.steady import Machine, this_machine
from bailee.telemetry.issues import Issue
from bailee.telemetry.records import CaughtError
from bailee.telemetry.telemetry import Telemetry
from bailee.telemetry.webhook import Webhook
from bailee.training import eligibility
from bailee.vault.exchange import Terms
from bailee.vault.files import FilesWithin
from bailee.vault.objects import FolderObjects
from bailee.vault.terms import Present
from bailee.vault.transcript import SessionRow
from bailee.vault.vault import Vault
from bailee.vault.workbench import Bench, DigestKeys

_RECOVERY_SECONDS = 1.5
"""How long a start waits for what a crash left in the spool. The rest is sealed behind it, and what
is to be done then (erasures that were broken off) is done by the sweep."""

_UNDECIDED = "none"
"""In the place of a clause, where none could be found."""


class Node:
    """An open home: its policy, accounts, keyring, vault, telemetry, feedback and audit record."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        policy: Policy,
        clock: Clock | Machine,
        *,
        environment: Mapping[str, str],
        standing: Standing,
        room: Reserve,
        bench: Callable[[DigestKeys], Bench] | None = None,
    ) -> None:
        self.home = home
        self.room = room
        self.settings = settings
        self.policy = policy
        self._engines: list[Engine] = []
        self.marks = Marks(home, standing)
        self.damages = Damages()
        self.data = data = self._database(home.data_database)
        keys = self._database(home.keyring_database)
        try:
            new = newest_generation(keys) is None
            root = _root(settings, home.root_key_file, environment, may_make=new)
            check_root(root, keys)
        except BaseException:
            self._let_go()  # and so leave no file of SQLite's behind
            raise
        upgrade(keys, "keys")
        self.clock: Clock = clock.wall if isinstance(clock, Machine) else clock
        self.keyring = Keyring.open(keys, root, self._time)
        use_key(data, self.keyring.secret(ROW_KEY))
        upgrade(data, "data")
        self.minding: Minding | None = None
        if isinstance(clock, Machine) and not home.has_test_clock:
            self.minding = Minding(data, clock)
            self.clock = self.minding.clock
        clock = self.clock
        self.marks.begin(data, keys)
        files = FilesWithin(room.ready)
        holders = Holders(data, self.keyring)
        old_entries.seal(data, holders)
        self.ledger = Ledger(data, clock, holders)
        self.ledger.appended = self.marks.noted
        self.registry = Registry(
            data,
            policy,
            clock,
            self.ledger,
            keys=PersonKeys(self.keyring),
            sign_up=_sign_up(settings, policy),
            damages=self.damages,
        )
        self.accounts = self.registry.accounts
        self.vault = Vault(
            data,
            home.vault,
            keyring=self.keyring,
            clock=clock,
            interpret=interpret,
            bench=bench,
            record=self.ledger.append,
            record_all=self.ledger.append_all,
            present=self._present,
            deleted_by=policy.resumes(session_deleted=True, account_erased=False).clause,
            damages=self.damages,
            files=files,
            room=room.writing,
        )
        self.reports = Reports(
            data,
            FolderObjects(home.vault / "reports"),
            keyring=self.keyring,
            clock=clock,
            record=self.ledger.append,
        )
        declared = load_registry()
        self.survey = Survey(
            data,
            policy.document.survey.answers,
            self._survey_period,
            declared.fields["service.name"].kind.values,
        )
        self.cloud = cloud.Store(
            data, keyring=self.keyring, ledger=self.ledger, terms=self._cloud_terms
        )
        self.stop_cloud_sessions: Callable[[str], None] = lambda _account: None
        self.cloud_sessions: RunningCloud | None = None  # while a server runs
        self.git_connections = GitConnections(
            data, keyring=self.keyring, ledger=self.ledger, clock=clock
        )
        self.network_lists = NetworkLists(data, ledger=self.ledger, clock=clock)
        self.once = Once(data, self.keyring.secret, clock)
        self.erasures = Erasures(
            data,
            registry=self.registry,
            vault=self.vault,
            reports=self.reports,
            keyring=self.keyring,
            ledger=self.ledger,
            first=self._erase_cloud_sessions,
            git_connections=self.git_connections,
            network_lists=self.network_lists,
            forget_answers=self.once.forget_all,
            home=home.path,
            gather=lambda subject, now: gather(self, subject, now),
            damages=self.damages,
        )
        self.moves_wait: Callable[[], None] = self._move_now
        self.sweeping = Sweeping(self, data)
        self.health: Ask | None = None  # while a server runs
        self.measured: Callable[[], None] = lambda: None  # where no server runs, nothing waits
        self.accounts.retention_follows = self.follow
        url = settings.text("telemetry.webhook")
        self._webhook = None if url is None else Webhook(url, self._unheard)
        self.telemetry = Telemetry(
            data,
            home.vault / "telemetry",
            keyring=self.keyring,
            clock=clock,
            registry=declared,
            record=self.ledger.append,
            alert=self._alert,
            survey=by_telemetry(self.survey),
            files=files,
        )

    @classmethod
    def open(
        cls,
        home: Home,
        *,
        settings: Settings | None = None,
        clock: Clock | Machine | None = None,
        environment: Mapping[str, str] = os.environ,
        bench: Callable[[DigestKeys], Bench] | None = None,
        accepted: Collection[str] = (),
    ) -> Self:
        """Open a home whose lock the caller holds; a new one is made. `clock`: a time that is taken
        as it is, or a machine's clocks (default: this machine's), whose steps are minded. `bench`:
        where what was recorded is taken apart; in this process, unless it is given. Of the home's
        parts, older ones are `accepted` if they are named.

        Raises:
            InputError: a setting or the policy document is wrong.
            StorageError: a store can't be opened.
            IntegrityError: a store was written by a newer version, or does not authenticate; code
                `home_parts`, parts of the home are missing, older, or of another one.
        """
        home.make()
        settings = settings or config.load(home.settings_file, environment, {})
        document = settings.text("policy.document")
        policy = load(None if document is None else Path(document))
        # Nothing is opened, made or written before it is known that the parts are of one home.
        standing = parts.examine(home, accepted)
        room = Reserve(home.stores)
        with room.deleting():  # on a full disk too: what is deleted there makes room
            node = cls(
                home,
                settings,
                policy,
                clock or this_machine(),
                environment=environment,
                standing=standing,
                room=room,
                bench=bench,
            )
            # What was left goes first: it may have moved the end of what is destroyed next.
            recovered = node.vault.recover(_RECOVERY_SECONDS) is not None
            node.mind_clock()
            node.follow_all()
            if recovered:
                node.erasures.resume(node.clock())
            node.telemetry.recover()
            node.reports.recover()
            node.note_policy()
        return node

    def _time(self) -> datetime:
        return self.clock()

    def threads(self) -> list[Lasting]:
        """Its threads, for whoever watches."""
        told = [] if self._webhook is None else [self._webhook.thread]
        return [*self.vault.threads(), *self.telemetry.threads(), *told]

    def mind_clock(self) -> None:
        """Look whether the machine's clock has stepped (`minding`).

        Raises:
            StorageError: a store failed.
        """
        if self.minding is not None:
            self.minding.mind(self.ledger, self.settle_time)

    def settle_time(self, now: datetime) -> None:
        """Destroy all that has come to its time at `now`, so that no earlier time shows it again;
        in older copies too, or its receipts would wait until the earlier time has come to `now`.

        Raises:
            StorageError: a store failed; call again.
        """
        for failure in self.sweeping.sweep(now, minding=False).failures.values():
            raise failure
        self.vault.end_past(now)
        self.vault.rotate(now)

    def latest(self) -> datetime:
        """The time by which is told what may be read: while the machine's clock has stepped ahead,
        that time.
        """
        return self.clock() if self.minding is None else self.minding.clock.latest()

    def note_policy(self) -> None:
        """Record which policy document holds from now on, if it is not the one that held."""
        known = list(self.ledger.entries(kind="policy.activated", newest=1))
        if not known or known[-1].subject != self.policy.sha256:
            self.ledger.append(
                "policy.activated", self.policy.sha256, {"version": self.policy.version}
            )

    def training(self, session: SessionRow) -> Decision:
        """Whether a session may be trained on, decided now from what its owner chose. It may not if
        that can't be decided, since its owner's account or the policy's plan is not there.
        """
        for found in self.damages.each([session], self._training, lambda one: f"session {one.id}"):
            return found
        return Decision("deny", _UNDECIDED, self.policy.sha256)

    def _training(self, session: SessionRow) -> Decision:
        owner = self.accounts.get(session.owner)
        standing = eligibility.Standing(
            owner.training_choice,
            owner.chosen_number,
            owner.partner_programme,
            owner.partner_number,
        )
        uses = (eligibility.Use(*use.split("/")) for use in session.uses.split())
        return eligibility.decide(self.policy, standing, uses, session.last_consent)

    def follow(self, account_id: str) -> None:
        """Let an account's sessions follow its present choice: in the background of a server, at
        once elsewhere.

        Raises:
            InputError: there is no such account.
            StorageError: a store failed; the next sweep, or the next start, goes on.
        """
        account = self.accounts.get(account_id)
        self.vault.moving.request(account_id, self._last_choice(account), self.clock())
        self.cloud.follow(account_id)
        self.moves_wait()

    def follow_all(self) -> None:
        """Queue what is missing: a choice is on disk before its move is, and a crash may come
        between the two.
        """
        applied = self.vault.moving.applied()
        # Who has no key has no session.
        holders = {account for _, account in self.accounts.api_keys()}
        for account, at in self.damages.each(
            holders,
            lambda one: (one, self._last_choice(one)),
            lambda one: f"account {one.account_id}",
        ):
            if at is not None and applied.get(account.account_id) != at:
                self.vault.moving.request(account.account_id, at, self.clock())

    def _last_choice(self, account: Account) -> datetime | None:
        """When something was last chosen for an account that its sessions may have to follow."""
        if self.policy.plans[account.plan].segment == "consumer":
            return account.chosen_at
        records = self.accounts.consent_records(account.account_id)
        return records[-1].at if records else None

    def _move_now(self) -> None:
        self.vault.moving.run(self.clock())

    def _present(self, owner: str, plan: str, channel: str) -> Present | None:
        """On what terms an owner's sessions of a plan and channel are kept now, and since which of
        their choices. None: the account is not there, or not as it was; or the policy knows no such
        plan.
        """
        if self.erasures.is_gone(owner):
            dropped = self.policy.resumes(session_deleted=False, account_erased=True)
            return Present(Terms("P0D", dropped.clause, dropped.document), 0, 0)
        try:
            account = self.accounts.get(owner)
            decision = self.policy.retain(
                data_class="transcript",
                plan=plan,
                channel=channel,
                training_choice=account.training_choice,
                zero_retention=False,  # of such a key there are no sessions
                partner_programme=account.partner_programme,
            )
        except InputError:
            return None
        consumer = self.policy.plans[plan].segment == "consumer"
        return Present(
            Terms(decision.retention or "P0D", decision.clause, decision.document),
            account.chosen_number if consumer else account.partner_number,
            account.consent,
        )

    def _cloud_terms(self, owner: str, plan: str, zero: bool) -> dict[str, Terms]:
        """On what terms what an owner's cloud sessions leave is kept now; what is missing, is not
        kept.
        """
        found: dict[str, Terms] = {}
        if self.erasures.is_gone(owner):
            return found
        account = self.accounts.get(owner)
        for data_class in cloud.CLASSES:
            decision = self.policy.retain(
                data_class=data_class,
                plan=plan,
                channel="api",
                training_choice=account.training_choice,
                zero_retention=zero,
                partner_programme=account.partner_programme,
            )
            if decision.retention not in (None, "P0D"):
                found[data_class] = Terms(
                    str(decision.retention), decision.clause, decision.document
                )
        return found

    def _erase_cloud_sessions(self, account_id: str) -> None:
        self.stop_cloud_sessions(account_id)
        self.cloud.erase_owned(account_id)

    def training_now(self, account: Account, channel: str = "api") -> Decision:
        """Whether what an account does now may be trained on."""
        return self.policy.train(
            data_class="transcript",
            plan=account.plan,
            channel=channel,
            training_choice=account.training_choice,
            zero_retention=False,
            partner_programme=account.partner_programme,
            active_since_choice=True,
        )

    def _survey_period(self) -> str:
        """How long an answer of the survey is counted: it is nobody's, so nobody's facts count."""
        decision = self.policy.retain(
            data_class="survey_rating",
            plan=next(iter(self.policy.plans)),
            channel="api",
            training_choice="none",
            zero_retention=False,
            partner_programme=False,
        )
        return decision.retention or "P0D"

    def sweep(self, now: datetime) -> NodeSweep:
        """Look at the clock, and destroy what is due of all that is kept. See `Sweeping`."""
        return self.sweeping.sweep(now)

    def close(self) -> None:
        """Seal what is in the spool and let everything go."""
        with self.room.deleting():
            self.telemetry.close()
            if self._webhook is not None:
                self._webhook.close()
            self.vault.close()
            with suppress(StorageError):
                self.marks.advance()
            self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _alert(self, kind: str, issue: Issue, row: CaughtError) -> None:
        if self._webhook is not None:
            self._webhook(kind, issue, row)

    def _unheard(self) -> None:
        self.ledger.append("telemetry.alert_failed", "webhook", {})

    def _let_go(self) -> None:
        for engine in self._engines:
            engine.dispose()

    def _database(self, path: Path) -> Engine:
        engine = open_sqlite(path, self.room)
        self._engines.append(engine)
        return engine


def _sign_up(settings: Settings, policy: Policy) -> frozenset[str]:
    """The plans that people may take by themselves; none where sign-up is closed."""
    said = settings.text("accounts.sign_up")
    if said not in ("open", "closed"):
        raise InputError(
            f"accounts.sign_up is {said!r}.", code="configuration", hint="use open, or closed"
        )
    if said == "closed":
        return frozenset()
    consumers = [plan.name for plan in policy.plans.values() if plan.segment == "consumer"]
    names = frozenset(
        name.strip() for name in (settings.text("accounts.sign_up_plans") or "").split(",")
    )
    if not names <= set(consumers):
        raise InputError(
            "sign-up is open, and accounts.sign_up_plans does not say for which plans.",
            code="configuration",
            hint=f"name some of {', '.join(consumers)}: whoever signs up uses the model on them",
        )
    return names


def _root(
    settings: Settings, file: Path, environment: Mapping[str, str], *, may_make: bool
) -> Root:
    where = settings.text("keyring.root") or "file"
    if where == "file":
        return FileRoot(file, may_make=may_make)
    kind, _, variable = where.partition(":")
    if kind != "env" or not variable:
        raise InputError(
            f"keyring.root is {where!r}.", code="configuration", hint="use file, or env:NAME"
        )
    if not environment.get(variable):
        raise InputError(
            f"the environment variable {variable} holds no root key.",
            code="configuration",
            hint="set it to 32 random bytes in base64, and keep them safe",
        )
    return EnvironmentRoot(file, environment[variable], may_make=may_make)

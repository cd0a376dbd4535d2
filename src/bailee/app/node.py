"""Everything that one home holds, opened and wired together.

Opening takes what is on the disk to this version's schema, recovers what a crash left in the
spool, and gives one object through which the rest is reached. Who opens a home holds its lock.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Engine

from bailee import config
from bailee.accounts import Account, Accounts
from bailee.clock import Clock, system_clock
from bailee.config import Settings
from bailee.db.engine import open_sqlite
from bailee.db.migrate import upgrade
from bailee.errors import InputError
from bailee.gateway.interpret import interpret
from bailee.home import Home
from bailee.keyring import EnvironmentRoot, FileRoot, Keyring, Root
from bailee.ledger import Ledger
from bailee.policy import Decision, Policy, load
from bailee.registry import load as load_registry
from bailee.telemetry.issues import Issue
from bailee.telemetry.records import Row
from bailee.telemetry.telemetry import Swept, Telemetry
from bailee.telemetry.webhook import Webhook
from bailee.vault.forgetting import SweepReport
from bailee.vault.transcript import SessionRow
from bailee.vault.vault import Vault


class Node:
    """An open home: its policy, accounts, keyring, vault, telemetry and audit record."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        policy: Policy,
        clock: Clock,
        environment: Mapping[str, str],
    ) -> None:
        self.home = home
        self.settings = settings
        self.policy = policy
        self.clock = clock
        self._engines: list[Engine] = []
        data = self._database(home.data_database)
        keys = self._database(home.keyring_database)
        upgrade(data, "data")
        upgrade(keys, "keys")
        self.ledger = Ledger(data, clock)
        self.accounts = Accounts(data, policy, clock, self.ledger)
        self.keyring = Keyring.open(keys, _root(settings, home.root_key_file, environment), clock)
        self.vault = Vault(
            data,
            home.vault,
            keyring=self.keyring,
            clock=clock,
            interpret=interpret,
            record=self.ledger.append,
        )
        url = settings.text("telemetry.webhook")
        self._webhook = None if url is None else Webhook(url, self._unheard)
        self.telemetry = Telemetry(
            data,
            home.vault / "telemetry",
            keyring=self.keyring,
            clock=clock,
            registry=load_registry(),
            record=self.ledger.append,
            alert=self._alert,
        )

    @classmethod
    def open(
        cls,
        home: Home,
        *,
        settings: Settings | None = None,
        clock: Clock = system_clock,
        environment: Mapping[str, str] = os.environ,
    ) -> Self:
        """Open a home whose lock the caller holds; its folders are made if they are not there.

        Raises:
            InputError: a setting or the policy document is wrong.
            StorageError: a store can't be opened.
            IntegrityError: a store was written by a newer version, or does not authenticate.
        """
        home.make()
        settings = settings or config.load(home.settings_file, environment, {})
        document = settings.text("policy.document")
        policy = load(None if document is None else Path(document))
        node = cls(home, settings, policy, clock, environment)
        node.vault.recover()
        node.telemetry.recover()
        node.note_policy()
        return node

    def note_policy(self) -> None:
        """Record which policy document holds from now on, if it is not the one that held."""
        known = list(self.ledger.entries(kind="policy.activated", newest=1))
        if not known or known[-1].subject != self.policy.sha256:
            self.ledger.append(
                "policy.activated", self.policy.sha256, {"version": self.policy.version}
            )

    def training(self, session: SessionRow) -> Decision:
        """Whether a session may be trained on, decided now from what its owner chose."""
        owner = self.accounts.get(session.owner)
        return self.policy.train(
            data_class="transcript",
            plan=session.plan,
            channel=session.channel,
            training_choice=owner.training_choice,
            zero_retention=False,
            partner_programme=owner.partner_programme,
            active_since_choice=owner.chosen_at is not None
            and session.last_activity >= owner.chosen_at,
        )

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

    def sweep(self, now: datetime) -> tuple[SweepReport, Swept]:
        """Destroy what is due, of telemetry and of sessions.

        Raises:
            StorageError: a store failed; the next sweep goes on.
        """
        swept = self.telemetry.sweep(now)
        return self.vault.sweep(now), swept

    def close(self) -> None:
        """Seal what is in the spool and let everything go."""
        self.telemetry.close()
        if self._webhook is not None:
            self._webhook.close()
        self.vault.close()
        for engine in self._engines:
            engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _alert(self, kind: str, issue: Issue, row: Row) -> None:
        if self._webhook is not None:
            self._webhook(kind, issue, row)

    def _unheard(self) -> None:
        self.ledger.append("telemetry.alert_failed", "webhook", {})

    def _database(self, path: Path) -> Engine:
        engine = open_sqlite(path)
        self._engines.append(engine)
        return engine


def _root(settings: Settings, file: Path, environment: Mapping[str, str]) -> Root:
    where = settings.text("keyring.root") or "file"
    if where == "file":
        return FileRoot(file)
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
    return EnvironmentRoot(file, environment[variable])

"""All of this package over one database, wired together."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from sqlalchemy import Engine, select

from bailee.accounts.accounts import Accounts, RetentionFollows
from bailee.accounts.attempts import Attempts
from bailee.accounts.authority import Authority
from bailee.accounts.backing import Backing
from bailee.accounts.choices import Choices
from bailee.accounts.device_grants import DeviceGrants
from bailee.accounts.group_grants import GroupGrants
from bailee.accounts.identifiers import Identifiers, PersonKeys
from bailee.accounts.key_days import KeyDays
from bailee.accounts.keys import USUAL, KeyLimits
from bailee.accounts.operator_links import OperatorLinks
from bailee.accounts.organisations import Organisations
from bailee.accounts.password_sign_in import PasswordSignIn
from bailee.accounts.passwords import Hasher, Passwords
from bailee.accounts.pending import Pending
from bailee.accounts.people import People
from bailee.accounts.provisioned_groups import ProvisionedGroups
from bailee.accounts.provisioned_people import ProvisionedPeople
from bailee.accounts.provisioning_tokens import ProvisioningTokens
from bailee.accounts.saved_views import SavedViews
from bailee.accounts.sign_ins import SignIns
from bailee.accounts.staff import Staff
from bailee.accounts.web_sessions import WebSessions
from bailee.clock import Clock
from bailee.damage import Damages
from bailee.db.engine import reading, storage_errors
from bailee.db.people import identities
from bailee.ledger import Ledger
from bailee.policy.holding import PolicyHolder

if TYPE_CHECKING:
    from bailee.accounts.passkey_sign_in import PasskeySignIn
    from bailee.accounts.provider_sign_in import ProviderSignIn
    from bailee.accounts.workload_identity import WorkloadIdentity


class PeopleRegistry:
    """The people of a home: who they are, what they may, what they chose, how they sign in.

    A home's wiring makes one, and hands its parts out as attributes; they may be used from any
    thread. `passkeys` and `providers` are made when they are first asked for. It does nothing
    itself but wire.
    """

    def __init__(
        self,
        engine: Engine,
        holding: PolicyHolder,
        clock: Clock,
        ledger: Ledger,
        *,
        keys: PersonKeys,
        random: Callable[[int], bytes] = secrets.token_bytes,
        hasher: Hasher | None = None,
        environment: Mapping[str, str] = os.environ,
        sign_up: Collection[str] = (),
        damages: Damages | None = None,
        retention_follows: RetentionFollows = lambda _account_id: None,
        key_limits: KeyLimits = USUAL,
    ) -> None:
        """`keys` has the persons' own; `hasher` is argon2's with its defaults if not given;
        `sign_up`: the plans on which people may make themselves an account; `retention_follows` is
        told of each choice, once it is on disk.
        """
        self.identifiers = identifiers = Identifiers(keys, random)
        damages = damages or Damages()
        backing = Backing(engine, holding, clock, ledger, identifiers, random, damages)
        self.accounts = Accounts(
            engine,
            holding,
            clock,
            ledger,
            random,
            names=identifiers,
            damages=damages,
            retention_follows=retention_follows,
            key_limits=key_limits,
        )
        self.authority = Authority(engine, self.accounts)
        self.key_days = KeyDays(backing, self.accounts, self.authority)
        self.people = People(backing, self.accounts, self.authority, self.key_days)
        self.organisations = Organisations(backing, self.accounts, self.authority)
        self.groups = GroupGrants(backing, self.authority, self.organisations)
        self.choices = Choices(backing, self.accounts, self.authority, self.organisations)
        self.web_sessions = WebSessions(backing, self.authority)
        self.saved_views = SavedViews(backing)
        self.staff = Staff(backing, self.authority)
        self.attempts = Attempts(backing)
        self.passwords = PasswordSignIn(
            backing,
            people=self.people,
            choices=self.choices,
            attempts=self.attempts,
            passwords=Passwords(hasher),
            web_sessions=self.web_sessions,
            authority=self.authority,
            sign_up=sign_up,
        )
        self.pending = Pending(backing)
        self.links = OperatorLinks(self.pending)
        self.device_grants = DeviceGrants(backing, self.pending)
        self.sign_ins = SignIns(
            backing,
            accounts=self.accounts,
            people=self.people,
            authority=self.authority,
            groups=self.groups,
            providers=lambda: self.providers,
        )
        self.provisioning_tokens = ProvisioningTokens(backing, self.accounts, self.authority)
        self.provisioned_people = ProvisionedPeople(
            backing,
            people=self.people,
            organisations=self.organisations,
            authority=self.authority,
            groups=self.groups,
            web_sessions=self.web_sessions,
        )
        self.provisioned_groups = ProvisionedGroups(backing, self.groups, self.provisioned_people)
        self._backing = backing
        self._environment = environment
        self._making = threading.Lock()  # while a way in is made, or asked for
        self._passkeys: PasskeySignIn | None = None
        self._providers: ProviderSignIn | None = None
        self._workloads: WorkloadIdentity | None = None

    def identities_of(self, person_id: str) -> list[bytes]:
        """The digests by which providers' subjects are found to be this person."""
        query = select(identities.c.subject_index).where(identities.c.person_id == person_id)
        with storage_errors("the people"), reading(self._backing.engine) as connection:
            return list(connection.execute(query).scalars())

    # These take a moment to import, and most commands never need them.

    @property
    def passkeys(self) -> PasskeySignIn:
        """Adding passkeys, and signing in with them."""
        from bailee.accounts.passkey_sign_in import PasskeySignIn

        with self._making:
            if self._passkeys is None:
                self._passkeys = PasskeySignIn(
                    self._backing,
                    people=self.people,
                    authority=self.authority,
                    attempts=self.attempts,
                    things=self.pending,
                )
            return self._passkeys

    @property
    def providers(self) -> ProviderSignIn:
        """Signing in through an organisation's OpenID provider."""
        from bailee.accounts.provider_sign_in import ProviderSignIn

        with self._making:
            if self._providers is None:
                self._providers = ProviderSignIn(
                    self._backing,
                    accounts=self.accounts,
                    people=self.people,
                    organisations=self.organisations,
                    authority=self.authority,
                    groups=self.groups,
                    things=self.pending,
                    environment=self._environment,
                )
            return self._providers

    @property
    def workloads(self) -> WorkloadIdentity:
        """Service accounts, and the tokens of CI providers that are exchanged for theirs."""
        from bailee.accounts.workload_identity import WorkloadIdentity

        with self._making:
            if self._workloads is None:
                self._workloads = WorkloadIdentity(
                    self._backing,
                    accounts=self.accounts,
                    authority=self.authority,
                    environment=self._environment,
                )
            return self._workloads

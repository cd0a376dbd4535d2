"""Accounts, their API keys, and what was chosen about training.

An account is what has a plan and keys: a person's own, an organisation's, or neither; then it
belongs to whoever holds its key. Whether an actor may ask for something is for `authority`; here
are the rules that hold whoever asks.

Rules kept here:

* Every account has a plan of the policy document (T1), every key one account.
* A key is shown once; its digest is stored.
* A choice is a consent record, appended and never edited, and the account's state in the same
  transaction (T2). There is no way to make one here without saying who chose and by which way.
* Choosing what holds already changes nothing: the present choice holds since it was made.
* What came before a choice and what after is said by its number, never by the clock.
* How many keys are good at once is bounded, of a person, of an account and in all; to revoke one
  makes room for one.
* Who presents a key is told from memory (`known`). This process owns the home, so what it holds is
  what is true: a revoked key stops at once. What others hold is told of each change
  (`db.change_log`).

Rows: T1, T2, T6.
"""

from __future__ import annotations

import secrets
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine, insert, update

from bailee.accounts import consent, keys
from bailee.accounts.account import Account, ApiKey, Choice, Scope
from bailee.accounts.consent import ConsentRecord, Purpose
from bailee.accounts.ephemeral_keys import EphemeralKeys
from bailee.accounts.held import SEALED, HeldAccounts
from bailee.accounts.identifiers import Identifiers
from bailee.accounts.known import KnownAccounts
from bailee.accounts.roles import OPERATOR, Actor
from bailee.clock import Clock
from bailee.damage import Damages
from bailee.db import people, provisioning
from bailee.db.accounts import accounts, api_keys, consent_records
from bailee.db.checks import unsound_beside, unsound_of
from bailee.db.engine import reading, storage_errors
from bailee.db.sign_ins import sign_ins
from bailee.errors import InputError, IntegrityError, PolicyDenied
from bailee.ledger import Ledger
from bailee.policy import Policy
from bailee.policy.holding import PolicyHolder
from bailee.shown import named

RetentionFollows = Callable[[str], None]
"""Told the id of an account whose terms have changed, after the change is on disk."""

SESSION_LASTS: Final = timedelta(days=1)
"""For how long a cloud session's key is good at the most, where nobody says."""
_WHAT = "the accounts"
_NAME = "a key's name"


class Accounts(KnownAccounts):
    """The accounts and keys of a home: their rows, and a copy of them in memory, which is what is
    asked (`KnownAccounts`).

    `PeopleRegistry` makes one for each open home. Its methods may be called from any thread. It
    never decides whether an actor may ask: `authority` does that, before.
    """

    def __init__(
        self,
        engine: Engine,
        holding: PolicyHolder,
        clock: Clock,
        ledger: Ledger,
        random: Callable[[int], bytes] = secrets.token_bytes,
        *,
        names: Identifiers | None = None,
        damages: Damages | None = None,
        retention_follows: RetentionFollows = lambda _account_id: None,
        key_limits: keys.KeyLimits = keys.USUAL,
    ) -> None:
        """`names` seals what people call their keys; without it, names are kept as they are."""
        self._names = names
        self.damages = damages or Damages()
        prove = None if names is None else names.index
        super().__init__(HeldAccounts(self.damages, self._opened), clock, prove)
        self._retention_follows = retention_follows
        self._engine = engine
        self._holding = holding
        self._ledger = ledger
        self._random = random
        self._key_limits = key_limits
        # Held by whoever changes a key or an account that is there, until memory agrees.
        self._changing = threading.Lock()
        self.ephemeral = EphemeralKeys(
            engine, clock, ledger, random, self._held, changing=self._changing
        )
        """The keys that end with a cloud session or a run."""
        self._load()

    @property
    def _policy(self) -> Policy:
        return self._holding.policy

    def _load(self) -> None:
        with storage_errors(_WHAT), reading(self._engine) as connection:
            read = self._held.load(connection)
            wrong = unsound_beside(connection, read)
            wrong |= unsound_of(
                connection,
                [consent_records, sign_ins, *people.CHECKED, *provisioning.CHECKED],
            )
        for name, ids in wrong.items():
            self.damages.note_all(name, ids)

    def create(
        self,
        *,
        plan: str,
        name: str,
        zero_retention: bool = False,
        by: Actor = OPERATOR,
        expires_at: datetime | None = None,
    ) -> tuple[Account, ApiKey, str]:
        """A new account of its key holder, with its first key; the key itself is in the answer and
        nowhere else.

        Raises:
            InputError: an unknown plan, zero retention for a consumer plan, a name that is none.
        """
        self._check_plan(plan, zero_retention)
        name = named(name, _NAME)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            account = self.insert(connection, plan=plan, name=name)
            key, digest, secret = self._insert_key(
                connection,
                account,
                name,
                zero_retention=zero_retention,
                person_id=None,
                by=by,
                expires_at=expires_at,
            )
        self.remember(account)
        self._held.keys[key.key_id] = (digest, key)
        return account, key, secret

    def insert(
        self,
        connection: Connection,
        *,
        plan: str,
        name: str,
        person_id: str | None = None,
        organisation_id: str | None = None,
    ) -> Account:
        """A new account in the caller's transaction. `remember` it once that has been committed.

        Raises:
            InputError: an unknown plan.
        """
        self._check_plan(plan, zero_retention=False)
        account = Account(
            account_id="acc_" + self._random(8).hex(),
            name=name,
            plan=plan,
            training_choice="none",
            chosen_at=None,
            partner_programme=False,
            created_at=self._clock(),
            person_id=person_id,
            organisation_id=organisation_id,
        )
        connection.execute(
            insert(accounts).values(
                id=account.account_id,
                name=name,
                plan=plan,
                training_choice=account.training_choice,
                partner_programme=False,
                created_at=account.created_at,
                person_id=person_id,
                organisation_id=organisation_id,
            )
        )
        self._ledger.append(
            "account.created", account.account_id, {"plan": plan}, connection=connection
        )
        return account

    def remember(self, account: Account) -> None:
        """Hold an account in memory as it now is on disk."""
        self._held.put(account)

    def create_key(
        self,
        account_id: str,
        name: str,
        *,
        by: Actor,
        zero_retention: bool = False,
        person_id: str | None = None,
        scope: Scope = "full",
        until: Callable[[], datetime | None] = lambda: None,
        still: Callable[[], bool] = lambda: True,
    ) -> tuple[ApiKey, str]:
        """One more key of an account, and the key itself, which is shown this once.

        `person_id` is for whom it speaks; nobody means that it speaks for the account alone.
        `still` says whether they have a part in the account, `until` until when the key is good
        (None: until it is revoked). Both are asked while no key can be ended (`ending_keys`), so
        that none is made beside a membership's end, or an organisation's demand.

        Raises:
            InputError: no such account, zero retention for a consumer plan, a name that is none;
                `forbidden`; `over_quota`: there are as many keys as may be.
        """
        account = self.get(account_id)
        self._check_plan(account.plan, zero_retention)
        name = named(name, _NAME)
        with self._changing:
            if not still():
                raise InputError("this account does not belong to this person.", code="forbidden")
            expires_at = until()
            with storage_errors(_WHAT), self._engine.begin() as connection:
                key, digest, secret = self._insert_key(
                    connection,
                    account,
                    name,
                    zero_retention=zero_retention,
                    person_id=person_id,
                    by=by,
                    scope=scope,
                    expires_at=expires_at,
                )
            self._held.keys[key.key_id] = (digest, key)
        return key, secret

    def _check_plan(self, plan: str, zero_retention: bool) -> None:
        plans = self._policy.plans
        known = plans.get(plan)
        if known is None:
            raise InputError(f"there is no plan {plan!r}.", hint="plans: " + ", ".join(plans))
        if zero_retention and known.segment != "commercial":
            raise InputError(
                f"zero retention is for commercial plans; {plan} is a consumer plan.",
                hint="use --plan team, enterprise or api",
            )

    def _insert_key(
        self,
        connection: Connection,
        account: Account,
        name: str,
        *,
        zero_retention: bool,
        person_id: str | None,
        by: Actor,
        scope: Scope = "full",
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, bytes, str]:
        if scope not in ("signed_in", "workload"):
            held = tuple(self._held.keys.values())
            good = (key for _, key in held)
            keys.check_number(self._key_limits, good, account, person_id, self._clock())
        minted = keys.mint(self._random(keys.RANDOM_BYTES))
        key = ApiKey(
            minted.key_id,
            account.account_id,
            name,
            zero_retention,
            self._clock(),
            None,
            person_id,
            by.name,
            scope,
            expires_at,
        )
        connection.execute(
            insert(api_keys).values(
                id=key.key_id,
                account_id=key.account_id,
                name=self._sealed(person_id or account.person_id, name),
                digest=minted.digest,
                zero_retention=zero_retention,
                created_at=key.created_at,
                person_id=person_id,
                created_by=key.created_by,
                scope=scope,
                expires_at=expires_at,
            )
        )
        until = {} if expires_at is None else {"until": expires_at.isoformat()}
        self._ledger.append(
            "key.created",
            key.key_id,
            {
                "account": account.account_id,
                "zero_retention": zero_retention,
                "scope": scope,
                "by": by.name,
                **until,
            },
            connection=connection,
        )
        return key, minted.digest, minted.key

    def _sealed(self, person_id: str | None, name: str) -> str:
        """A key's name as it is kept: a person gave it, so it is under the person's own key."""
        if person_id is None or self._names is None:
            return name
        return SEALED + b64encode(self._names.seal(person_id, "key", name)).decode()

    def _opened(self, person_id: str | None, kept: str) -> str:
        if person_id is None or self._names is None or not kept.startswith(SEALED):
            return kept
        try:
            return self._names.open(person_id, "key", b64decode(kept.removeprefix(SEALED)))
        except IntegrityError as error:
            if error.code != "key_destroyed":
                raise
            return ""  # an erasure is under way

    def key_for_this_run(self, account_id: str, *, scope: Scope = "full") -> tuple[str, str]:
        """A key of `account_id`, its id and itself, that ends with this server's run."""
        return self.ephemeral.for_run(account_id, scope=scope)

    def key_for_cloud_session(
        self,
        account_id: str,
        session: str,
        *,
        zero_retention: bool,
        by: str,
        lasts: timedelta = SESSION_LASTS,
        still: Callable[[], None] = lambda: None,
    ) -> tuple[str, str]:
        """A key of `account_id` for one cloud session, its id and itself. It is good at the gateway
        alone. See `EphemeralKeys.for_cloud_session`.
        """
        return self.ephemeral.for_cloud_session(
            account_id, session, zero_retention=zero_retention, by=by, lasts=lasts, still=still
        )

    def revoke(self, key_id: str, *, by: Actor = OPERATOR) -> ApiKey:
        """Revoke a key, at once and for good. Revoking twice changes nothing; but one of a cloud
        session or a run is gone then.

        Raises:
            InputError: code `not_found`.
        """
        with self._changing:
            key = self.api_key(key_id)
            with storage_errors(_WHAT), self._engine.begin() as connection:
                ended = self._end(connection, [key_id], by.name)
            self._forget(ended)
            return ended[0] if ended else key

    @contextmanager
    def ending_keys(
        self, which: Callable[[ApiKey, Account], bool], *, by: str
    ) -> Iterator[Callable[[Connection], list[ApiKey]]]:
        """Revoke keys with something else, all or nothing: call what this gives with the caller's
        transaction, and leave only once that has been committed; then they are good no more.
        """

        def end(connection: Connection) -> list[ApiKey]:
            ids = [key.key_id for key, of in self.api_keys() if which(key, of)]
            return self._end(connection, ids, by)

        with self._changing_keys(end) as change:
            yield change

    @contextmanager
    def shortening_keys(
        self, which: Callable[[ApiKey, Account], bool], last: datetime | None
    ) -> Iterator[Callable[[Connection], list[ApiKey]]]:
        """Have keys end at `last` at the latest with something else, as `ending_keys`. None: none
        ends earlier.
        """

        def shorten(connection: Connection) -> list[ApiKey]:
            if last is None:
                return []
            shorter = [
                replace(key, expires_at=last)
                for key, of in self.api_keys()
                if which(key, of)
                and not key.ephemeral
                and key.revoked_at is None
                and (key.expires_at is None or key.expires_at > last)
            ]
            for key in shorter:
                change = update(api_keys).where(api_keys.c.id == key.key_id)
                connection.execute(change.values(expires_at=last))
            return shorter

        with self._changing_keys(shorten) as change:
            yield change

    @contextmanager
    def _changing_keys(
        self, change: Callable[[Connection], list[ApiKey]]
    ) -> Iterator[Callable[[Connection], list[ApiKey]]]:
        changed: list[ApiKey] = []

        def change_them(connection: Connection) -> list[ApiKey]:
            changed.extend(change(connection))
            return changed

        with self._changing:
            yield change_them
            self._forget(changed)

    def _end(self, connection: Connection, key_ids: Iterable[str], by: str) -> list[ApiKey]:
        """Note of those that are good that they are so no more."""
        good = [key for one in key_ids if (key := self._held.keys[one][1]).revoked_at is None]
        now = self._clock()
        for key in good:
            if key.ephemeral:
                self.ephemeral.end_in(connection, key.key_id)
            else:
                connection.execute(
                    update(api_keys).where(api_keys.c.id == key.key_id).values(revoked_at=now)
                )
            self._ledger.append("key.revoked", key.key_id, {"by": by}, connection=connection)
        return [replace(key, revoked_at=now) for key in good]

    def _forget(self, changed: Iterable[ApiKey]) -> None:
        for key in changed:
            if key.ephemeral:
                self._held.keys.pop(key.key_id, None)
            else:
                self._held.keys[key.key_id] = (self._held.keys[key.key_id][0], key)

    def unname(self, account_id: str | None, key_ids: Iterable[str]) -> None:
        """Remove the names that someone gave to an account and to keys. Twice changes nothing."""
        with self._changing:
            ids = [one for one in key_ids if one in self._held.keys]
            with storage_errors(_WHAT), self._engine.begin() as connection:
                connection.execute(update(api_keys).where(api_keys.c.id.in_(ids)).values(name=""))
                connection.execute(
                    update(accounts).where(accounts.c.id == account_id).values(name="")
                )
            for key_id in ids:
                stored, key = self._held.keys[key_id]
                self._held.keys[key_id] = (stored, replace(key, name=""))
            if account_id is not None:
                self.remember(replace(self._held.accounts[account_id], name=""))

    def choose_training(
        self,
        account_id: str,
        choice: Choice,
        *,
        language: str,
        source: str,
        by: Actor | None = None,
    ) -> Account:
        """Record the person's choice; it holds for the next request.

        `language` is that of the notice they saw, `source` where they chose (`console`, `api`,
        `terminal`), `by` who they are. Commercial accounts have no such choice: their terms
        exclude training already.

        Raises:
            InputError: the account is commercial, or the choice is not one.
            PolicyDenied: by the policy's dates there is no choice yet.
        """
        if choice not in ("allowed", "refused"):
            raise InputError("a training choice is either 'allowed' or 'refused'.")
        with self._changing:
            account = self.get(account_id)
            self.check_has_choice(account.plan)
            if account.training_choice == choice:
                return account
            now = self._next_moment(account_id)
            record = self._record(
                account,
                "training",
                (account.training_choice, choice),
                at=now,
                language=language,
                source=source,
                by=by,
            )
            changed = self._change(replace(account, training_choice=choice, chosen_at=now), record)
        self._retention_follows(account_id)
        return changed

    def set_partner(
        self, account_id: str, joined: bool, *, language: str, source: str, by: Actor
    ) -> Account:
        """Record that an organisation joined or left the partner programme.

        Raises:
            InputError: the account is not an organisation's, or not on a commercial plan.
        """
        with self._changing:
            account = self.get(account_id)
            if (
                account.organisation_id is None
                or self._policy.plans[account.plan].segment != "commercial"
            ):
                raise InputError(
                    "the partner programme is for organisations on a commercial plan.",
                    code="forbidden",
                )
            if account.partner_programme == joined:
                return account
            now = self._next_moment(account_id)
            old, new = ("left", "joined") if joined else ("joined", "left")
            if joined and not self._ever_joined(account_id):
                old = "none"
            record = self._record(
                account,
                "partner_programme",
                (old, new),
                at=now,
                language=language,
                source=source,
                by=by,
            )
            since = now if joined else None
            changed = self._change(
                replace(account, partner_programme=joined, partner_since=since), record
            )
        self._retention_follows(account_id)
        return changed

    def check_has_choice(self, plan: str) -> None:
        """Go on only if people on this plan have a training choice now.

        Raises:
            InputError: the plan is commercial.
            PolicyDenied: by the policy's dates there is no choice yet.
        """
        policy = self._policy  # one for all that is asked here
        if policy.plans[plan].segment != "consumer":
            raise InputError(
                f"plan {plan} has no training choice: commercial data is not trained on.",
                hint="an organisation's admin can join the partner programme instead",
            )
        phase = policy.phase(self._clock().date())
        if phase == "before_choice":
            clause = policy.choose(
                plan=plan, training_choice="none", phase=phase, arrival="existing"
            ).clause
            raise PolicyDenied(
                f"no choice about training can be made yet ({clause}).",
                hint=f"the policy opens it on {policy.document.choice_from}",
            )

    def _next_moment(self, account_id: str) -> datetime:
        """Now; but after the account's last record, also where the clock was set back, so that the
        moments of records don't belie their order.
        """
        records = self.consent_records(account_id)
        now = self._clock()
        return max(now, records[-1].at + timedelta(microseconds=1)) if records else now

    def _ever_joined(self, account_id: str) -> bool:
        return any(
            record.purpose == "partner_programme" for record in self.consent_records(account_id)
        )

    def _record(
        self,
        account: Account,
        purpose: Purpose,
        change: tuple[str, str],
        *,
        at: datetime,
        language: str,
        source: str,
        by: Actor | None,
    ) -> ConsentRecord:
        policy = self._policy
        return ConsentRecord(
            record_id="con_" + self._random(8).hex(),
            account_id=account.account_id,
            at=at,
            old=change[0],
            new=change[1],
            notice=policy.sha256,
            language=language,
            source=source,
            purpose=purpose,
            notice_version=policy.version,
            actor="" if by is None else by.name,
        )

    def _change(self, changed: Account, record: ConsentRecord) -> Account:
        """Put a choice on record, and the account as it is since, with the record's number."""
        with storage_errors(_WHAT), self._engine.begin() as connection:
            number = consent.append(connection, self._ledger, record)
            if record.purpose == "training":
                changed = replace(changed, chosen_number=number)
            else:
                changed = replace(changed, partner_number=number)
            connection.execute(
                update(accounts)
                .where(accounts.c.id == changed.account_id)
                .values(
                    training_choice=changed.training_choice,
                    chosen_at=changed.chosen_at,
                    partner_programme=changed.partner_programme,
                    partner_since=changed.partner_since,
                    chosen_number=changed.chosen_number,
                    partner_number=changed.partner_number,
                )
            )
        self.remember(changed)
        return changed

    def allow_unrecorded_routes(self, account_id: str, allowed: bool, *, by: Actor) -> Account:
        """Whether its requests that are no conversations go upstream on the operator's credential;
        it holds for the next request. What holds already changes nothing.

        Raises:
            InputError: no such account.
        """
        return self._set(
            account_id, "unrecorded_routes", allowed, ("unrecorded_routes", "allowed"), by
        )

    def limit_stored(self, account_id: str, mb: int | None, *, by: Actor) -> Account:
        """How much of it may be kept on disk, in MiB (0: no limit; None: as much as of everybody);
        it holds for the next request. What holds already changes nothing.

        Raises:
            InputError: no such account.
        """
        return self._set(account_id, "stored_mb", mb, ("stored_limit", "mb"), by)

    def forbid_keeping(self, account_id: str, forbidden: bool, *, by: Actor) -> Account:
        """Whether sessions of it may be kept beyond their time by an act of somebody's. What holds
        already changes nothing.

        Raises:
            InputError: no such account.
        """
        return self._set(account_id, "no_keeping", forbidden, ("no_keeping", "forbidden"), by)

    def demand_residency(self, account_id: str, region: str | None, *, by: Actor) -> Account:
        """From which region alone it is answered; None: from anywhere. It holds for the next
        request. What holds already changes nothing.

        Raises:
            InputError: no such account.
        """
        return self._set(account_id, "residency", region, ("residency", "region"), by)

    def _set(
        self,
        account_id: str,
        name: str,
        value: int | str | None,
        entry: tuple[str, str],
        by: Actor,
    ) -> Account:
        """Set what is decided of an account, unless it is so already. `entry`: its kind
        in the audit record, and what the value is called there.
        """
        with self._changing:
            account = self.get(account_id)
            if getattr(account, name) == value:
                return account
            changed: Account = replace(account, **{name: value})  # type: ignore[arg-type]
            with storage_errors(_WHAT), self._engine.begin() as connection:
                connection.execute(
                    update(accounts).where(accounts.c.id == account_id).values({name: value})
                )
                kind, field = entry
                self._ledger.append(
                    f"account.{kind}",
                    account_id,
                    {field: value, "by": by.name},
                    connection=connection,
                )
            self.remember(changed)
            return changed

    def consent_records(self, account_id: str) -> list[ConsentRecord]:
        """The account's consent records, oldest first."""
        return consent.history(self._engine, account_id)

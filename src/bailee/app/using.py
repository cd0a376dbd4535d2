"""What a server counts of its gateway's exchanges, and whom it holds to limits: wired to its home.

Rows: O2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bailee.accounts import Account, ApiKey
from bailee.accounts.known import KnownAccounts
from bailee.accounts.teams import TeamsBeside
from bailee.apis.batch_results import ResultsOfModel
from bailee.clock import Clock
from bailee.config import Settings
from bailee.db.leases import SECONDS
from bailee.errors import InputError, StorageError
from bailee.gateway.summary import ExchangeSummary
from bailee.lasting import Lasting
from bailee.node.databases import leases, unsure_of
from bailee.node.usage_terms import usage_until
from bailee.policy.holding import PolicyHolder
from bailee.usage.asking import UsageAsker
from bailee.usage.counting import KeyHolder, UsageCounting, UseOf
from bailee.usage.counts import UsageCounts
from bailee.usage.document_bounds import UseBounds, bounds_on
from bailee.usage.governing import Governing, Teams
from bailee.usage.increase import is_asked_beyond
from bailee.usage.limits import UsageLimit
from bailee.usage.price_file import read_prices
from bailee.usage.reserving import UsageReservations, new_gateway

if TYPE_CHECKING:
    from bailee.node.node import Node
    from bailee.node.reader import HomeReader

_DENIED: Final = frozenset({"usage_limit", "usage_rate", "usage_unknown", "model_not_allowed"})
_ABORTED: Final = frozenset({"client_aborted", "timed_out", "upstream_failed"})


def asker_of(key: ApiKey, account: Account) -> UsageAsker:
    """Who asks with a key: whose limits and lists hold, and whose use is counted."""
    return UsageAsker(
        key.key_id,
        key.person_id or account.person_id or "",
        account.organisation_id or "",
        account.plan,
    )


@dataclass(frozen=True, slots=True)
class MeteredHome:
    """What the counting and the limits of a server ask of a home. `until`: until when what an
    account uses is counted, with zero retention or not, at a moment; None: it is not. `is_alone`:
    whether no other process can have set limits, or what was known of them is gone by all the same;
    a look into memory.
    """

    settings: Settings
    clock: Clock
    usage: UsageCounts
    limits: UsageReservations
    teams: Teams
    accounts: KnownAccounts
    holding: PolicyHolder
    until: Callable[[Account, bool, datetime], datetime | None]
    is_alone: Callable[[], bool]


def home_of(node: Node) -> MeteredHome:
    """A home that this process has."""
    unsure = unsure_of(leases(node.data, node.keyring.engine))

    def until(account: Account, zero: bool, at: datetime) -> datetime | None:
        return node.deciding.usage_until(account, zero_retention=zero, at=at)

    def is_alone() -> bool:
        if unsure is None or unsure() <= SECONDS:
            return True  # later another may have it; but the document may say for how long
        return node.holding.policy.goes_on(zero_retention=False) is not None

    teams = node.registry.groups
    of = node.settings, node.clock, node.usage, node.limits, teams, node.accounts, node.holding
    return MeteredHome(*of, until, is_alone)


def home_beside(reader: HomeReader) -> MeteredHome:
    """A home that another process has. What is used and reserved is written by an engine that
    writes nothing else.

    Raises:
        StorageError, IntegrityError: it can't be opened (`HomeReader.writing`).
    """
    engine, gateway = reader.writing(), new_gateway()
    usage = UsageCounts(engine, gateway)
    limits = UsageReservations(engine, usage.used_by, gateway)

    def until(account: Account, zero: bool, at: datetime) -> datetime | None:
        return usage_until(reader.holding.policy, account, zero_retention=zero, at=at)

    def is_alone() -> bool:
        return reader.confirmation.goes_on  # the document says so, of limits as of keys

    of = reader.settings, reader.clock, usage, limits, TeamsBeside(reader.data)
    return MeteredHome(*of, reader.accounts, reader.holding, until, is_alone)


class UsageMetering:
    """The counting and the limits of one server. The server starts and stops it; `exchange` is
    called on the gateway's loop.
    """

    def __init__(self, home: MeteredHome) -> None:
        """Raises: InputError, code `configuration`: the price table is wrong."""
        settings = home.settings
        self._home = home
        self.console = settings.text("console.url") or ""
        """The console's address, as who starts it says once it listens."""
        self._asked_at = settings.text("usage.ask_at") or ""
        file = settings.text("usage.prices")
        prices = read_prices(None if file is None else Path(file))
        self.counting = UsageCounting(
            home.usage,
            prices,
            self._holder,
            partial(datetime.fromtimestamp, tz=UTC),
            self._charge,
        )
        self.governing = Governing(
            home.limits,
            prices,
            home.clock,
            home.teams,
            serves_unknown=self._serves_unknown,
            bounds_on=self._bounds_on,
            ask_at=self._ask_at,
            is_alone=home.is_alone,
        )

    def threads(self) -> list[Lasting]:
        """Its threads, for whoever watches."""
        return [self.counting.thread, *self.governing.threads]

    def start(self) -> None:
        """Begin. Raises: StorageError, the limits can't be read."""
        self.counting.start()
        self.governing.start()

    def stop(self) -> None:
        """Write and settle what is left."""
        self.governing.stop()
        self.counting.stop()

    def _ask_at(self, limit: UsageLimit) -> str:
        """Where one asks for more: where the operator says, or else on one's own page, what can be
        asked for there.
        """
        if self._asked_at or not self.console or not is_asked_beyond(limit):
            return self._asked_at
        return f"{self.console}/usage#more"

    def exchange(self, summary: ExchangeSummary) -> None:
        """Count an exchange that is over, if it was a conversation of somebody's, or fetched the
        results of a batch.
        """
        batch = summary.batch
        if not summary.owner or not (summary.conversation or batch is not None):
            return
        refused = summary.outcome == "refused" or summary.error in _DENIED
        use = UseOf(
            summary.started,
            summary.owner,
            summary.key_id,
            summary.client,
            summary.channel,
            summary.upstream,
            summary.own,
            summary.seconds,
            summary.status >= 400 or bool(summary.error),
            summary.outcome in _ABORTED,
            summary.metered,
        )
        if batch is not None:
            self.counting.add_results(use, batch)
        elif refused:
            self.counting.refused(use, summary.error)
        else:
            self.counting.add(use)

    def _charge(self, use: UseOf, new: Sequence[ResultsOfModel]) -> None:
        """Hold what a batch used against the limits of who fetched its results."""
        asker = self._asker(use.account, use.key_id)
        if asker is not None:
            self.governing.charge(asker, new)

    def _bounds_on(self, organisation: str) -> UseBounds:
        return bounds_on(organisation, self._home.holding.of(organisation or None))

    def _serves_unknown(self, organisation: str) -> bool:
        try:
            policy = self._home.holding.of(organisation or None).policy
        except StorageError:  # nor is it known what the document says
            return False
        return policy.on_limits_unknown == "serve"

    def _holder(self, account_id: str, key_id: str) -> KeyHolder | None:
        home = self._home
        try:
            account = home.accounts.get(account_id)
        except InputError:
            return None
        person, zero, keeps = account.person_id or "", False, False
        try:
            key = home.accounts.api_key(key_id)
            person, zero = key.person_id or person, key.zero_retention
            keeps = not zero
        except InputError:
            pass  # a key that was for one session or one run, and is over
        asker = UsageAsker(key_id, person, account.organisation_id or "", account.plan)
        team = self.governing.in_team(asker).team
        until = partial(home.until, account, zero)
        return KeyHolder(person, asker.organisation, team, keeps, until)

    def _asker(self, account_id: str, key_id: str) -> UsageAsker | None:
        """Who asks by a key of an account's; None: the account is not there."""
        try:
            account = self._home.accounts.get(account_id)
        except InputError:
            return None
        holder = self._holder(account_id, key_id)
        person = "" if holder is None else holder.person
        return UsageAsker(key_id, person, account.organisation_id or "", account.plan)

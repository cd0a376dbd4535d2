"""What a server counts of its gateway's exchanges, and whom it holds to limits: wired to its home.

Rows: O2.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from bailee.accounts import Account, ApiKey
from bailee.errors import InputError
from bailee.gateway.summary import ExchangeSummary
from bailee.lasting import Lasting
from bailee.node.node import Node
from bailee.usage.asking import UsageAsker
from bailee.usage.counting import KeyHolder, UsageCounting, UseOf
from bailee.usage.governing import Governing
from bailee.usage.price_file import read_prices

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


class UsageMetering:
    """The counting and the limits of one server. The server starts and stops it; `exchange` is
    called on the gateway's loop.
    """

    def __init__(self, node: Node) -> None:
        """Raises: InputError, code `configuration`: the price table is wrong."""
        settings = node.settings
        self._node = node
        file = settings.text("usage.prices")
        prices = read_prices(None if file is None else Path(file))
        self.counting = UsageCounting(
            node.usage, prices, self._holder, partial(datetime.fromtimestamp, tz=UTC)
        )
        self.governing = Governing(
            node.limits,
            prices,
            node.clock,
            node.registry.groups,
            serves_unknown=self._serves_unknown,
            ask_at=settings.text("usage.ask_at") or "",
        )

    def threads(self) -> list[Lasting]:
        """Its threads, for whoever watches."""
        return [self.counting.thread, self.governing.thread]

    def start(self) -> None:
        """Begin. Raises: StorageError, the limits can't be read."""
        self.counting.start()
        self.governing.start()

    def stop(self) -> None:
        """Write and settle what is left."""
        self.governing.stop()
        self.counting.stop()

    def exchange(self, summary: ExchangeSummary) -> None:
        """Count an exchange that is over, if it was a conversation of somebody's."""
        if not (summary.conversation and summary.owner):
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
        if refused:
            self.counting.refused(use, summary.error)
        else:
            self.counting.add(use)

    def _serves_unknown(self, organisation: str) -> bool:
        return self._node.holding.of(organisation or None).policy.on_limits_unknown == "serve"

    def _holder(self, account_id: str, key_id: str) -> KeyHolder | None:
        node = self._node
        try:
            account = node.accounts.get(account_id)
        except InputError:
            return None
        person, zero, keeps = account.person_id or "", False, False
        try:
            key = node.accounts.api_key(key_id)
            person, zero = key.person_id or person, key.zero_retention
            keeps = not zero
        except InputError:
            pass  # a key that was for one session or one run, and is over
        asker = UsageAsker(key_id, person, account.organisation_id or "", account.plan)
        team = self.governing.in_team(asker).team
        return KeyHolder(person, asker.organisation, team, keeps, _until(node, account, zero))


def _until(node: Node, account: Account, zero: bool) -> Callable[[datetime], datetime | None]:
    return lambda at: node.deciding.usage_until(account, zero_retention=zero, at=at)

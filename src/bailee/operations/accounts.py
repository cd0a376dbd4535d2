"""What can be asked of a home about accounts: which the operator lets send more upstream than
conversations, and how much of each may be kept on disk.

Rows: G1, G2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

import msgspec

from bailee import accounts
from bailee.accounts.roles import Permission
from bailee.errors import InputError
from bailee.node import Node
from bailee.node.bounded import bytes_stored
from bailee.operations.asks import Asks
from bailee.operations.codec import Function, Limit, Page
from bailee.operations.operation import operation
from bailee.operations.whose import named, own_account
from bailee.policy.bounds import STORED, STORED_MEASUREMENTS, STORED_REPORTS
from bailee.policy.names import ANYWHERE

MiB = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
"""How much may be kept; 0: no limit."""


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """An account as lists show it. `no_keeping`: nobody may keep a session of it beyond its time.
    `residency`: it is answered from this region alone; None: from anywhere. `stored_bytes`: of it
    on disk, what is kept; `deleted_bytes`: what was deleted and lies beside others' still;
    `waiting_bytes`: what was recorded and is not sealed; `telemetry_bytes`, `reports_bytes`: of
    what came in by the ingest. `stored_mb` and so on: their limits, 0: none.
    """

    account: str
    name: str
    plan: str
    person: str | None
    organisation: str | None
    unrecorded_routes: bool
    no_keeping: bool
    residency: str | None
    stored_bytes: int
    deleted_bytes: int
    stored_mb: int
    waiting_bytes: int
    waiting_mb: int
    telemetry_bytes: int
    telemetry_mb: int
    reports_bytes: int
    reports_mb: int
    created: datetime


@operation()
def list_(
    asks: Asks, node: Node, after: str | None = None, limit: Limit = 100
) -> Page[AccountSummary]:
    """Every account, and whose it is."""
    asks.require(node, Permission.ACCOUNT_LIST)
    found, following = node.accounts.page(after, limit)
    return Page([shown(node, one) for one in found], following)


@operation()
def show(asks: Asks, node: Node, id: str | None = None) -> AccountSummary:
    """An account, and what of it lies on disk; without a name, that of who asks."""
    found = own_account(asks, node) if id is None else named(asks, node, id)
    asks.require(node, Permission.ACCOUNT_READ, found)
    return shown(node, found)


@operation()
def allow(asks: Asks, node: Node, account: str, unrecorded_routes: bool) -> AccountSummary:
    """Whether an account may send requests that are no conversations, and are not recorded."""
    asks.require(node, Permission.ACCOUNT_ALLOW)
    found = named(asks, node, account)
    changed = node.accounts.allow_unrecorded_routes(
        found.account_id, unrecorded_routes, by=asks.actor
    )
    return shown(node, changed)


@operation()
def limit(asks: Asks, node: Node, account: str, stored_mb: MiB | None = None) -> AccountSummary:
    """How much of an account is kept on disk; without a number, as much as of everybody."""
    asks.require(node, Permission.ACCOUNT_ALLOW)
    found = named(asks, node, account)
    return shown(node, node.accounts.limit_stored(found.account_id, stored_mb, by=asks.actor))


@operation()
def residency(asks: Asks, node: Node, account: str, region: str | None = None) -> AccountSummary:
    """From which region alone an account is answered: one that the policy document that holds lists
    under residencies. Without a region, from anywhere.
    """
    found = named(asks, node, account)
    asks.require(node, Permission.ACCOUNT_RESIDENCY, found)
    known = [one for one in node.policy.document.labels.get("residency", ()) if one != ANYWHERE]
    if region is not None and region not in known:
        raise InputError(
            "the policy document that holds knows no such region; nothing was changed.",
            hint=f"one of: {', '.join(map(str, known))}" if known else "it tells none apart",
        )
    return shown(node, node.accounts.demand_residency(found.account_id, region, by=asks.actor))


def shown(node: Node, account: accounts.Account) -> AccountSummary:
    """An account as lists show it."""
    stored = node.vault.stored.of(account.account_id)
    return AccountSummary(
        account.account_id,
        account.name,
        account.plan,
        account.person_id,
        account.organisation_id,
        account.unrecorded_routes,
        account.no_keeping,
        account.residency,
        stored.living,
        stored.gone,
        bytes_stored(node, STORED, account) >> 20,
        node.vault.spool.unsealed(account.account_id).own,
        node.settings.number("gateway.spool_per_account_mb"),
        node.telemetry.on_disk(account.account_id),
        bytes_stored(node, STORED_MEASUREMENTS, account) >> 20,
        node.reports.on_disk(account.account_id),
        bytes_stored(node, STORED_REPORTS, account) >> 20,
        account.created_at,
    )


OPERATIONS: Final[Mapping[str, Function]] = {
    "account.list": list_,
    "account.show": show,
    "account.allow": allow,
    "account.limit": limit,
    "account.residency": residency,
}

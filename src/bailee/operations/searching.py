"""What can be asked of a home about sessions by their words.

Rules kept here:

* A person finds their own. Who searches what is another's (the operator, who runs an organisation)
  says whose and why; that goes on record first, without the words. Nobody searches everybody's at
  once: each search is of one account, who can see that it was made.
* Staff who are shown a session's words have read it, and that is on record as any such reading is.

Rows: O8, P4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final

import msgspec

from bailee.accounts import Account
from bailee.accounts.roles import Permission
from bailee.accounts.staff import worded
from bailee.errors import InputError
from bailee.node import Node
from bailee.operations.asks import Asks
from bailee.operations.codec import Function, extended
from bailee.operations.operation import operation
from bailee.operations.sessions import SessionAbout, SessionSummary, summaries
from bailee.operations.whose import own_account
from bailee.vault.searching import FoundSession

MOST: Final = 50
Shown = Annotated[int, msgspec.Meta(ge=1, le=MOST)]
"""How many sessions a page of what was found may have."""


@dataclass(frozen=True, slots=True)
class SessionFound(SessionSummary):
    """A session that has all the words. `excerpt`: where they stand in it; "" if that is further in
    than is looked.
    """

    excerpt: str


@dataclass(frozen=True, slots=True)
class FoundPage:
    """Some of what was found, the latest first. `searched`: so many sessions were looked at for it;
    `unindexed`: of these so many have something that can't be found yet. `next`: what to give as
    `after` to go on with those before; None: there are none.
    """

    items: list[SessionFound]
    searched: int
    unindexed: int
    next: str | None


@operation()
def search(
    asks: Asks,
    node: Node,
    words: str,
    owner: str | None = None,
    *,
    after: str | None = None,
    limit: Shown = 20,
) -> FoundPage:
    """The sessions of an account in which all these words were said, the latest first. A page may
    have few or none, and go on: it looks for a second.
    """
    account, as_staff = _whose(asks, node, owner)
    whose = account.account_id
    if after is None:
        node.vault.settle(whose)
    found = node.vault.searching.search(
        words, asks.at, asker=asks.actor.name, owner=whose, after=after, limit=limit
    )
    if as_staff:
        for one in found.found:
            node.registry.staff.read(asks.actor, one.session.id, asks.why(node), whose=whose)
    rows = [one.session for one in found.found]
    known = summaries(asks, node, rows)
    items = [_shown(one, summary) for one, summary in zip(found.found, known, strict=True)]
    return FoundPage(items, found.searched, found.unindexed, found.next)


def _shown(one: FoundSession, summary: SessionSummary) -> SessionFound:
    telling = one.telling
    about = SessionAbout(telling.title, telling.client, telling.folder)
    return extended(SessionFound, replace(summary, about=about), excerpt=one.excerpt)


def _whose(asks: Asks, node: Node, owner: str | None) -> tuple[Account, bool]:
    """The account that is searched, and whether staff do it. What is another's is on record.

    Raises:
        InputError: `forbidden`, there is no such account, nobody said whose, or why.
    """
    if owner is None and asks.actor.operator and asks.actor.person_id is None:
        raise InputError(
            "whose sessions? A search is of one account.",
            hint="name it; or give your own key, to search yours",
        )
    account = own_account(asks, node) if owner is None else node.accounts.get(owner)
    standings = node.registry.authority.standings(asks.actor, account)
    own = not {"self", "holder"}.isdisjoint(standings)
    if own:
        asks.require(node, Permission.SESSIONS_READ, account)
        return account, False
    as_staff = asks.actor.operator
    if as_staff:
        asks.require(node, Permission.CONTENT_READ_AS_STAFF)
    else:
        asks.require(node, Permission.SESSIONS_READ, account)
    if not asks.reason:
        raise InputError(
            "searching what belongs to someone else needs a reason.",
            hint="give it as `reason`; it is recorded, and the words are not",
        )
    reason = worded(asks.reason, "searching someone's sessions")
    body = {"by": asks.actor.name, "reason": reason}
    node.ledger.append("sessions.searched", account.account_id, body, whose=account.account_id)
    return account, as_staff


OPERATIONS: Final[Mapping[str, Function]] = {"sessions.search": search}

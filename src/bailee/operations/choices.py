"""What can be asked of a home about a person's own choice: what it is, to make it, what it was.

Rules kept here:

* The choice is of the account of who asks, and of no other (T2). By which way it came is what the
  question came by, and nothing that they say.

Rows: T2, T3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailee import accounts
from bailee.accounts import Choice, ConsentRecord
from bailee.accounts.consent import SCHEMA
from bailee.node import Node
from bailee.operations.asks import Asks, Via
from bailee.operations.codec import Function
from bailee.operations.key_terms import Effect
from bailee.operations.operation import operation
from bailee.operations.training import mine
from bailee.operations.whose import own_account
from bailee.policy.document import Language

SOURCES: Final[Mapping[Via, str]] = {Via.TERMINAL: "terminal", Via.PAGE: "console", Via.API: "api"}
"""How a consent record names the way by which a choice came."""


@dataclass(frozen=True, slots=True)
class Training:
    """What an account chose, what follows for what it does now, and whether to ask its person."""

    account: str
    plan: str
    choice: str
    chosen_at: datetime | None
    effect: str
    clause: str
    ask: Effect


@dataclass(frozen=True, slots=True)
class Notice:
    """The policy that held when a choice was made, and the language that it was read in."""

    sha256: str
    version: str
    language: str


@dataclass(frozen=True, slots=True)
class ConsentEntry:
    """A consent record, by the terms of its `schema`."""

    schema: str
    record: str
    number: int
    account: str
    actor: str
    purpose: str
    legal_basis: str
    notice: Notice
    at: datetime
    old: str
    new: str
    source: str


@operation()
def show(asks: Asks, node: Node) -> Training:
    """What you chose about training, and what follows from it."""
    return training_of(node, own_account(asks, node))


@operation()
def choose(asks: Asks, node: Node, choice: Choice, language: Language = "en") -> Training:
    """Make your choice about training; it holds for the next request. `language`: in which you read
    the notice.
    """
    changed = node.registry.choices.choose_training(
        own_account(asks, node).account_id,
        choice,
        language=language,
        source=SOURCES[asks.via],
        by=asks.actor,
    )
    return training_of(node, changed)


@operation()
def history(asks: Asks, node: Node) -> list[ConsentEntry]:
    """Every choice that was made for your account, oldest first."""
    account = own_account(asks, node)
    records = node.registry.choices.history(account.account_id, by=asks.actor)
    return [consent_of(record) for record in records]


def training_of(node: Node, account: accounts.Account) -> Training:
    """What an account chose, and what follows."""
    decision = node.deciding.training_now(account)
    asked = node.registry.choices.asked(account)
    return Training(
        account.account_id,
        account.plan,
        account.training_choice,
        account.chosen_at,
        decision.effect,
        decision.clause,
        Effect(asked.effect, asked.clause),
    )


def consent_of(record: ConsentRecord) -> ConsentEntry:
    """A consent record as lists show it."""
    return ConsentEntry(
        SCHEMA,
        record.record_id,
        record.number,
        record.account_id,
        record.actor,
        record.purpose,
        "consent",
        Notice(record.notice, record.notice_version, record.language),
        record.at,
        record.old,
        record.new,
        record.source,
    )


OPERATIONS: Final[Mapping[str, Function]] = {
    "privacy.show": show,
    "privacy.choose": choose,
    "privacy.history": history,
    "privacy.exports": mine,
}

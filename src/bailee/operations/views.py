"""Sessions, receipts and moves as plain values, the same wherever they are shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bailee.ledger import Leaf
from bailee.vault.moving import Move
from bailee.vault.receipts import Receipt
from bailee.vault.transcript import Exchange, SessionRow
from bailee.vault.unkept import Unkept

if TYPE_CHECKING:
    from bailee.node.node import Node
    from bailee.node.sweeping import StepNote


def session_view(node: Node, session: SessionRow, *, held: bool) -> dict[str, object]:
    """One session as `sessions list` shows it. `held`: there is a legal hold on it."""
    training = node.training(session)
    return {
        "id": session.id,
        "account": session.owner,
        "plan": session.plan,
        "channel": session.channel,
        "started": session.started.isoformat(),
        "last_activity": session.last_activity.isoformat(),
        "exchanges": session.exchanges,
        "kept_until": session.expires_at.isoformat(),
        "retention": {"clause": session.clause, "period": session.period},
        "training": {"effect": training.effect, "clause": training.clause},
        "held": held,
    }


def as_bytes(exchanges: Iterable[Exchange]) -> list[dict[str, object]]:
    """The exchanges of a session that no view can show as messages, or only in part, since they are
    kept as the bytes that came, by number and why: a bound (`vault.bounds`), or `not_understood`.
    """
    return [
        {"number": exchange.number, "why": exchange.beyond or "not_understood"}
        for exchange in exchanges
        if exchange.beyond is not None or exchange.fields is None
    ]


def step_view(note: StepNote) -> dict[str, object]:
    """What became of a step of the sweep, the last times."""
    return {
        "step": note.name,
        "succeeded": note.succeeded_at and note.succeeded_at.isoformat(),
        "failed": note.failed_at and note.failed_at.isoformat(),
        "error": note.error,
        "failures": note.failures,
    }


def unkept_view(one: Unkept) -> dict[str, object]:
    """How much of an account went on with what it had deleted, and was not kept."""
    return {
        "account": one.owner,
        "clause": one.clause,
        "exchanges": one.exchanges,
        "since": one.since.isoformat(),
        "last": one.last.isoformat(),
    }


def receipt_view(receipt: Receipt) -> dict[str, object]:
    """A receipt, with the moment of each state that it has come to."""
    moments = {
        "requested": receipt.requested_at,
        "inaccessible": receipt.inaccessible_at,
        "deferred": receipt.deferred_at,
        "key_destroyed": receipt.key_destroyed_at,
        "backups_unrecoverable": receipt.backups_unrecoverable_at,
        "reclaimed": receipt.reclaimed_at,
    }
    return {
        "receipt": receipt.id,
        "kind": receipt.kind,
        "subject": receipt.subject,
        "state": receipt.state,
        "states": {state: at.isoformat() for state, at in moments.items() if at is not None},
        "to_come": [s for s, at in moments.items() if at is None and s != "deferred"],
    }


def leaf_view(leaf: Leaf) -> dict[str, object]:
    """An entry of the audit record. `erased`: what nobody can read any more, by name."""
    return {
        "number": leaf.number,
        "at": leaf.at.isoformat(),
        "kind": leaf.kind,
        "subject": leaf.subject,
        "body": dict(leaf.body),
        **({"erased": list(leaf.erased)} if leaf.erased else {}),
    }


def move_view(move: Move) -> dict[str, object]:
    """How far the sessions of an account have come in following its choice."""
    return {
        "move": move.id,
        "account": move.owner,
        "choice_at": move.choice_at and move.choice_at.isoformat(),
        "requested": move.requested_at.isoformat(),
        "state": "moving" if move.finished_at is None else "done",
        "total": move.total,
        "seen": move.seen,
        "moved": move.moved,
        "finished": move.finished_at and move.finished_at.isoformat(),
    }

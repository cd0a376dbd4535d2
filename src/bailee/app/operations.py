"""What a person can ask of a home, by name, with plain values in and out.

The command line reaches these through the control socket or in its own process, the console by
calling them; they are the same in each case. `now` among the arguments is an ISO moment: the
caller has checked that this home has a test clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from bailee.app.node import Node
from bailee.app.people import PEOPLE
from bailee.errors import InputError
from bailee.vault.exporting import as_object
from bailee.vault.moving import Move
from bailee.vault.receipts import Receipt
from bailee.vault.transcript import SessionRow

Arguments = Mapping[str, Any]


def perform(node: Node, operation: str, arguments: Arguments) -> Iterator[object] | object:
    """Carry out one operation; an iterator gives items as they come.

    Raises:
        InputError: there is no such operation, or an argument is missing or wrong.
        BaileeError: whatever the operation itself raises.
    """
    function = _OPERATIONS.get(operation)
    if function is None:
        raise InputError(f"there is no operation {operation!r}.", code="not_found")
    return function(node, arguments)


def _now(node: Node, arguments: Arguments) -> datetime:
    given = arguments.get("now")
    return node.clock() if given is None else datetime.fromisoformat(given)


def _text(arguments: Arguments, name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str):
        raise InputError(f"the argument {name!r} is missing.")
    return value


# Sessions


def session_view(node: Node, session: SessionRow) -> dict[str, object]:
    """One session as `sessions list` shows it."""
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
    }


def _sessions_list(node: Node, arguments: Arguments) -> object:
    node.vault.flush()
    rows = node.vault.sessions(_now(node, arguments), owner=arguments.get("owner"))
    return [session_view(node, row) for row in rows]


def _sessions_show(node: Node, arguments: Arguments) -> object:
    node.vault.flush()
    shown = node.vault.show(_text(arguments, "id"), _now(node, arguments))
    return session_view(node, shown.session) | {
        "messages": shown.main,
        "agents": shown.agents,
        "aside": shown.aside,
        "exchange_list": [as_object(exchange) for exchange in shown.exchanges],
    }


def _sessions_export(node: Node, arguments: Arguments) -> Iterator[object]:
    node.vault.flush()
    lines = node.vault.export(_text(arguments, "id"), _now(node, arguments))
    return (line.decode() for line in lines)


def _sessions_delete(node: Node, arguments: Arguments) -> object:
    return receipt_view(node.vault.delete(_text(arguments, "id"), _now(node, arguments)))


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


# Retention


def _retention_run(node: Node, arguments: Arguments) -> object:
    return asdict(node.vault.sweep(_now(node, arguments)))


def _retention_report(node: Node, arguments: Arguments) -> object:
    node.vault.flush()
    return [asdict(row) for row in node.vault.report(_now(node, arguments))]


def _retention_receipts(node: Node, arguments: Arguments) -> object:
    return [receipt_view(receipt) for receipt in node.vault.receipts(arguments.get("subject"))]


def _retention_moves(node: Node, _arguments: Arguments) -> object:
    return [move_view(move) for move in node.vault.moving.all()]


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


def _keyring_rotate(node: Node, arguments: Arguments) -> object:
    rotation = node.vault.rotate(_now(node, arguments))
    return {
        "generation": rotation.generation,
        "replaced": rotation.replaced_keks,
        "rewrapped": rotation.rewrapped_deks,
    }


# The audit record


def _audit_list(node: Node, arguments: Arguments) -> object:
    entries = node.ledger.entries(
        kind=arguments.get("kind"),
        subject=arguments.get("subject"),
        newest=arguments.get("newest"),
    )
    return [
        {
            "number": leaf.number,
            "at": leaf.at.isoformat(),
            "kind": leaf.kind,
            "subject": leaf.subject,
            "body": dict(leaf.body),
        }
        for leaf in entries
    ]


_OPERATIONS: Final[Mapping[str, Callable[[Node, Arguments], Iterator[object] | object]]] = {
    **PEOPLE,
    "sessions.list": _sessions_list,
    "sessions.show": _sessions_show,
    "sessions.export": _sessions_export,
    "sessions.delete": _sessions_delete,
    "retention.run": _retention_run,
    "retention.report": _retention_report,
    "retention.receipts": _retention_receipts,
    "retention.moves": _retention_moves,
    "keyring.rotate": _keyring_rotate,
    "audit.list": _audit_list,
}

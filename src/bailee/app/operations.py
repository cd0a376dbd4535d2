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

from bailee.accounts import Account, ApiKey
from bailee.app import telemetry
from bailee.app.node import Node
from bailee.errors import InputError
from bailee.vault.exporting import as_object
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


# Keys


def _key_create(node: Node, arguments: Arguments) -> object:
    account, key, secret = node.accounts.create(
        plan=_text(arguments, "plan"),
        name=_text(arguments, "name"),
        zero_retention=arguments.get("zero_retention") is True,
    )
    return {"key": secret, **_key_view(key, account)}


def _key_list(node: Node, _arguments: Arguments) -> object:
    return [_key_view(key, account) for key, account in node.accounts.api_keys()]


def _key_revoke(node: Node, arguments: Arguments) -> object:
    key = node.accounts.revoke(_text(arguments, "key_id"))
    return _key_view(key, node.accounts.get(key.account_id))


def _key_view(key: ApiKey, account: Account) -> dict[str, object]:
    return {
        "key_id": key.key_id,
        "account": account.account_id,
        "name": key.name,
        "plan": account.plan,
        "zero_retention": key.zero_retention,
        "created": key.created_at.isoformat(),
        "revoked": key.revoked_at and key.revoked_at.isoformat(),
    }


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
        "to_come": [state for state, at in moments.items() if at is None],
    }


# Retention


def _retention_run(node: Node, arguments: Arguments) -> object:
    sessions, figures = node.sweep(_now(node, arguments))
    return {**asdict(sessions), "telemetry": asdict(figures)}


def _retention_report(node: Node, arguments: Arguments) -> object:
    node.vault.flush()
    return [asdict(row) for row in node.vault.report(_now(node, arguments))]


def _retention_receipts(node: Node, arguments: Arguments) -> object:
    return [receipt_view(receipt) for receipt in node.vault.receipts(arguments.get("subject"))]


def _keyring_rotate(node: Node, arguments: Arguments) -> object:
    rotation = node.vault.rotate(_now(node, arguments))
    return {
        "generation": rotation.generation,
        "replaced": rotation.replaced_keks,
        "rewrapped": rotation.rewrapped_deks,
    }


# A person's own choice


def _privacy_show(node: Node, arguments: Arguments) -> object:
    return training_view(node, _person(node, arguments))


def _privacy_choose(node: Node, arguments: Arguments) -> object:
    account = _person(node, arguments)
    choice = _text(arguments, "choice")
    if choice not in ("allowed", "refused"):
        raise InputError("a training choice is 'allowed' or 'refused'.")
    changed = node.accounts.choose_training(
        account.account_id,
        "allowed" if choice == "allowed" else "refused",
        language=arguments.get("language") or "en",
        source=arguments.get("source") or "terminal",
    )
    return training_view(node, changed)


def _person(node: Node, arguments: Arguments) -> Account:
    found = node.accounts.authenticate(_text(arguments, "key").encode())
    if found is None:
        raise InputError("the API key is unknown or revoked.", code="authentication")
    return found[1]


def training_view(node: Node, account: Account) -> dict[str, object]:
    """What an account chose, and what follows for what it does now."""
    decision = node.training_now(account)
    return {
        "account": account.account_id,
        "plan": account.plan,
        "choice": account.training_choice,
        "chosen_at": account.chosen_at and account.chosen_at.isoformat(),
        "effect": decision.effect,
        "clause": decision.clause,
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
    "key.create": _key_create,
    "key.list": _key_list,
    "key.revoke": _key_revoke,
    "sessions.list": _sessions_list,
    "sessions.show": _sessions_show,
    "sessions.export": _sessions_export,
    "sessions.delete": _sessions_delete,
    "retention.run": _retention_run,
    "retention.report": _retention_report,
    "retention.receipts": _retention_receipts,
    "keyring.rotate": _keyring_rotate,
    "privacy.show": _privacy_show,
    "privacy.choose": _privacy_choose,
    "audit.list": _audit_list,
    **telemetry.OPERATIONS,
}

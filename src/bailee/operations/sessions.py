"""What can be asked of a home about sessions, what is kept, the clock and the audit record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Final

from bailee.accounts import Account
from bailee.accounts.roles import Permission, may
from bailee.errors import InputError, IntegrityError, StorageError
from bailee.node import verifying
from bailee.node.minding import in_words
from bailee.node.node import Node
from bailee.operations.arguments import Arguments, due, moment, require, text
from bailee.operations.asks import Via, asked_by
from bailee.operations.views import (
    as_bytes,
    leaf_view,
    move_view,
    receipt_view,
    session_view,
    step_view,
    unkept_view,
)
from bailee.operations.whose import own_account
from bailee.vault.exporting import as_object
from bailee.vault.recovery import WAITS
from bailee.vault.transcript import SessionRow

# Sessions


def _owner(
    node: Node, arguments: Arguments, permission: Permission = Permission.SESSIONS_LIST
) -> str | None:
    """Whose sessions, or what became of them, are asked for; None: everybody's, by the operator.
    Who names nobody asks for their own.
    """
    owner: str | None = arguments.get("owner")
    if arguments.by.operator:
        require(node, arguments, permission)
        return owner
    account = (
        own_account(asked_by(node, arguments.by, Via.TERMINAL), node)
        if owner is None
        else node.accounts.get(owner)
    )
    require(node, arguments, permission, account)
    return account.account_id


def _session(node: Node, arguments: Arguments, permission: Permission) -> SessionRow:
    """The session that is named, if who asks may do this with it.

    Raises:
        InputError: `not_found`, there is none that they may know of; or `forbidden`.
    """
    row = node.vault.row(text(arguments, "id"), moment(node, arguments))
    if arguments.by.operator or _is_theirs(node, arguments, row):
        require(node, arguments, permission, _account_of(node, row))
        return row
    raise InputError("there is no such session, or no more.", code="not_found")


def _account_of(node: Node, row: SessionRow) -> Account | None:
    try:
        return node.accounts.get(row.owner)
    except InputError:
        return None


def _is_theirs(node: Node, arguments: Arguments, row: SessionRow) -> bool:
    """Whether they may read it for what they are to its account, and not as staff."""
    account = _account_of(node, row)
    standings = node.registry.authority.standings(arguments.by, account)
    return may(Permission.SESSIONS_READ, standings)


def _read(node: Node, arguments: Arguments) -> None:
    """The content of a session is about to be read. By staff that is on record first."""
    row = _session(node, arguments, Permission.SESSIONS_LIST)
    if not _is_theirs(node, arguments, row):
        require(node, arguments, Permission.CONTENT_READ_AS_STAFF)
        reason = arguments.get("reason") or "at the terminal, no reason given"
        node.registry.staff.read(arguments.by, row.id, reason, whose=row.owner)


def _sessions_list(node: Node, arguments: Arguments) -> object:
    """The latest sessions, at most `newest`; all, if that is not given."""
    owner = _owner(node, arguments)
    node.vault.settle(owner)
    rows = node.vault.sessions(moment(node, arguments), owner=owner, newest=arguments.get("newest"))
    held = node.vault.holds.held()
    return [session_view(node, row, held=row.id in held) for row in rows]


def _sessions_pages(node: Node, arguments: Arguments) -> Iterator[object]:
    """All that `sessions.list` gives, as lists that come one after the other."""
    owner = _owner(node, arguments)
    node.vault.settle(owner)
    held = node.vault.holds.held()
    for page in node.vault.pages(moment(node, arguments), owner):
        yield [session_view(node, row, held=row.id in held) for row in page]


def _sessions_count(node: Node, arguments: Arguments) -> object:
    """How many sessions `sessions.list` gives without `newest`."""
    return node.vault.count(moment(node, arguments), _owner(node, arguments))


def _sessions_find(node: Node, arguments: Arguments) -> object:
    """One session's particulars; with `owner`, of that owner alone."""
    node.vault.settle(session=text(arguments, "id"))
    row = _session(node, arguments, Permission.SESSIONS_LIST)
    if arguments.get("owner") not in (None, row.owner):
        raise InputError("there is no such session, or no more.", code="not_found")
    return session_view(node, row, held=bool(node.vault.holds.holding(row.id)))


def _sessions_unfiled(node: Node, arguments: Arguments) -> object:
    """What `sessions.list` can't show yet."""
    return asdict(node.vault.unfiled(_owner(node, arguments)))


def _sessions_unkept(node: Node, arguments: Arguments) -> object:
    """What went on with deleted sessions and is in no list, since it is not kept, by account."""
    return [unkept_view(one) for one in node.vault.unkept(_owner(node, arguments))]


def _sessions_show(node: Node, arguments: Arguments) -> object:
    if arguments.get("wait", True):  # a page has waited when it found the session
        node.vault.settle(session=text(arguments, "id"))
    _read(node, arguments)
    shown = node.vault.show(text(arguments, "id"), moment(node, arguments))
    unfiled = node.vault.unfiled(shown.session.owner)
    held = shown.session.id in node.vault.holds.held()
    return session_view(node, shown.session, held=held) | {
        "messages": shown.main,
        "agents": shown.agents,
        "aside": shown.aside,
        "as_bytes": as_bytes(shown.exchanges),
        "unfiled": asdict(unfiled),
        "exchange_list": [as_object(exchange, messages=False) for exchange in shown.exchanges],
    }


def _sessions_export(node: Node, arguments: Arguments) -> Iterator[object]:
    node.vault.settle_whole(text(arguments, "id"))
    _read(node, arguments)
    lines = node.vault.export(text(arguments, "id"), moment(node, arguments))
    return (line.decode() for line in lines)


def _sessions_delete(node: Node, arguments: Arguments) -> object:
    now, shown = due(node, arguments), moment(node, arguments)
    try:
        _session(node, arguments, Permission.SESSIONS_DELETE)
    except IntegrityError:  # what nobody is shown can be deleted all the same
        require(node, arguments, Permission.SESSIONS_DELETE)
    node.ledger.append("session.deletion_asked", text(arguments, "id"), {"by": arguments.by.name})
    receipt = receipt_view(node.vault.delete(text(arguments, "id"), now, shown=shown))
    resumed = node.policy.resumes(session_deleted=True, account_erased=False)
    return receipt | {"resumed": {"effect": resumed.effect, "clause": resumed.clause}}


# Retention


def _retention_run(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.RETENTION_RUN)
    if node.health is None:  # no server goes on with what was left
        with suppress(StorageError):
            node.vault.recover(WAITS)
    done = node.sweep(due(node, arguments))
    failed = [
        {"step": name, "code": error.code, "message": error.message, "hint": error.hint}
        for name, error in done.failures.items()
    ]
    return {
        **asdict(done.sessions),
        "telemetry": asdict(done.telemetry),
        "feedback": done.gone,
        "failed": failed,
    }


def _retention_watch(node: Node, arguments: Arguments) -> object:
    """How the promise stands: by a server that runs, and by what the sweeps have noted."""
    require(node, arguments, Permission.RETENTION_READ)
    health = None if node.health is None else node.health()
    return {
        "server": health is not None,
        "reasons": [] if health is None else list(health.reasons),
        "steps": [step_view(note) for note in node.sweeping.notes()],
    }


def _retention_report(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.RETENTION_READ)
    if arguments.get("wait", True):
        node.vault.settle()
    return [asdict(row) for row in node.vault.report(moment(node, arguments))]


def _retention_receipts(node: Node, arguments: Arguments) -> object:
    owner = _owner(node, arguments, Permission.RETENTION_READ)
    found = (
        node.vault.receipts(arguments.get("subject"))
        if owner is None
        else node.vault.receipts_of(owner)
    )
    return [receipt_view(receipt) for receipt in found]


def _retention_moves(node: Node, arguments: Arguments) -> object:
    owner = _owner(node, arguments, Permission.RETENTION_READ)
    return [move_view(move) for move in node.vault.moving.all() if owner in (None, move.owner)]


def _retention_damaged(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.RETENTION_READ)
    return [asdict(one) for one in verifying.known(node)]


def _verify(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.HOME_VERIFY)
    return asdict(verifying.verify(node, moment(node, arguments)))


def _keyring_rotate(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.KEYRING_ROTATE)
    rotation = node.vault.rotate(due(node, arguments))
    return {
        "generation": rotation.generation,
        "replaced": rotation.replaced_keks,
        "rewrapped": rotation.rewrapped_deks,
        "damaged": len(node.keyring.damaged()),
    }


# The clock


def _clock_show(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.RETENTION_READ)
    node.mind_clock()
    step = None if node.minding is None else node.minding.clock.step()
    return {
        "now": node.clock().isoformat(),
        "minded": node.minding is not None,
        "step": None
        if step is None
        else {
            "seconds": round(step.by.total_seconds()),
            "lasted_seconds": round(step.lasted.total_seconds()),
            "in_words": in_words(step.by.total_seconds()),
        },
    }


def _clock_confirm(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.CLOCK_CONFIRM)
    if node.minding is None:
        raise InputError("this home's time is a test's: it is what it is set to.")
    step = node.minding.confirm(node.ledger, node.settle_time, by="confirmed")
    return {"seconds": round(step.by.total_seconds()), "now": node.clock().isoformat()}


# The audit record


def _audit_list(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.AUDIT_READ)
    entries = node.ledger.entries(
        kind=arguments.get("kind"),
        subject=arguments.get("subject"),
        newest=arguments.get("newest"),
    )
    return [leaf_view(leaf) for leaf in entries]


SESSIONS: Final[Mapping[str, Callable[[Node, Arguments], Iterator[object] | object]]] = {
    "sessions.list": _sessions_list,
    "sessions.pages": _sessions_pages,
    "sessions.count": _sessions_count,
    "sessions.find": _sessions_find,
    "sessions.unfiled": _sessions_unfiled,
    "sessions.unkept": _sessions_unkept,
    "sessions.show": _sessions_show,
    "sessions.export": _sessions_export,
    "sessions.delete": _sessions_delete,
    "retention.run": _retention_run,
    "retention.watch": _retention_watch,
    "retention.report": _retention_report,
    "retention.receipts": _retention_receipts,
    "retention.moves": _retention_moves,
    "retention.damaged": _retention_damaged,
    "verify": _verify,
    "keyring.rotate": _keyring_rotate,
    "clock.show": _clock_show,
    "clock.confirm": _clock_confirm,
    "audit.list": _audit_list,
}

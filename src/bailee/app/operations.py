"""What a person can ask of a home, by name, with plain values in and out.

The command line reaches these through the control socket or in its own process, the console by
calling them; they are the same in each case. `now` among the arguments is an ISO moment: the
caller has checked that this home has a test clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Final

from bailee.accounts import OPERATOR
from bailee.app import feedback, telemetry, verifying
from bailee.app.account_routes import ACCOUNT_ROUTES
from bailee.app.arguments import Arguments, due, moment, text
from bailee.app.cloud import CLOUD
from bailee.app.cloud_git import CLOUD_GIT
from bailee.app.cloud_network import CLOUD_NETWORK
from bailee.app.erasure import ERASURE
from bailee.app.holds import HOLDS
from bailee.app.keys import KEYS
from bailee.app.minding import in_words
from bailee.app.node import Node
from bailee.app.people import PEOPLE, actor_of, own_account
from bailee.app.views import (
    as_bytes,
    leaf_view,
    move_view,
    receipt_view,
    session_view,
    step_view,
    unkept_view,
)
from bailee.errors import InputError, StorageError
from bailee.vault.exporting import as_object
from bailee.vault.recovery import WAITS


def perform(node: Node, operation: str, arguments: Arguments) -> Iterator[object] | object:
    """Carry out one operation; an iterator gives items as they come.

    Raises:
        InputError: there is no such operation, or an argument is missing or wrong.
        BaileeError: whatever the operation itself raises.
    """
    function = _OPERATIONS.get(operation)
    if function is None:
        raise InputError(f"there is no operation {operation!r}.", code="not_found")
    try:
        if operation in _MAKE_ROOM:
            with node.room.deleting():
                return function(node, arguments)
        return function(node, arguments)
    finally:
        node.marks.catch_up()


# Sessions


def _owner(node: Node, arguments: Arguments) -> str | None:
    """Whose sessions are asked for; None: everybody's."""
    if arguments.get("key") is None:
        owner: str | None = arguments.get("owner")
        return owner
    account = own_account(node, arguments)
    node.registry.authority.require(actor_of(node, arguments), "sessions.read", account)
    return account.account_id


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
    """One session's particulars, of whoever may see all; with `owner`, of that owner alone."""
    owner = _owner(node, arguments)
    node.vault.settle(session=text(arguments, "id"))
    row = node.vault.row(text(arguments, "id"), moment(node, arguments))
    if owner not in (None, row.owner):
        raise InputError("there is no such session, or no more.", code="not_found")
    return session_view(node, row, held=bool(node.vault.holds.holding(row.id)))


def _sessions_unfiled(node: Node, arguments: Arguments) -> object:
    """What `sessions.list` can't show yet."""
    return asdict(node.vault.unfiled(_owner(node, arguments)))


def _sessions_unkept(node: Node, arguments: Arguments) -> object:
    """What went on with deleted sessions and is in no list, since it is not kept, by account."""
    return [unkept_view(one) for one in node.vault.unkept(_owner(node, arguments))]


def _on_record(node: Node, arguments: Arguments) -> None:
    """Content that the operator reads at the terminal is on record before it is read. Pages see to
    that themselves: they know whether a person reads what is their own.
    """
    if arguments.get("staff") is True:
        reason = arguments.get("reason") or "at the terminal, no reason given"
        session = node.vault.row(text(arguments, "id"), moment(node, arguments))
        node.registry.staff.read(OPERATOR, session.id, reason, whose=session.owner)


def _sessions_show(node: Node, arguments: Arguments) -> object:
    _on_record(node, arguments)
    if arguments.get("wait", True):  # a page has waited when it found the session
        node.vault.settle(session=text(arguments, "id"))
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
    _on_record(node, arguments)
    node.vault.settle_whole(text(arguments, "id"))
    lines = node.vault.export(text(arguments, "id"), moment(node, arguments))
    return (line.decode() for line in lines)


def _sessions_delete(node: Node, arguments: Arguments) -> object:
    now, shown = due(node, arguments), moment(node, arguments)
    receipt = receipt_view(node.vault.delete(text(arguments, "id"), now, shown=shown))
    resumed = node.policy.resumes(session_deleted=True, account_erased=False)
    return receipt | {"resumed": {"effect": resumed.effect, "clause": resumed.clause}}


# Retention


def _retention_run(node: Node, arguments: Arguments) -> object:
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


def _retention_watch(node: Node, _arguments: Arguments) -> object:
    """How the promise stands: by a server that runs, and by what the sweeps have noted."""
    health = None if node.health is None else node.health()
    return {
        "server": health is not None,
        "reasons": [] if health is None else list(health.reasons),
        "steps": [step_view(note) for note in node.sweeping.notes()],
    }


def _retention_report(node: Node, arguments: Arguments) -> object:
    if arguments.get("wait", True):
        node.vault.settle()
    return [asdict(row) for row in node.vault.report(moment(node, arguments))]


def _retention_receipts(node: Node, arguments: Arguments) -> object:
    owner = arguments.get("owner")
    found = (
        node.vault.receipts(arguments.get("subject"))
        if owner is None
        else node.vault.receipts_of(owner)
    )
    return [receipt_view(receipt) for receipt in found]


def _retention_moves(node: Node, _arguments: Arguments) -> object:
    return [move_view(move) for move in node.vault.moving.all()]


def _retention_damaged(node: Node, _arguments: Arguments) -> object:
    return [asdict(one) for one in verifying.known(node)]


def _verify(node: Node, arguments: Arguments) -> object:
    return asdict(verifying.verify(node, moment(node, arguments)))


def _keyring_rotate(node: Node, arguments: Arguments) -> object:
    rotation = node.vault.rotate(due(node, arguments))
    return {
        "generation": rotation.generation,
        "replaced": rotation.replaced_keks,
        "rewrapped": rotation.rewrapped_deks,
        "damaged": len(node.keyring.damaged()),
    }


# The clock


def _clock_show(node: Node, _arguments: Arguments) -> object:
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


def _clock_confirm(node: Node, _arguments: Arguments) -> object:
    if node.minding is None:
        raise InputError("this home's time is a test's: it is what it is set to.")
    step = node.minding.confirm(node.ledger, node.settle_time, by="confirmed")
    return {"seconds": round(step.by.total_seconds()), "now": node.clock().isoformat()}


# The audit record


def _audit_list(node: Node, arguments: Arguments) -> object:
    entries = node.ledger.entries(
        kind=arguments.get("kind"),
        subject=arguments.get("subject"),
        newest=arguments.get("newest"),
    )
    return [leaf_view(leaf) for leaf in entries]


_MAKE_ROOM: Final = frozenset(
    {
        *("sessions.delete", "retention.run", "keyring.rotate", "person.erase", "hold.release"),
        *("feedback.withdraw", "cloud.delete"),
    }
)
"""What deletes: on a full disk it may use up what is kept for it."""

_OPERATIONS: Final[Mapping[str, Callable[[Node, Arguments], Iterator[object] | object]]] = {
    **PEOPLE,
    **ACCOUNT_ROUTES,
    **KEYS,
    **HOLDS,
    **ERASURE,
    **CLOUD,
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
    **telemetry.OPERATIONS,
    **feedback.OPERATIONS,
    **CLOUD_GIT,
    **CLOUD_NETWORK,
}

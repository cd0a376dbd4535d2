"""What can be asked of a home about cloud sessions.

Starting, following, asking for more and stopping take a server that runs; what is kept of a session
can be read without one. Who asks is among the arguments, as in `people.py`: a session is its
account's, and who started one in an organisation may see to it too.

Rows: C4, C5.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from bailee.accounts import Account, Actor
from bailee.accounts.roles import Permission
from bailee.cloud.sessions import asked as asking
from bailee.cloud.sessions.log import flat
from bailee.cloud.sessions.sessions import events_of
from bailee.cloud.sessions.states import State
from bailee.cloud.sessions.store import DIFF, EGRESS, OUTPUT, Record
from bailee.errors import InputError, MachineError
from bailee.node.node import Node
from bailee.node.running import RunningCloud
from bailee.operations.arguments import Arguments, moment, text
from bailee.operations.whose import account_for

Operation = Callable[[Node, Arguments], Iterator[object] | object]


def _running(node: Node) -> RunningCloud:
    if node.cloud_sessions is None:
        raise MachineError(
            "no server runs here, and cloud sessions live in one.",
            code="no_server",
            hint="start `bailee up`, then ask again",
        )
    return node.cloud_sessions


def _start(node: Node, arguments: Arguments) -> object:
    cloud = _running(node)
    by = arguments.by
    account = _account(node, by, arguments)
    zero = _zero(node, by, account, arguments)
    session = cloud.sessions.new_id()
    wanted = asking.read(
        arguments,
        session,
        network=node.settings.text("cloud.network") or "trusted",
        linger=node.settings.number("cloud.linger_minutes") * 60.0,
        plain=cloud.plain,
    )
    record = cloud.sessions.request(
        session, wanted, owner=account.account_id, by=by.name, plan=account.plan, zero=zero
    )
    return view(record) | {"push_branch": wanted.push_branch}


def _account(node: Node, by: Actor, arguments: Arguments) -> Account:
    """Whose session it is to be: the named account's, the key's, the only one that the person has a
    part in; for the operator the first that is nobody's: people's own are not theirs to use.
    """
    accounts, named = node.accounts, arguments.get("account")
    if named is not None:
        account = accounts.get(named)
    elif by.account_id is not None:
        account = accounts.get(by.account_id)
    elif by.person_id is not None:
        account = account_for(node, by.person_id)
    else:
        first = accounts.first()
        if first is None:
            raise InputError("there is no account yet.", code="not_found")
        account = first
    unowned = account.person_id is None and account.organisation_id is None
    if not (by.operator and unowned):
        node.registry.authority.require(by, Permission.CLOUD_START, account)
    return account


def _zero(node: Node, by: Actor, account: Account, arguments: Arguments) -> bool:
    """Whether nothing may be kept: because the key is such a one, or because it is asked for."""
    if by.key_id is not None and node.accounts.api_key(by.key_id).zero_retention:
        return True
    if arguments.get("zero_retention") is not True:
        return False
    if node.policy.plans[account.plan].segment != "commercial":
        raise InputError("zero retention is for commercial plans.", code="forbidden")
    return True


def _list(node: Node, arguments: Arguments) -> object:
    by = arguments.by
    wanted = arguments.get("state")
    return [
        view(one)
        for one in node.cloud.all()
        if (by.operator or _may_see(node, by, one)) and wanted in (None, one.state)
    ]


def _show(node: Node, arguments: Arguments) -> object:
    record = _mine(node, arguments, Permission.CLOUD_READ)
    now = moment(node, arguments)
    shown = view(record)
    return shown | {
        "kept": kept(node, record, now),
        "asked": _asked(node, record, arguments),
        "yours": not _is_staff(node, arguments, record),
    }


def _asked(node: Node, record: Record, arguments: Arguments) -> dict[str, Any] | None:
    """What was asked for; of the operator only once that is on record, and so not here."""
    if _is_staff(node, arguments, record):
        return None
    first = next(node.cloud.read(record.id, OUTPUT, moment(node, arguments)), None)
    return None if first is None else dict(first["asked"])


def _stop(node: Node, arguments: Arguments) -> object:
    record = _mine(node, arguments, Permission.CLOUD_CHANGE)
    cloud = _running(node)
    if record.state is not State.ENDED:
        cloud.call(cloud.sessions.stop(record.id))
    return view(node.cloud.get(record.id))


def _send(node: Node, arguments: Arguments) -> object:
    record = _mine(node, arguments, Permission.CLOUD_START)
    words = text(arguments, "text").strip()
    if not words:
        raise InputError("there is nothing to ask for.")
    if len(words) > asking.LONGEST_TASK:
        raise InputError("the follow-up is too long.", code="request_too_large")
    cloud = _running(node)
    cloud.call(cloud.sessions.send(record.id, words))
    return view(node.cloud.get(record.id))


def _attach(node: Node, arguments: Arguments) -> AsyncIterator[object]:
    record = _mine(node, arguments, Permission.CLOUD_READ)
    _on_record(node, arguments, record)
    after = arguments.get("after", -1)
    if not isinstance(after, int):
        raise InputError("`after` is the number of an event.")
    return _each(_running(node), record.id, after)


async def _each(cloud: RunningCloud, session: str, after: int) -> AsyncIterator[object]:
    async for events in cloud.events(session, after):
        for event in events:
            yield event


def _logs(node: Node, arguments: Arguments) -> object:
    record = _mine(node, arguments, Permission.CLOUD_READ)
    _on_record(node, arguments, record)
    now = moment(node, arguments)
    events, _, connections = _held(node, record)
    if arguments.get("egress") is True:
        pieces = node.cloud.read(record.id, EGRESS, now)
        return connections or flat(piece["connections"] for piece in pieces)
    return events or events_of(node.cloud, record.id, now)


def _diff(node: Node, arguments: Arguments) -> object:
    record = _mine(node, arguments, Permission.CLOUD_READ)
    _on_record(node, arguments, record)
    _, held, _ = _held(node, record)
    if held is None:
        piece = next(node.cloud.read(record.id, DIFF, moment(node, arguments)), None)
        held = None if piece is None else piece["diff"]
    return {"session": record.id, "diff": held or ""}


def _teleport(node: Node, arguments: Arguments) -> object:
    """What it takes to go on elsewhere: the branch, and the agent's own records."""
    record = _mine(node, arguments, Permission.CLOUD_READ)
    _on_record(node, arguments, record)
    pieces = list(node.cloud.read(record.id, OUTPUT, moment(node, arguments)))
    if not pieces:
        raise InputError(
            "nothing is kept of this session that one could go on with.",
            code="not_found",
            hint="its time has passed, or it was one of zero retention",
        )
    first = pieces[0]["asked"]
    return {
        **view(record),
        "repository": first["repository"],
        "push_branch": first["push_branch"],
        "conversation": record.transcript,
        "records": [line for piece in pieces for line in piece.get("conversation", ())],
    }


def _delete(node: Node, arguments: Arguments) -> object:
    record = _mine(node, arguments, Permission.CLOUD_CHANGE)
    if record.state is not State.ENDED:
        raise InputError("a session that runs can't be deleted.", hint="stop it first")
    return {"session": record.id, "destroyed": node.cloud.erase(record.id)}


# Who asks


def _mine(node: Node, arguments: Arguments, permission: Permission) -> Record:
    """The session, if who asks may do this with it. The operator looks at another's only on record
    (`_on_record`), ends it, and asks nothing of its agent.

    Raises:
        InputError: `not_found`, or `forbidden`.
    """
    record = node.cloud.get(text(arguments, "id"))
    by = arguments.by
    if by.operator and (
        permission is not Permission.CLOUD_START or not _is_staff(node, arguments, record)
    ):
        return record
    account = node.accounts.get(record.owner)
    if not node.registry.authority.standings(by, account):
        raise InputError("there is no such cloud session.", code="not_found")
    if by.name != record.by:
        node.registry.authority.require(by, permission, account)
    return record


def _may_see(node: Node, by: Actor, record: Record) -> bool:
    """Whether it is theirs: they started it and belong to its account, or they see to that."""
    standings = node.registry.authority.standings(by, node.accounts.get(record.owner))
    if by.name == record.by:
        return bool(standings)
    return not standings.isdisjoint({"self", "holder", "owner", "admin", "service"})


def _is_staff(node: Node, arguments: Arguments, record: Record) -> bool:
    """Whether the operator looks at what is not the operator's own."""
    by = arguments.by
    return by.operator and by.name != record.by and not _may_see(node, by, record)


def _on_record(node: Node, arguments: Arguments, record: Record) -> None:
    """Content that the operator reads is on record before it is read."""
    if _is_staff(node, arguments, record):
        by = arguments.by
        reason = arguments.get("reason") or "at the terminal, no reason given"
        node.registry.staff.read(by, record.id, reason, whose=record.owner)


def _held(node: Node, record: Record) -> tuple[list[Any], str | None, list[Any]]:
    cloud = node.cloud_sessions
    if cloud is None or record.state is State.ENDED:
        return [], None, []
    found: tuple[list[Any], str | None, list[Any]] = cloud.call(cloud.sessions.held(record.id))
    return found


def kept(node: Node, record: Record, now: datetime) -> list[dict[str, Any]]:
    """What is kept of a session, by data class."""
    return [
        {
            "data_class": held.data_class,
            "clause": held.terms.clause,
            "period": held.terms.period,
            "kept_until": held.expires_at.isoformat(),
            "bytes": held.bytes,
        }
        for held in node.cloud.holdings(record.id)
        if held.expires_at > now
    ]


def view(record: Record) -> dict[str, Any]:
    """A session by its particulars."""
    return {
        "session": record.id,
        "account": record.owner,
        "by": record.by,
        "plan": record.plan,
        "zero_retention": record.zero_retention,
        "agent": record.agent,
        "network": record.network,
        "state": record.state,
        "end": record.end,
        "problem": record.problem,
        "security": record.security,
        "transcript": record.transcript,
        "created": record.created_at.isoformat(),
        "started": record.started_at and record.started_at.isoformat(),
        "last_activity": record.last_activity.isoformat(),
        "ended": record.ended_at and record.ended_at.isoformat(),
    }


CLOUD: Final[Mapping[str, Operation]] = {
    "cloud.start": _start,
    "cloud.list": _list,
    "cloud.show": _show,
    "cloud.stop": _stop,
    "cloud.send": _send,
    "cloud.attach": _attach,
    "cloud.logs": _logs,
    "cloud.diff": _diff,
    "cloud.teleport": _teleport,
    "cloud.delete": _delete,
}

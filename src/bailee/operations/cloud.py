"""What can be asked of a home about cloud sessions.

Starting, following, asking for more and stopping take a server that runs; what is kept of a session
can be read without one. A session is its account's, and who started one in an organisation may see
to it too. What the operator reads of another's is on record before it is read.

Rows: C4, C5.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailee import json_values
from bailee.accounts import Account, Actor
from bailee.accounts.roles import Permission
from bailee.cloud.ports import End
from bailee.cloud.sessions import asked as asking
from bailee.cloud.sessions.asked import Asked, WantedSession
from bailee.cloud.sessions.log import Event, flat
from bailee.cloud.sessions.records import SessionRecord
from bailee.cloud.sessions.sessions import events_of
from bailee.cloud.sessions.states import SessionState
from bailee.cloud.sessions.store import DIFF, EGRESS, OUTPUT
from bailee.errors import InputError, MachineError, PolicyDenied
from bailee.json_values import JsonObject, objects
from bailee.keeping.receipts import DEFERRED
from bailee.node import Node
from bailee.node.running import RunningCloud
from bailee.operations.asks import Asks
from bailee.operations.cloud_whose import account_for_new, is_staff, mine, on_record, visible
from bailee.operations.codec import Function, Limit, Page, extended
from bailee.operations.operation import operation
from bailee.operations.receipts import ReceiptSummary, receipt
from bailee.policy.network import at_most
from bailee.policy.own import PREFIX as OWN

_Held = tuple[list[Event], str | None, list[JsonObject]]


@dataclass(frozen=True, slots=True)
class CloudSession:
    """A session by its particulars. `end`: why it ended; `problem`: the error that ended it;
    `security`: what isolated its machine; `transcript`: its conversation among the sessions.
    """

    session: str
    account: str
    by: str
    plan: str
    zero_retention: bool
    agent: str
    network: str
    state: SessionState
    end: End | None
    problem: str | None
    security: str | None
    transcript: str | None
    created: datetime
    started: datetime | None
    last_activity: datetime
    ended: datetime | None


@dataclass(frozen=True, slots=True)
class Started(CloudSession):
    """A session that was asked for. `push_branch`: the only branch that it can push to."""

    push_branch: str


@dataclass(frozen=True, slots=True)
class KeptOutput:
    """What is kept of a session in one data class."""

    data_class: str
    clause: str
    period: str
    kept_until: datetime
    bytes: int


@dataclass(frozen=True, slots=True)
class Shown(CloudSession):
    """One session. `asked`: as it was asked for, if that is kept and it is `yours`: of another's
    the operator reads it on record alone, and so not here.
    """

    kept: list[KeptOutput]
    asked: Asked | None
    yours: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """All that a session changed, as a patch."""

    session: str
    diff: str


@dataclass(frozen=True, slots=True)
class Teleport(CloudSession):
    """What it takes to go on elsewhere: the branch, and the agent's own records, line by line."""

    repository: str
    push_branch: str
    conversation: str | None
    records: list[str]


@dataclass(frozen=True, slots=True)
class Destroyed:
    """How many data classes of a session were destroyed, and the receipt of each, which says
    whether a hold defers it.
    """

    session: str
    destroyed: int
    receipts: list[ReceiptSummary]


@operation()
def start(
    asks: Asks,
    node: Node,
    task: str,
    repository: str,
    *,
    branch: str | None = None,
    push_branch: str | None = None,
    network: str | None = None,
    agent: str | None = None,
    model: str | None = None,
    linger: float | None = None,
    account: str | None = None,
    zero_retention: bool = False,
) -> Started:
    """Let an agent work on a repository in a machine of its own; linger: seconds that it waits for
    more once it is done.
    """
    cloud = _running(node)
    owner = account_for_new(node, asks.actor, account)
    zero = _zero(node, asks.actor, owner, zero_retention)
    session = cloud.sessions.new_id()
    usual = node.settings.text("cloud.network") or "trusted"
    demand = node.policy_of(owner).most_network
    wanted = asking.read(
        WantedSession(task, repository, branch, push_branch, network, agent, linger, model),
        session,
        network=usual if network else at_most(demand, usual),
        linger=node.settings.number("cloud.linger_minutes") * 60.0,
        plain=cloud.plain,
    )
    if demand is not None and wanted.network != (most := at_most(demand, wanted.network)):
        if demand.clause.id.startswith(OWN):
            raise PolicyDenied(
                f"this organisation's cloud sessions have the network at {most} at the most.",
                hint="its own policy says so: bailee organisation policy show",
            )
        raise PolicyDenied(
            f"cloud sessions have the network at {most} at the most.",
            hint=f"the policy document says so, in the clause {demand.clause.id}",
        )
    record = cloud.sessions.request(
        session,
        wanted,
        owner=owner.account_id,
        by=asks.actor.name,
        plan=owner.plan,
        zero=zero,
    )
    return extended(Started, shown(record), push_branch=wanted.push_branch)


@operation()
def list_(
    asks: Asks,
    node: Node,
    state: SessionState | None = None,
    after: str | None = None,
    limit: Limit = 100,
) -> Page[CloudSession]:
    """The cloud sessions that whoever asks may see, the latest first."""
    found, more = node.cloud.records.page(
        visible(node, asks.actor), state=state, after=after, limit=limit
    )
    return Page([shown(one) for one in found], more)


@operation()
def show(asks: Asks, node: Node, id: str) -> Shown:
    """One session: how far it has got, and what is kept of it until when."""
    record = mine(asks, node, id, Permission.CLOUD_READ)
    yours = not is_staff(asks, node, record)
    first = next(node.cloud.read(record.id, OUTPUT, asks.at), None) if yours else None
    return extended(
        Shown,
        shown(record),
        kept=kept(node, record, asks.at),
        asked=None if first is None else Asked.of(first["asked"]),
        yours=yours,
    )


@operation()
def stop(asks: Asks, node: Node, id: str) -> CloudSession:
    """End a session now; its machine and its token are gone when this returns."""
    record = mine(asks, node, id, Permission.CLOUD_CHANGE)
    cloud = _running(node)
    if record.state is not SessionState.ENDED:
        cloud.call(cloud.sessions.stop(record.id))
    return shown(node.cloud.records.get(record.id))


@operation()
def send(asks: Asks, node: Node, id: str, text: str) -> CloudSession:
    """Ask a session's agent for more, once it has finished its current work."""
    record = mine(asks, node, id, Permission.CLOUD_START)
    words = text.strip()
    if not words:
        raise InputError("there is no follow-up text.")
    if len(words) > asking.LONGEST_TASK:
        raise InputError("the follow-up is too long.", code="request_too_large")
    cloud = _running(node)
    cloud.call(cloud.sessions.send(record.id, words))
    return shown(node.cloud.records.get(record.id))


@operation()
def attach(asks: Asks, node: Node, id: str, after: int = -1) -> AsyncIterator[Mapping[str, object]]:
    """The events of a session after one, by its number, as they come, until it has ended."""
    record = on_record(asks, node, id)
    return _each(_running(node), record.id, after)


async def _each(cloud: RunningCloud, session: str, after: int) -> AsyncIterator[Event]:
    async for events in cloud.events(session, after):
        for event in events:
            yield event


@operation()
def logs(asks: Asks, node: Node, id: str, egress: bool = False) -> Sequence[Mapping[str, object]]:
    """What happened in a session, as far as it is kept; with egress its connections instead."""
    record = on_record(asks, node, id)
    events, _, connections = _held(node, record)
    if egress:
        pieces = node.cloud.read(record.id, EGRESS, asks.at)
        return connections or flat(objects(piece["connections"]) for piece in pieces)
    return events or events_of(node.cloud, record.id, asks.at)


@operation()
def diff(asks: Asks, node: Node, id: str) -> Changes:
    """All that a session changed, as a patch that git applies."""
    record = on_record(asks, node, id)
    _, held, _ = _held(node, record)
    if held is None:
        piece = next(node.cloud.read(record.id, DIFF, asks.at), None)
        held = None if piece is None else json_values.text(piece["diff"])
    return Changes(record.id, held or "")


@operation()
def teleport(asks: Asks, node: Node, id: str) -> Teleport:
    """What it takes to go on with a session elsewhere: its branch, and the agent's records."""
    record = on_record(asks, node, id)
    pieces = list(node.cloud.read(record.id, OUTPUT, asks.at))
    if not pieces:
        raise InputError(
            "nothing is kept of this session that could be continued.",
            code="not_found",
            hint="it has expired, or it was a zero-retention session",
        )
    asked = Asked.of(pieces[0]["asked"])
    return extended(
        Teleport,
        shown(record),
        repository=asked.repository,
        push_branch=asked.push_branch,
        conversation=record.transcript,
        records=[
            json_values.text(line)
            for piece in pieces
            for line in json_values.elements(piece.get("conversation"))
        ],
    )


@operation(makes_room=True)
def delete(asks: Asks, node: Node, id: str) -> Destroyed:
    """Destroy what is kept of a session that has ended."""
    record = mine(asks, node, id, Permission.CLOUD_CHANGE)
    if record.state is not SessionState.ENDED:
        raise InputError("a running session can't be deleted.", hint="stop it first")
    done = [
        receipt(node, one) for one in node.cloud.delete(record.id, asks.due, by=asks.actor.name)
    ]
    return Destroyed(record.id, sum(one.state != DEFERRED for one in done), done)


def _running(node: Node) -> RunningCloud:
    if node.serving is None:
        raise MachineError(
            "no server runs here, and cloud sessions live in one.",
            code="no_server",
            hint="start `bailee up`, then ask again",
        )
    return node.serving.cloud


def _zero(node: Node, by: Actor, account: Account, asked: bool) -> bool:
    """Whether nothing may be kept: because the key is such a one, because it is asked for, or
    because the account's organisation has nothing of a session kept.
    """
    if by.key_id is not None and node.accounts.api_key(by.key_id).zero_retention:
        return True
    policy = node.policy_of(account)
    facts = account.facts(zero_retention=False)
    if policy.own is not None and policy.keeps_nothing(("transcript", OUTPUT, DIFF), facts):
        return True
    if asked and node.policy.plans[account.plan].segment != "commercial":
        raise InputError("zero retention is for commercial plans.", code="forbidden")
    return asked


def _held(node: Node, record: SessionRecord) -> _Held:
    """What a running server has in memory: events, changes, connections."""
    if node.serving is None or record.state is SessionState.ENDED:
        return [], None, []
    cloud = node.serving.cloud
    found: _Held = cloud.call(cloud.sessions.held(record.id))
    return found


def kept(node: Node, record: SessionRecord, now: datetime) -> list[KeptOutput]:
    """What is kept of a session, by data class."""
    return [
        KeptOutput(one.data_class, one.terms.clause, one.terms.period, one.expires_at, one.bytes)
        for one in node.cloud.holdings(record.id)
        if one.expires_at > now
    ]


def shown(record: SessionRecord) -> CloudSession:
    """A session by its particulars."""
    return CloudSession(
        record.id,
        record.owner,
        record.by,
        record.plan,
        record.zero_retention,
        record.agent,
        record.network,
        record.state,
        record.end,
        record.problem,
        record.security,
        record.transcript,
        record.created_at,
        record.started_at,
        record.last_activity,
        record.ended_at,
    )


OPERATIONS: Final[Mapping[str, Function]] = {
    "cloud.start": start,
    "cloud.list": list_,
    "cloud.show": show,
    "cloud.stop": stop,
    "cloud.send": send,
    "cloud.attach": attach,
    "cloud.logs": logs,
    "cloud.diff": diff,
    "cloud.teleport": teleport,
    "cloud.delete": delete,
}

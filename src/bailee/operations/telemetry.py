"""What can be asked of a home about figures and error issues: the operator's alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bailee.accounts.roles import Permission
from bailee.clock import parse_span
from bailee.config import Settings
from bailee.db.pages import cut, place, read_place
from bailee.errors import InputError
from bailee.node import Node
from bailee.operations.asks import Asks
from bailee.operations.codec import Function, Limit, Page
from bailee.operations.operation import operation
from bailee.policy.bounds import places
from bailee.telemetry.destinations import Destination, destination, within
from bailee.telemetry.error_queries import SeenIssue, WholeIssue
from bailee.telemetry.queries import Between, Figures, Measured
from bailee.telemetry.records import FLOWS, DataClass
from bailee.telemetry.summary import Summary


@dataclass(frozen=True, slots=True)
class DroppedField:
    """How often a field was dropped on a day. `why`: what the registry says of a refused one."""

    day: str
    protocol: str
    service: str
    field: str
    reason: str
    why: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Onward:
    """Where a flow goes on to, and how passing it on goes; `waiting`: bytes."""

    flow: str
    to: str
    waiting: int
    delivered: int
    refused: int
    failing_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuePage(Page[SeenIssue]):
    """Some issues. `states`: how many there are in each state, on all pages."""

    states: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Changed:
    """An issue's state as it was decided, and the release that mends it."""

    id: str
    state: str
    resolved_in: str | None


def chosen(settings: Settings, authorization: str | None) -> dict[DataClass, Destination]:
    """Where each flow goes on to, by the settings."""
    made = {}
    for flow, data_class in FLOWS.items():
        name = f"telemetry.{flow}"
        made[data_class] = destination(data_class, settings.text(name) or "", name, authorization)
    return made


def _count(node: Node) -> None:
    """Have a server's own figures counted that wait to be."""
    if node.serving is not None:
        node.serving.measured()


@operation()
def measures(asks: Asks, node: Node) -> list[Measured]:
    """The measures of which something is kept."""
    asks.require(node, Permission.METRICS_READ)
    _count(node)
    return node.telemetry.metrics.names(asks.at)


@operation()
def query(
    asks: Asks,
    node: Node,
    name: str,
    *,
    since: str = "24h",
    by: tuple[str, ...] = (),
    of: str | None = None,
    step: str | None = None,
) -> Figures:
    """Counts, sums and percentiles of one measure, by fields and by steps of time."""
    asks.require(node, Permission.METRICS_READ)
    _count(node)
    return node.telemetry.metrics.query(
        name,
        _between(asks.at, since),
        asks.at,
        by=by,
        of=of,
        step=None if step is None else parse_span(step, name="--step"),
    )


@operation()
def summary(
    asks: Asks, node: Node, since: str = "24h", step: str = "1h", latency: str | None = None
) -> Summary:
    """How quick, how reliable and how used the service was."""
    asks.require(node, Permission.METRICS_READ)
    _count(node)
    return node.telemetry.summaries.summary(
        _between(asks.at, since), parse_span(step, name="--step"), asks.at, latency=latency
    )


@operation()
def destinations(asks: Asks, node: Node) -> list[Onward]:
    """Where figures and errors go on to, as far as the policy document lets them, and how passing
    them on goes.
    """
    asks.require(node, Permission.METRICS_READ)
    # From the settings: where no server runs, nothing is passed on.
    to, document = chosen(node.settings, None), node.policy.document
    return [
        _onward(node, flow, data_class, within(to[data_class], places(document, flow)))
        for flow, data_class in FLOWS.items()
    ]


@operation()
def dropped(asks: Asks, node: Node) -> list[DroppedField]:
    """What clients sent that may not be kept."""
    asks.require(node, Permission.METRICS_READ)
    refused = node.telemetry.registry.refused
    return [
        DroppedField(
            count.day,
            count.protocol,
            count.service,
            count.field,
            count.reason,
            refused.get(count.field) if count.reason == "refused" else None,
            count.count,
        )
        for count in node.telemetry.dropped.all()
    ]


@operation()
def issues(
    asks: Asks, node: Node, state: str | None = None, after: str | None = None, limit: Limit = 100
) -> IssuePage:
    """The error issues of which events are kept, the one that was seen last first."""
    asks.require(node, Permission.ERROR_ISSUE_READ)
    node.telemetry.settle()
    every = node.telemetry.errors.issues(asks.at)
    found = [one for one in every if state in (None, one.state)]
    if after is not None:
        at, last = read_place(after)
        found = [one for one in found if (one.last_seen, last) < (at, one.id)]
    page, more = cut(found, limit, lambda one: place(one.last_seen, one.id))
    return IssuePage(page, more, states=Counter(one.state for one in every))


@operation()
def issue(asks: Asks, node: Node, id: str) -> WholeIssue:
    """One error issue: its stack, where it was seen, and when."""
    asks.require(node, Permission.ERROR_ISSUE_READ)
    node.telemetry.settle()
    return node.telemetry.errors.show(id, asks.at)


@operation()
def decide(asks: Asks, node: Node, id: str, state: str, resolved_in: str | None = None) -> Changed:
    """Resolve an error issue, in a release or not, mute it, or open it again."""
    asks.require(node, Permission.ERROR_ISSUE_CHANGE)
    release = resolved_in or None
    if (
        release is not None
        and node.telemetry.registry.fields["release"].kind.check(release) is None
    ):
        raise InputError(
            "this is no release that an error could come from.",
            hint="write a version, or program and version, like bailee-code@1.2.4",
        )
    node.telemetry.settle()
    known = node.telemetry.issues.set(id, state, asks.at, release)
    body = {"state": known.state, "resolved_in": known.resolved_in}
    node.ledger.append("error_issue.changed", known.id, body | {"by": asks.actor.name})
    return Changed(known.id, known.state, known.resolved_in)


def _between(now: datetime, since: str) -> Between:
    # A client's clock may be a little ahead.
    return Between(now - parse_span(since, name="--since"), now + timedelta(minutes=10))


def _onward(node: Node, flow: str, data_class: DataClass, to: Destination) -> Onward:
    """How passing on goes, or that nothing is passed on."""
    shown, forwarder = to.shown, node.telemetry.forwarders.get(data_class)
    if forwarder is None:
        return Onward(flow, shown, 0, 0, 0, None)
    state = forwarder.state
    return Onward(
        flow, shown, forwarder.waiting, state.delivered, state.refused, state.failing_since
    )


OPERATIONS: Final[Mapping[str, Function]] = {
    "metrics.list": measures,
    "metrics.query": query,
    "metrics.summary": summary,
    "metrics.dropped": dropped,
    "metrics.destinations": destinations,
    "errors.list": issues,
    "errors.show": issue,
    "errors.set": decide,
}

"""What can be asked of a home about figures and error issues: the operator's alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from bailee.accounts.roles import Permission
from bailee.config import Settings
from bailee.errors import InputError
from bailee.node.node import Node
from bailee.operations.arguments import Arguments, moment, require, text
from bailee.telemetry.destinations import Destination, destination
from bailee.telemetry.forwarding import Forwarder
from bailee.telemetry.queries import Between
from bailee.telemetry.records import FLOWS, DataClass

_SPANS: Final = {"m": 60, "h": 3600, "d": 86_400}


def chosen(settings: Settings, authorization: str | None) -> dict[DataClass, Destination]:
    """Where each flow goes on to, by the settings."""
    made = {}
    for flow, data_class in FLOWS.items():
        name = f"telemetry.{flow}"
        made[data_class] = destination(data_class, settings.text(name) or "", name, authorization)
    return made


def _span(text: str, name: str) -> timedelta:
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdecimal() and len(number) < 7 and unit in _SPANS):
        raise InputError(f"{name} {text[:20]!r} is no span of time.", hint="write 90m, 24h or 7d")
    return timedelta(seconds=max(1, int(number)) * _SPANS[unit])


def _metrics_list(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.METRICS_READ)
    node.measured()
    return node.telemetry.metrics.names(moment(node, arguments))


def _between(node: Node, arguments: Arguments) -> Between:
    now = moment(node, arguments)
    since = now - _span(arguments.get("since") or "24h", "--since")
    # A client's clock may be a little ahead.
    return Between(since, now + timedelta(minutes=10))


def _metrics_query(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.METRICS_READ)
    node.measured()
    step = arguments.get("step")
    return node.telemetry.metrics.query(
        text(arguments, "name"),
        _between(node, arguments),
        moment(node, arguments),
        by=arguments.get("by") or (),
        of=arguments.get("of"),
        step=None if step is None else _span(step, "--step"),
    )


def _metrics_summary(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.METRICS_READ)
    node.measured()
    return node.telemetry.summaries.summary(
        _between(node, arguments),
        _span(arguments.get("step") or "1h", "--step"),
        moment(node, arguments),
        latency=arguments.get("latency"),
    )


def _destinations(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.METRICS_READ)
    # From the settings: where no server runs, nothing is passed on.
    to = chosen(node.settings, None)
    return [
        {"flow": flow, "to": to[data_class].shown}
        | _onward(node.telemetry.forwarders.get(data_class))
        for flow, data_class in FLOWS.items()
    ]


def _onward(forwarder: Forwarder | None) -> dict[str, object]:
    """How passing on goes, or that nothing is passed on."""
    if forwarder is None:
        return {"waiting": 0, "delivered": 0, "refused": 0, "failing_since": None}
    state = forwarder.state
    since = state.failing_since
    return {
        "waiting": forwarder.waiting,
        "delivered": state.delivered,
        "refused": state.refused,
        "failing_since": None if since is None else since.isoformat(),
    }


def _metrics_dropped(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.METRICS_READ)
    refused = node.telemetry.registry.refused
    return [
        {
            "day": count.day,
            "protocol": count.protocol,
            "service": count.service,
            "field": count.field,
            "reason": count.reason,
            "why": refused.get(count.field) if count.reason == "refused" else None,
            "count": count.count,
        }
        for count in node.telemetry.dropped.all()
    ]


def _errors_list(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.ERROR_ISSUE_READ)
    node.telemetry.settle()
    return node.telemetry.errors.issues(moment(node, arguments), state=arguments.get("state"))


def _errors_show(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.ERROR_ISSUE_READ)
    node.telemetry.settle()
    return node.telemetry.errors.show(text(arguments, "id"), moment(node, arguments))


def _errors_set(node: Node, arguments: Arguments) -> object:
    actor = arguments.by
    require(node, arguments, Permission.ERROR_ISSUE_CHANGE)
    release = arguments.get("resolved_in") or None
    if (
        release is not None
        and node.telemetry.registry.fields["release"].kind.check(release) is None
    ):
        raise InputError(
            "this is no release that an error could come from.",
            hint="write a version, or program and version, like bailee-code@1.2.4",
        )
    node.telemetry.settle()
    issue = node.telemetry.issues.set(
        text(arguments, "id"), text(arguments, "state"), moment(node, arguments), release
    )
    body = {"state": issue.state, "resolved_in": issue.resolved_in}
    node.ledger.append("error_issue.changed", issue.id, body | {"by": actor.name})
    return {"id": issue.id, **body}


OPERATIONS: Final[Mapping[str, Callable[[Node, Arguments], object]]] = {
    "metrics.list": _metrics_list,
    "metrics.query": _metrics_query,
    "metrics.summary": _metrics_summary,
    "metrics.dropped": _metrics_dropped,
    "metrics.destinations": _destinations,
    "errors.list": _errors_list,
    "errors.show": _errors_show,
    "errors.set": _errors_set,
}

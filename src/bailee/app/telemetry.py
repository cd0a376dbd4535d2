"""Telemetry's wiring: who may send it, on what terms it is kept, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Final

from bailee.accounts import Account, ApiKey
from bailee.app.arguments import Arguments, moment, require, text
from bailee.app.measuring import Defects, Own, measured_channels, reports_errors
from bailee.app.node import Node
from bailee.config import Settings, parse_address
from bailee.errors import InputError
from bailee.telemetry.destinations import Destination, destination
from bailee.telemetry.forwarding import Forwarder
from bailee.telemetry.ingest import Ingest, Sender
from bailee.telemetry.queries import Between
from bailee.telemetry.records import ERROR, FLOWS, METRIC, DataClass

_SPANS: Final = {"m": 60, "h": 3600, "d": 86_400}


class PolicyAccess:
    """The ingest's `Access`: keys from `accounts`, periods from `policy`. Nothing of either goes on
    into what is kept.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._senders: dict[str, tuple[ApiKey, Account, Sender]] = {}

    def sender(self, key: bytes) -> Sender | None:
        """Whose key this is, or None."""
        found = self._node.accounts.authenticate(key, sending=True)
        if found is None:
            return None
        held = self._senders.get(found[0].key_id)
        if held is None or held[0] is not found[0] or held[1] is not found[1]:
            periods = {name: _period(self._node, name, *found) for name in (METRIC, ERROR)}
            # Keys that send only share their account's quota: making more gives no more.
            shared = found[0].scope == "ingest"
            name = found[1].account_id if shared else found[0].key_id
            held = (*found, Sender(name, periods))
            self._senders[found[0].key_id] = held
        return held[2]


def _period(node: Node, data_class: DataClass, key: ApiKey, account: Account) -> str:
    decision = node.policy.retain(
        data_class=data_class,
        plan=account.plan,
        channel="api",
        training_choice=account.training_choice,
        zero_retention=key.zero_retention,
        partner_programme=account.partner_programme,
    )
    return decision.retention or "P0D"


def own_period(node: Node, data_class: DataClass, key_id: str) -> str:
    """How long a measurement of the server's own is kept: on the terms of the key whose exchange it
    was; of no key's, on those of plain API use.
    """
    if key_id:
        try:
            key = node.accounts.api_key(key_id)
            return _period(node, data_class, key, node.accounts.get(key.account_id))
        except InputError:
            return "P0D"  # erased meanwhile
    decision = node.policy.retain(
        data_class=data_class,
        plan="api",
        channel="api",
        training_choice="none",
        zero_retention=False,
        partner_programme=False,
    )
    return decision.retention or "P0D"


def measuring(node: Node, environment: Mapping[str, str]) -> Own:
    """What measures this server's exchanges, as far as switches and policy allow."""
    channels = measured_channels(node.policy, node.settings, environment)
    return Own(node.telemetry, node.clock, channels, partial(own_period, node))


def defects(node: Node, environment: Mapping[str, str]) -> Callable[[BaseException], None]:
    """What is told of this server's own defects."""
    if not reports_errors(node.policy, node.settings, environment):
        return lambda _error: None
    return Defects(node.telemetry, node.clock, own_period(node, ERROR, ""))


def pass_on(node: Node, environment: Mapping[str, str]) -> None:
    """Have each flow go where the settings say, from now on.

    Raises:
        InputError: code `configuration`.
    """
    variable = node.settings.text("telemetry.otlp_authorization_env")
    authorization = None if variable is None else environment.get(variable)
    if variable is not None and not authorization:
        raise InputError(
            f"the environment variable {variable} holds no Authorization header.",
            code="configuration",
            hint="set it to what the address expects, like: Bearer TOKEN",
        )
    node.telemetry.pass_on(_chosen(node.settings, authorization))


def _chosen(settings: Settings, authorization: str | None) -> dict[DataClass, Destination]:
    made = {}
    for flow, data_class in FLOWS.items():
        name = f"telemetry.{flow}"
        made[data_class] = destination(data_class, settings.text(name) or "", name, authorization)
    return made


def make_ingest(node: Node) -> Ingest:
    """The ingest application over a home."""
    return Ingest(node.telemetry, PolicyAccess(node))


def listening_at(settings: Settings) -> tuple[str, int] | None:
    """Where the ingest listens, or None: nowhere.

    Raises:
        InputError: code `configuration`.
    """
    text = settings.text("ingest.listen") or "off"
    return None if text == "off" else parse_address(text, "ingest.listen")


def addresses(ingest: str | None, key: str | None) -> dict[str, str] | None:
    """What clients are pointed at, by protocol, and the key to send with, which opens nothing else.
    `KEY` stands in the place of a key not at hand.
    """
    if ingest is None:
        return None
    scheme, _, place = ingest.partition("://")
    return {
        "otlp": ingest,
        "key": key or "KEY",
        "sentry_dsn": f"{scheme}://{key or 'KEY'}@{place}/1",
        "statsig": f"{ingest}/v1",
    }


# Operations


def _span(text: str, name: str) -> timedelta:
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdecimal() and len(number) < 7 and unit in _SPANS):
        raise InputError(f"{name} {text[:20]!r} is no span of time.", hint="write 90m, 24h or 7d")
    return timedelta(seconds=max(1, int(number)) * _SPANS[unit])


def _metrics_list(node: Node, arguments: Arguments) -> object:
    require(node, arguments, "metrics.read")
    node.measured()
    return node.telemetry.metrics.names(moment(node, arguments))


def _between(node: Node, arguments: Arguments) -> Between:
    now = moment(node, arguments)
    since = now - _span(arguments.get("since") or "24h", "--since")
    # A client's clock may be a little ahead.
    return Between(since, now + timedelta(minutes=10))


def _metrics_query(node: Node, arguments: Arguments) -> object:
    require(node, arguments, "metrics.read")
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
    require(node, arguments, "metrics.read")
    node.measured()
    return node.telemetry.summaries.summary(
        _between(node, arguments),
        _span(arguments.get("step") or "1h", "--step"),
        moment(node, arguments),
        latency=arguments.get("latency"),
    )


def _destinations(node: Node, arguments: Arguments) -> object:
    require(node, arguments, "metrics.read")
    # From the settings: where no server runs, nothing is passed on.
    chosen = _chosen(node.settings, None)
    return [
        {"flow": flow, "to": chosen[data_class].shown}
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
    require(node, arguments, "metrics.read")
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
    require(node, arguments, "error_issue.read")
    node.telemetry.settle()
    return node.telemetry.errors.issues(moment(node, arguments), state=arguments.get("state"))


def _errors_show(node: Node, arguments: Arguments) -> object:
    require(node, arguments, "error_issue.read")
    node.telemetry.settle()
    return node.telemetry.errors.show(text(arguments, "id"), moment(node, arguments))


def _errors_set(node: Node, arguments: Arguments) -> object:
    actor = arguments.by
    require(node, arguments, "error_issue.change")
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

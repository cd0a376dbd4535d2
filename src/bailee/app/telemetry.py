"""Telemetry's wiring: who may send it, on what terms it is kept, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from bailee.accounts import Account, ApiKey
from bailee.app.arguments import Arguments, moment, text
from bailee.app.node import Node
from bailee.config import Settings, parse_address
from bailee.errors import InputError
from bailee.telemetry.ingest import Ingest, Sender
from bailee.telemetry.queries import Between
from bailee.telemetry.records import ERROR, METRIC, DataClass

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
        found = self._node.accounts.authenticate(key)
        if found is None or found[0].cloud_session is not None:
            return None
        held = self._senders.get(found[0].key_id)
        if held is None or held[0] is not found[0] or held[1] is not found[1]:
            periods = {name: self._period(name, *found) for name in (METRIC, ERROR)}
            held = (*found, Sender(found[0].key_id, periods))
            self._senders[found[0].key_id] = held
        return held[2]

    def _period(self, data_class: DataClass, key: ApiKey, account: Account) -> str:
        decision = self._node.policy.retain(
            data_class=data_class,
            plan=account.plan,
            channel="api",
            training_choice=account.training_choice,
            zero_retention=key.zero_retention,
            partner_programme=account.partner_programme,
        )
        return decision.retention or "P0D"


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
    """What clients are pointed at, by protocol. `KEY` stands in the place of a key not at hand."""
    if ingest is None:
        return None
    scheme, _, place = ingest.partition("://")
    return {
        "otlp": ingest,
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
    return node.telemetry.metrics.names(moment(node, arguments))


def _metrics_query(node: Node, arguments: Arguments) -> object:
    now = moment(node, arguments)
    since = now - _span(arguments.get("since") or "24h", "--since")
    step = arguments.get("step")
    return node.telemetry.metrics.query(
        text(arguments, "name"),
        # A client's clock may be a little ahead.
        Between(since, now + timedelta(minutes=10)),
        now,
        by=arguments.get("by") or (),
        of=arguments.get("of"),
        step=None if step is None else _span(step, "--step"),
    )


def _metrics_dropped(node: Node, _arguments: Arguments) -> object:
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
    node.telemetry.settle()
    return node.telemetry.errors.issues(moment(node, arguments), state=arguments.get("state"))


def _errors_show(node: Node, arguments: Arguments) -> object:
    node.telemetry.settle()
    return node.telemetry.errors.show(text(arguments, "id"), moment(node, arguments))


def _errors_set(node: Node, arguments: Arguments) -> object:
    node.telemetry.settle()
    issue = node.telemetry.issues.set(
        text(arguments, "id"),
        text(arguments, "state"),
        moment(node, arguments),
        arguments.get("resolved_in"),
    )
    body = {"state": issue.state, "resolved_in": issue.resolved_in}
    node.ledger.append("error_issue.changed", issue.id, body)
    return {"id": issue.id, **body}


OPERATIONS: Final[Mapping[str, Callable[[Node, Arguments], object]]] = {
    "metrics.list": _metrics_list,
    "metrics.query": _metrics_query,
    "metrics.dropped": _metrics_dropped,
    "errors.list": _errors_list,
    "errors.show": _errors_show,
    "errors.set": _errors_set,
}

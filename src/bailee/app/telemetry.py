"""Telemetry's wiring: who may send it, on what terms it is kept, and where it goes on to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, partial

from bailee.accounts import Account, ApiKey
from bailee.app.measuring import (
    Defects,
    MeasuredTerms,
    Own,
    measured_channels,
    reports_errors,
)
from bailee.config import Settings, parse_address
from bailee.errors import InputError
from bailee.ingest.door import DoorLimits
from bailee.ingest.quotas import Rate
from bailee.ingest.shares import Share
from bailee.node.bounded import bytes_stored
from bailee.node.node import Node
from bailee.operations.telemetry import chosen
from bailee.policy import Policy, bounds
from bailee.policy.facts import Facts, nobodys
from bailee.policy.holding import InForce
from bailee.telemetry.ingest import Ingest, TelemetrySender
from bailee.telemetry.records import ERROR, FLOWS, METRIC, DataClass


class TelemetryPolicyAccess:
    """The ingest's `Access`: keys from `accounts`, periods from `policy`. Called on the ingest's
    event loop's thread. It keeps, for each key, what was decided for the present state of its
    account by the document that holds. Nothing of either goes on into what is kept.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        # The ingest's loop's alone.
        self._senders: dict[str, tuple[ApiKey, Account, InForce, TelemetrySender]] = {}

    def sender(self, key: bytes) -> TelemetrySender | None:
        """Whose key this is, or None."""
        found = self._node.accounts.authenticate(key, sending=True)
        if found is None:
            return None
        key_of, account = found
        now = self._node.holding.of(account.organisation_id)
        held = self._senders.get(key_of.key_id)
        if held is not None and held[0] is key_of and held[1] is account and held[2] is now:
            return held[3]
        facts = account.facts(zero_retention=key_of.zero_retention)
        periods = {name: _period(now.policy, name, facts) for name in (METRIC, ERROR)}
        sender = TelemetrySender(account.account_id, periods, places_of(now.policy))
        self._senders[key_of.key_id] = (key_of, account, now, sender)
        return sender


def _period(policy: Policy, data_class: DataClass, facts: Facts) -> str | None:
    terms = policy.terms(data_class, facts)
    return None if terms is None else terms.period


def places_of(policy: Policy) -> dict[DataClass, tuple[str, ...]]:
    """Where metrics and errors may go by an organisation's document beside the operator's."""
    own = () if policy.own is None else policy.own.bounds
    return {kept: bounds.places(policy.document, flow, own) for flow, kept in FLOWS.items()}


def own_terms(node: Node, data_class: DataClass, key_id: str) -> MeasuredTerms:
    """How long a measurement of the server's own is kept (None: it is not), and where: on the terms
    of the key whose exchange it was; of no key's, on those of plain API use.
    """
    if not key_id:
        return _terms(node.policy, data_class, nobodys("api"))
    try:
        key = node.accounts.api_key(key_id)
        account = node.accounts.get(key.account_id)
    except InputError:
        return MeasuredTerms(None)  # erased meanwhile
    facts = account.facts(zero_retention=key.zero_retention)
    return _terms(node.policy_of(account), data_class, facts)


def _terms(policy: Policy, data_class: DataClass, facts: Facts) -> MeasuredTerms:
    return MeasuredTerms(_period(policy, data_class, facts), places_of(policy)[data_class])


def measuring(node: Node, environment: Mapping[str, str]) -> Own:
    """What measures this server's exchanges, as far as switches and policy allow."""

    @lru_cache(maxsize=2)
    def measured(policy: Policy) -> frozenset[str]:
        return measured_channels(policy, node.settings, environment)

    measured(node.policy)  # a setting that is wrong stops a start

    def channels() -> frozenset[str]:
        return measured(node.policy)

    return Own(node.telemetry, node.clock, channels, partial(own_terms, node))


def defects(node: Node, environment: Mapping[str, str]) -> Callable[[BaseException], None]:
    """What is told of this server's own defects."""

    @lru_cache(maxsize=2)
    def under(policy: Policy) -> Callable[[BaseException], None]:
        if not reports_errors(policy, node.settings, environment):
            return lambda _error: None
        return Defects(node.telemetry, node.clock, own_terms(node, ERROR, ""))

    under(node.policy)  # a setting that is wrong stops a start

    def told(error: BaseException) -> None:
        under(node.policy)(error)

    return told


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
    node.telemetry.pass_on(chosen(node.settings, authorization))


def make_ingest(node: Node) -> Ingest:
    """The ingest application over a home."""
    number = node.settings.number
    usual = DoorLimits()
    rate = Rate(number("telemetry.rate_per_account_kb") << 10, usual.bytes_per_account.burst)
    items = {
        METRIC: number("telemetry.metrics_per_account"),
        ERROR: number("telemetry.errors_per_account"),
    }

    def share(data_class: DataClass, account_id: str) -> Share:
        account = node.accounts.get(account_id)
        return Share(items[data_class], bytes_stored(node, bounds.STORED_MEASUREMENTS, account))

    return Ingest(
        node.telemetry,
        TelemetryPolicyAccess(node),
        limits=replace(usual, bytes_per_account=rate),
        shares=share,
    )


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

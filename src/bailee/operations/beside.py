"""How a policy document stands to the settings that decide something of what it decides. Pure.

Rules kept here:

* A setting that nobody wrote is no matter: it goes as far as the document lets it, and says nothing
  else.
* A setting that goes further than the document is no error. It holds as far as the document does,
  and whoever asks is told by what it is closed.
* So do limits and lists of models that were set for organisations. Those that no document has less
  than are many, and are not named.

Rows: P1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from bailee.config import Settings
from bailee.node import Node
from bailee.policy import Policy, bounds, network
from bailee.policy.document import HOSTS, NETWORKS, OPENS
from bailee.usage import document_bounds
from bailee.usage.limits import Scope, organisation_of

_OPENS: Final = {
    "cloud.network_allow": HOSTS,
    "cloud.git_networks": NETWORKS,
    "cloud.egress_networks": NETWORKS,
}
"""Settings, and what of `document.OPENED` each opens."""
MOST_NAMED: Final = 100
"""Limits and lists that are named, at the most."""
_ORGANISATION, _TEAM = Scope.ORGANISATION, Scope.TEAM

PolicyOf = Callable[[str | None], Policy]
"""The policy for an organisation, or for who is of none."""


@dataclass(frozen=True, slots=True)
class ClosedSetting:
    """A setting that goes further than the document that holds: beyond it, it has no effect. `by`:
    the document's key, or its clause.
    """

    setting: str
    by: str


@dataclass(frozen=True, slots=True)
class SettingStanding:
    """How two documents stand to a setting that somebody wrote. `before`, `after`: by which key or
    clause of each it is closed; None: it holds as it is written.
    """

    setting: str
    before: str | None
    after: str | None


def closing(settings: Settings, policy: Policy) -> dict[str, str | None]:
    """Of each written setting that a document has a say in, the key or clause by which it is closed
    where it goes further; None: it goes no further, and holds.
    """
    document = policy.document
    found: dict[str, str | None] = {}
    if settings.text("accounts.sign_up") == "open":
        plans = (settings.text("accounts.sign_up_plans") or "").split(",")
        within = {one.strip() for one in plans} <= {*document.sign_up}
        found["accounts.sign_up_plans"] = None if within else "sign_up"
    if _written(settings, "cloud.network"):
        usual, demand = settings.text("cloud.network") or "", policy.most_network
        narrowed = network.at_most(demand, usual) != usual
        found["cloud.network"] = demand.clause.id if demand and narrowed else None
    for name, what in _OPENS.items():
        if settings.text(name):
            found[name] = None if what in document.cloud_opens else OPENS
    for of, name in bounds.SETTING_OF.items():
        value = settings.values[name]
        if value is not None and _written(settings, name):
            bound = document.bound(of)
            exceeds = bound and bounds.exceeds(bound, value)
            found[name] = bound.clause.id if bound and exceeds else None
    return found


def closed_by(settings: Settings, policy: Policy) -> list[ClosedSetting]:
    """The settings that go further than a document."""
    found = closing(settings, policy)
    return [ClosedSetting(name, by) for name, by in found.items() if by is not None]


def standings(settings: Settings, before: Policy, after: Policy) -> list[SettingStanding]:
    """How two documents stand to each written setting that they have a say in."""
    was, now = closing(settings, before), closing(settings, after)
    return [SettingStanding(name, by, now[name]) for name, by in was.items()]


def use_standings(
    node: Node, before: PolicyOf, after: PolicyOf, organisation: str | None = None
) -> list[SettingStanding]:
    """How documents stand to the limits and lists of models of organisations, where either has less
    than one that was set: by their ids, of one organisation or of all, `MOST_NAMED` at the most.
    """
    closing: list[tuple[str, str, Callable[[Policy], str | None]]] = []
    for limit in node.limits.limits():
        whose = organisation_of(limit.subject)
        closing.append((limit.limit_id, whose, partial(document_bounds.closes, limit=limit)))
    for one in node.limits.lists():
        whose = one.subject.partition("/")[0] if one.scope in (_ORGANISATION, _TEAM) else ""
        names = partial(document_bounds.closes_list, models=one.models)
        closing.append((f"models:{one.scope}:{one.subject}", whose, names))
    found: list[SettingStanding] = []
    for name, whose, closes in closing:
        if not whose or organisation not in (None, whose):
            continue
        was, now = closes(before(whose)), closes(after(whose))
        if was or now:
            found.append(SettingStanding(name, was, now))
        if len(found) == MOST_NAMED:
            break
    return found


def _written(settings: Settings, name: str) -> bool:
    return settings.origin[name] != "default"

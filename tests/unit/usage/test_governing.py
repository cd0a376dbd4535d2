"""Whose requests have to be admitted: a look into memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from bailee.clock import system_clock
from bailee.usage.asking import UsageAsker
from bailee.usage.governing import Governing
from bailee.usage.limit_store import LimitStore
from bailee.usage.limits import Scope, Subject
from bailee.usage.prices import PriceTable

ADA = UsageAsker("key_a", "ada", "acme", "team")
BOB = UsageAsker("key_b", "bob", "", "team")


@dataclass
class _Of:
    subject: object
    scope: str = ""
    models: tuple[str, ...] = ()


@dataclass
class Store:
    """Says what is set; `version` grows with each change."""

    version: int = 0
    limited: list[_Of] = field(default_factory=list)
    listed: list[_Of] = field(default_factory=list)

    def limits(self) -> list[_Of]:
        """The limits."""
        return self.limited

    def lists(self) -> list[_Of]:
        """The lists of models."""
        return self.listed


@dataclass
class Teams:
    """Says who is in which team."""

    version: int = 0
    known: dict[tuple[str, str], str] = field(default_factory=dict)

    def teams(self) -> dict[tuple[str, str], str]:
        """By organisation and person."""
        return dict(self.known)


def test_who_has_a_limit_or_a_list_is_governed_from_when_it_is_set() -> None:
    """Nobody else is; and while what is set was not read yet, everybody."""
    store, teams = Store(), Teams()
    governing = Governing(
        cast(LimitStore, store),
        cast(PriceTable, None),
        system_clock,
        teams,
        serves_unknown=lambda: False,
    )

    def governed() -> list[bool]:
        return [governing.governs(one) for one in (ADA, BOB, ADA)]

    assert [True] * 3 == governed()
    governing._look()
    assert [False] * 3 == governed()
    store.limited.append(_Of(Subject(Scope.PERSON, "ada")))
    store.version += 1
    assert [True] * 3 == governed()
    governing._look()
    assert [True, False, True] == governed()
    store.limited.clear()
    store.listed.append(_Of("team", "plan"))
    store.version += 1
    governing._look()
    assert [True] * 3 == governed()
    store.listed.clear()
    store.limited[:] = [_Of(Subject(Scope.TEAM, "acme/apps"))]
    store.version += 1
    governing._look()
    assert [False] * 3 == governed()
    teams.known["acme", "ada"] = "apps"
    teams.version += 1
    assert [True] * 3 == governed()
    governing._look()
    assert [True, False, True] == governed()

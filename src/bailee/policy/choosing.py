"""Which of the operator's upstreams a request goes to. Pure.

The document chooses by its `reach` clauses: each upstream is asked for, those that it prefers first
and the rest in the operator's order, and the first that no clause refuses is the one.

Rules kept here:

* What is refused everywhere is refused, by the clause that stands last in the document of those
  that refused: it is what the request came furthest by.
* What may hold or name something that a provider stores (files, batches, stored responses,
  containers), and what can't be read, goes to one upstream whatever its model: the caller's first.
  Nothing that is stored at one upstream is asked for at another, unless the facts of the caller
  change.
* A credential of the client's own is for the first upstream, and goes to no other.

Rows: O4, P1.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from bailee.policy.policy import Policy
from bailee.policy.reaching import (
    Reached,
    ReachFacts,
    UpstreamTerms,
    reach,
    reaches_all,
    reaches_any,
)

STAYS: Final = frozenset({"files", "batches", "storage", "code_execution", "other", "unread"})
"""Uses that may leave something at a provider, or ask for it."""


@dataclass(frozen=True, slots=True)
class DeclaredUpstream:
    """An upstream of a channel: how the operator calls it, and what it declares."""

    name: str
    terms: UpstreamTerms


@dataclass(frozen=True, slots=True)
class ChosenUpstream:
    """Where a request goes. `upstream`: the name, None: nowhere. `reached`: what was decided of
    that upstream, or of the one that refused. `elsewhere`: another would have taken it, and
    something that a provider stores does not move.
    """

    upstream: str | None
    reached: Reached
    elsewhere: bool = False


class UpstreamChoice:
    """The choice among a channel's upstreams for who has these facts. Made once for them, asked for
    each request from any thread; it never changes.
    """

    def __init__(
        self, policy: Policy, who: ReachFacts, upstreams: Sequence[DeclaredUpstream]
    ) -> None:
        """`upstreams`: at least one, in the operator's order."""
        self._policy = policy
        self._who = who
        first = policy.document.prefers
        ranked = sorted(
            upstreams, key=lambda one: first.index(one.name) if one.name in first else len(first)
        )
        self._all = tuple(ranked if who.credential == "operator" else upstreams[:1])
        self._open = tuple(
            one for one in self._all if reaches_any(policy, who, one.terms, one.name)
        )
        self.home: Final = self._open[0] if self._open else self._all[0]
        """Where all goes that does not depend on a model."""
        self.certain: Final = reaches_all(policy, who, self.home.terms, self.home.name)
        """Whether every request goes there, whatever it uses."""
        self.nowhere: Final = not self._open
        """Whether no request goes anywhere."""

    def of(
        self, models: Sequence[str], uses: Collection[str], *, stays: bool = False
    ) -> ChosenUpstream:
        """Where a request goes. `models`, `uses`: as `reach` takes them; `stays`: it is on a route
        on which things are stored.
        """
        if stays or not STAYS.isdisjoint(uses):
            found = self._asked(self.home, models, uses)
            if found.allowed:
                return ChosenUpstream(self.home.name, found)
            others = (one for one in self._open if one is not self.home)
            moved = any(self._asked(one, models, uses).allowed for one in others)
            return ChosenUpstream(None, found, elsewhere=moved)
        refused = []
        for one in self._open or self._all:
            found = self._asked(one, models, uses)
            if found.allowed:
                return ChosenUpstream(one.name, found)
            refused.append(found)
        own = () if self._policy.own is None else self._policy.own.every_clause
        order = [one.id for one in (*self._policy.document.clauses["reach"], *own)]
        return ChosenUpstream(None, max(refused, key=lambda one: order.index(one.decision.clause)))

    def _asked(
        self, one: DeclaredUpstream, models: Sequence[str], uses: Collection[str]
    ) -> Reached:
        return reach(self._policy, self._who, one.terms, models, uses, one.name)

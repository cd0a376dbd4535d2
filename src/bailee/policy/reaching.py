"""What an upstream declares of its terms, and whether a request may reach it. Pure.

Rules kept here:

* What is not declared is the worst: kept for ever, trained on, nobody knows where.
* A request that names several models has to be allowed with each; one whose model can't be told,
  with all that the upstream declares.
* Each thing that a request uses is asked for by itself, and the first refusal is the answer.

Rows: O4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bailee.policy.document import Document
from bailee.policy.names import ANYWHERE
from bailee.policy.policy import Decision, Policy

UNDECLARED: Final = "undeclared"
OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class DeclaredTerms:
    """What a provider does with what it is sent on the operator's credential. `days`: for how long
    it keeps it, None: it does not say. `zero_retention`: by agreement it keeps nothing of a
    conversation, whatever it keeps otherwise. `region`: where, empty: it does not say.
    """

    retains: bool
    trains: bool
    days: int | None = None
    region: str = ""
    zero_retention: bool = False

    @property
    def fact(self) -> str:
        """The value of the fact `upstream`."""
        if self.trains:
            return "trains"
        return "keeps_nothing" if self.zero_retention or not self.retains else "keeps"


@dataclass(frozen=True, slots=True)
class UpstreamTerms:
    """An upstream's terms: `usual` (None: it declares none), and those of `models` where they
    differ: how the model's name is, `*` at its end for any end, and its terms. The first that fits
    holds. Names of models are as `usage.models.model_of` gives them.
    """

    usual: DeclaredTerms | None = None
    models: tuple[tuple[str, DeclaredTerms], ...] = ()

    def of(self, model: str) -> DeclaredTerms | None:
        """The terms for a model; None: it declares none."""
        for name, terms in self.models:
            if model == name or (name.endswith("*") and model.startswith(name[:-1])):
                return terms
        return self.usual

    @property
    def every(self) -> tuple[DeclaredTerms | None, ...]:
        """All that may hold, whatever the model."""
        return (self.usual, *(terms for _, terms in self.models))


@dataclass(frozen=True, slots=True)
class ReachFacts:
    """What the policy asks of who makes a request. `credential` is "operator" or "own".
    `residency`: the region that the account demands; `team`: theirs in their organisation, empty:
    none; `client`: the program's name, empty: not known.
    """

    plan: str
    credential: str
    zero_retention: bool
    residency: str = ANYWHERE
    team: str = ""
    client: str = ""


@dataclass(frozen=True, slots=True)
class Reached:
    """What was decided, and of which use."""

    decision: Decision
    use: str

    @property
    def allowed(self) -> bool:
        """Whether the request may go there."""
        return self.decision.effect == "allow"


def reach(  # noqa: PLR0917 - what it asks of is one thing each
    policy: Policy,
    who: ReachFacts,
    upstream: UpstreamTerms,
    models: Sequence[str],
    uses: Iterable[str],
    name: str = "",
) -> Reached:
    """Whether a request may go to an upstream, and by which clause. `models`: those that it names,
    none: it can't be told; `uses`: what it uses besides the conversation. `name`: how the operator
    calls the upstream.
    """
    asked = frozenset(uses) or {"conversation"}
    wanted = [use for use in reversed(list(policy.document.labels["uses"])) if use in asked]
    found = None
    for place in _places(policy.document, upstream, models, name):
        for use in wanted:
            found = Reached(_decide(policy, who, place, str(use)), str(use))
            if not found.allowed:
                return found
    assert found is not None, "there is always a use, and terms that hold"
    return found


def reaches_all(policy: Policy, who: ReachFacts, upstream: UpstreamTerms, name: str = "") -> bool:
    """Whether nothing that a request could use, with any model, would be refused there."""
    return all(_possible(policy, who, upstream, name))


def reaches_any(policy: Policy, who: ReachFacts, upstream: UpstreamTerms, name: str = "") -> bool:
    """Whether there is anything that a request could use, with some model, and go there."""
    return any(_possible(policy, who, upstream, name))


def _possible(
    policy: Policy, who: ReachFacts, upstream: UpstreamTerms, name: str
) -> Iterator[bool]:
    for place in _places(policy.document, upstream, (), name):
        for use in policy.document.labels["uses"]:
            yield _decide(policy, who, place, str(use)).effect == "allow"


@dataclass(frozen=True, slots=True)
class _Place:
    """An upstream, as the policy sees it for one model."""

    upstream: str
    region: str
    model: str
    name: str


def _places(
    document: Document, upstream: UpstreamTerms, models: Sequence[str], name: str
) -> Iterator[_Place]:
    """Each once. Without a model: all that there may be."""
    families = document.models
    if models:
        pairs = [(upstream.of(one), _family(families, one, "other")) for one in models]
    else:
        pairs = [(terms, one) for terms in upstream.every for one in families or ("other",)]
    yield from dict.fromkeys(
        _Place(
            UNDECLARED if terms is None else terms.fact,
            UNDECLARED
            if terms is None or not terms.region
            else _family(document.regions, terms.region.lower(), "elsewhere"),
            model,
            name,
        )
        for terms, model in pairs
    )


def _family(families: Mapping[str, tuple[str, ...]], name: str, other: str) -> str:
    return next((one for one, begins in families.items() if name.startswith(begins)), other)


def named_in(document: Document, fact: str, name: str) -> str:
    """A name as a document's fact: the value that is called so, or `other`."""
    return name if name in document.labels.get(fact, ()) else OTHER


def _decide(policy: Policy, who: ReachFacts, place: _Place, use: str) -> Decision:
    known: dict[str, object] = {
        "plan": who.plan,
        "credential": who.credential,
        "zero_retention": who.zero_retention,
        "upstream": place.upstream,
        "region": place.region,
        "model": place.model,
        "uses": use,
        "residency": who.residency,
        "place": named_in(policy.document, "place", place.name),
        "team": named_in(policy.document, "team", who.team),
        "client": named_in(policy.document, "client", who.client),
    }
    return policy.decide("reach", {fact: known[fact] for fact in policy.document.facts["reach"]})

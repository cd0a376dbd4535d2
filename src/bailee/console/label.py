"""The privacy label of one account: what is kept, how long, for what, linked or not. Pure.

Every line about data is a decision of the policy for this account as it stands now, with the facts
to ask again ("why?"). What the running software takes in is listed, and nothing else.

Rows: R1, T2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from bailee.accounts import Account
from bailee.policy import Decision, Policy
from bailee.policy.amounts import period_in_words
from bailee.policy.diagram import Configuration
from bailee.policy.document import Language
from bailee.policy.names import ANYWHERE
from bailee.policy.period import NOTHING
from bailee.policy.reaching import ReachFacts, UpstreamTerms, reaches_any
from bailee.policy.wording import upstream_in_words

KEPT: Final = "transcript_kept"
# flow → the data class that it brings in
_BRINGS: Final[Mapping[str, str]] = {
    "metrics": "metric",
    "errors": "error_event",
    "bug_report": "feedback_report",
    "survey": "survey_rating",
}


@dataclass(frozen=True, slots=True)
class LabelLine:
    """One kind of data. `linked`, `purposes` and `going` are names in the catalogue; `facts`: what
    was asked of the policy, for "why?".
    """

    data_class: str
    kept: str
    clause: str
    facts: Mapping[str, str]
    linked: str
    purposes: tuple[str, ...]
    going: str


@dataclass(frozen=True, slots=True)
class UpstreamLine:
    """What a model's service declares to keep: its channel in the policy, its name or host,
    its terms in words, and whether it declares any.
    """

    channel: str
    name: str
    terms: str
    declared: bool


@dataclass(frozen=True, slots=True)
class Label:
    """An account's lines, the decision about training that holds for what it does now, and what
    the models' services keep of what is sent on. `residency`: the region that it is answered from
    alone, if one is demanded.
    """

    lines: tuple[LabelLine, ...]
    training: Decision
    training_facts: Mapping[str, str]
    upstreams: tuple[UpstreamLine, ...] = ()
    residency: str | None = None


def label(policy: Policy, account: Account, running: Configuration, language: Language) -> Label:
    """The label of an account, on the first-party channel, with a key without zero retention:
    an organisation's page says so. Of the upstreams those that a clause lets it reach.
    """
    facts = _facts(account)
    used: dict[str, str | bool] = {
        **facts,
        "data_class": "transcript",
        "active_since_choice": True,
    }
    trained = policy.decide("train", used)
    known = policy.document.labels.get("residency", (ANYWHERE,))
    who = ReachFacts(
        account.plan, "operator", zero_retention=False, residency=account.residency or ANYWHERE
    )
    return Label(
        tuple(_lines(policy, account, running, language, trained)),
        trained,
        _asked(used) | _whose(policy, account),
        tuple(
            UpstreamLine(
                one.channel,
                one.name,
                _sentence(one.terms, language),
                one.terms.usual is not None or bool(one.terms.models),
            )
            for one in running.upstreams
            if who.residency in known and reaches_any(policy, who, one.terms, one.upstream)
        ),
        account.residency if account.residency in known else None,
    )


def _sentence(terms: UpstreamTerms, language: Language) -> str:
    """What an upstream declares, with its first letter large unless a model's name comes first."""
    said = upstream_in_words(terms, language)
    named = terms.usual is None and terms.models
    return said if named else said[:1].upper() + said[1:]


def _lines(
    policy: Policy,
    account: Account,
    running: Configuration,
    language: Language,
    trained: Decision,
) -> Iterator[LabelLine]:
    purposes = ("serving", "training") if trained.effect == "allow" else ("serving", "no_training")
    held: list[tuple[str, str, tuple[str, ...], str]] = [
        ("transcript", "linked", purposes, "sessions")
    ]
    if KEPT in policy.document.labels["data_class"] and not account.no_keeping:
        held.append((KEPT, "linked", ("keeping",), "released"))
    kinds: Mapping[str, tuple[str, tuple[str, ...], str]] = {
        "metric": ("unlinked", ("operating",), "nothing_to_find"),
        "error_event": ("unlinked", ("operating",), "nothing_to_find"),
        "feedback_report": ("linked", ("feedback",), "reports"),
        "survey_rating": ("unlinked", ("feedback",), "nothing_to_find"),
    }
    held += [
        (data_class, *kinds[data_class])
        for flow, data_class in _BRINGS.items()
        if flow in running.takes_in
    ]
    held.append(("usage_count", "linked", ("operating",), "erase"))
    held.append(("local_transcript", "elsewhere", ("resuming",), "own_machine"))
    for data_class, linked, purpose, going in held:
        asked = {**_facts(account), "data_class": data_class}
        decision = policy.decide("retain", asked)
        if data_class == KEPT and decision.terms is None:
            continue
        kept = period_in_words(decision.retention or NOTHING, language)
        why = _asked(asked) | _whose(policy, account)
        yield LabelLine(data_class, kept, decision.clause, why, linked, purpose, going)


def _facts(account: Account) -> dict[str, str | bool]:
    facts: dict[str, str | bool] = asdict(account.facts(zero_retention=False))
    return facts


def _whose(policy: Policy, account: Account) -> dict[str, str]:
    """Whose own document has a say in it, where one has."""
    its = account.organisation_id
    return {} if policy.own is None or its is None else {"organisation": its}


def _asked(facts: Mapping[str, str | bool]) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in facts.items()
    }

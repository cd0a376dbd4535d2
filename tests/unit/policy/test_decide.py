"""Decisions never guess."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.errors import InputError
from bailee.policy import Decision, Policy, Unsound, load
from bailee.policy.actions import ACTIONS
from bailee.policy.check import facts_of
from bailee.policy.facts import Facts
from bailee.policy.loading import content, from_bytes

POLICY = load()
RETAIN: dict[str, object] = {
    "data_class": "transcript",
    "plan": "pro",
    "channel": "api",
    "training_choice": "allowed",
    "zero_retention": False,
    "partner_programme": False,
}
SEND: dict[str, object] = {"flow": "metrics", "provider": "api", "env": {}}


def retained(facts: dict[str, Any]) -> Decision:
    """The same decision by `retain`."""
    of = {name: value for name, value in facts.items() if name != "data_class"}
    return POLICY.retain(facts["data_class"], Facts(**of))


JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([0.0, 1.0, "", "1", "true", "none", "allowed", "api", "PRO", "pro ", b"pro"]),
    st.just([]),
    st.just({}),
    st.just({"DISABLE_TELEMETRY": 1}),
    st.just({"disable_telemetry": "1"}),
    st.just(["pro"]),
)


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, dict[str, object]]:
    """Facts of an action that are mostly right: some missing, foreign or of junk value."""
    action = draw(st.sampled_from(list(ACTIONS)))
    space = POLICY.document.spaces[action]
    facts = facts_of(action, space.combination(draw(st.integers(0, space.size - 1))))
    for name in draw(st.lists(st.sampled_from(sorted(facts)), max_size=2)):
        if draw(st.booleans()):
            facts.pop(name, None)
        else:
            facts[name] = draw(JUNK)
    if draw(st.booleans()):
        facts[draw(st.sampled_from(["segment", "env", "plan", "", "Plan"]))] = draw(JUNK)
    return action, facts


def right(action: str, facts: dict[str, object]) -> bool:
    """Whether the facts are exactly the action's, each of its type and values."""
    known = ACTIONS[action]
    space = POLICY.document.spaces[action]
    taken = POLICY.document.facts[action]
    if set(facts) != {*taken, *(["env"] if known.env else [])}:
        return False
    for name in taken:
        domain = space.domains[name]
        if not any(type(facts[name]) is type(one) and facts[name] == one for one in domain):
            return False
    env = facts.get("env", {})
    return isinstance(env, dict) and all(
        name in POLICY.document.switches and type(value) is str for name, value in env.items()
    )


@pytest.mark.row("P1", "P2")
@given(questions())
def test_a_decision_is_made_for_right_facts_and_no_others(
    question: tuple[str, dict[str, object]],
) -> None:
    """Right facts always get a decision; anything else is an InputError, the second time too."""
    action, facts = question
    for _ in range(2):
        if right(action, facts):
            assert POLICY.explain(action, facts).decision == POLICY.decide(action, facts)
        else:
            with pytest.raises(InputError):
                POLICY.decide(action, facts)


@pytest.mark.parametrize("lookalike", [1, 0, 1.0, "true", "false", None])
@pytest.mark.parametrize("flag", ["zero_retention", "partner_programme"])
def test_yes_and_no_are_not_numbers(flag: str, lookalike: object) -> None:
    """1 equals True in Python; in a fact it does not, whatever is in the table already."""
    for value in (True, False):
        POLICY.decide("retain", {**RETAIN, flag: value})
    with pytest.raises(InputError):
        POLICY.decide("retain", {**RETAIN, flag: lookalike})
    with pytest.raises(InputError):
        retained({**RETAIN, flag: lookalike})  # type: ignore[arg-type]


def test_every_fact_must_be_given() -> None:
    """Each missing fact is named."""
    for name in RETAIN:
        facts = {fact: value for fact, value in RETAIN.items() if fact != name}
        with pytest.raises(InputError, match=f"The fact {name} is missing"):
            POLICY.decide("retain", facts)
    with pytest.raises(InputError, match="The fact env is missing"):
        POLICY.decide("send", {"flow": "metrics", "provider": "api"})


def test_a_fact_of_another_action_is_refused() -> None:
    """A fact that the action does not have is an error, not ignored."""
    with pytest.raises(InputError, match="'active_since_choice' is not a fact of retain"):
        POLICY.decide("retain", {**RETAIN, "active_since_choice": True})


@pytest.mark.parametrize("action", ["", "Retain", "delete", None, 1, [], {}])
def test_an_unknown_action_is_refused(action: Any) -> None:
    """What is not an action is not decided."""
    with pytest.raises(InputError, match="no such action"):
        POLICY.decide(action, RETAIN)


@pytest.mark.parametrize("facts", [None, [], "retain", 5])
def test_facts_must_be_an_object(facts: Any) -> None:
    """What is not an object of facts is refused."""
    with pytest.raises(InputError):
        POLICY.decide("retain", facts)


@pytest.mark.parametrize(
    "env",
    [
        None,
        [],
        "DISABLE_TELEMETRY",
        {"DISABLE_TELEMETRY": True},
        {"DISABLE_TELEMETRY": None},
        {"DISABLE_TELEMETRY": 1},
        {"disable_telemetry": "1"},
        {"PATH": "/bin"},
        {1: "1"},
    ],
)
def test_env_holds_switches_with_string_values(env: Any) -> None:
    """A variable that is no switch, or a value that is no string, is an error."""
    with pytest.raises(InputError):
        POLICY.decide("send", {**SEND, "env": env})


def test_an_error_never_shows_a_value_of_the_environment() -> None:
    """What a variable holds could be a secret; what it is called is told."""
    secret = "sk-very-secret"
    for env in ({"DISABLE_TELEMETRY": [secret]}, {"TOKEN": secret}):
        with pytest.raises(InputError) as caught:
            POLICY.decide("send", {**SEND, "env": env})
        assert secret not in f"{caught.value.message} {caught.value.hint}"


def test_a_long_name_is_cut_in_an_error() -> None:
    """An error stays one short line whatever was given."""
    with pytest.raises(InputError) as caught:
        POLICY.decide("retain", {**RETAIN, "plan": "x" * 100_000})
    assert len(caught.value.message) < 100


def test_a_string_enum_is_a_string() -> None:
    """Callers may keep their vocabulary in enums."""

    class Plan(StrEnum):
        PRO = "pro"

    expected = POLICY.decide("retain", RETAIN)
    assert expected == POLICY.decide("retain", {**RETAIN, "plan": Plan.PRO})


def test_keyword_calls_decide_as_facts_do() -> None:
    """The keyword forms are the same decisions."""
    train = {**RETAIN, "active_since_choice": True}
    assert POLICY.decide("retain", RETAIN) == retained(RETAIN)
    assert POLICY.decide("train", train) == POLICY.train(**train)  # type: ignore[arg-type]
    assert POLICY.decide("send", SEND) == POLICY.send(flow="metrics", provider="api", env={})


def test_a_decision_cannot_be_changed() -> None:
    """A decision is shared by all who asked; nobody can alter it."""
    decision = POLICY.decide("retain", RETAIN)
    with pytest.raises(AttributeError):
        decision.retention = "P0D"  # type: ignore[misc]


@pytest.mark.row("T3")
def test_a_document_may_have_work_wait_for_the_choice() -> None:
    """For who is asked, whoever else; and nobody else waits, nor is asked, in any document."""
    waiting = content().replace(b'then = "ask"', b'then = "require"')
    document = from_bytes(waiting, "ours.toml")
    who = {"plan": "pro", "phase": "after_deadline", "arrival": "existing"}
    open_, made = (document.choose(training_choice=one, **who) for one in ("none", "refused"))
    assert ("require", True) == (open_.effect, open_.asks)
    assert ("skip", False) == (made.effect, made.asks)
    assert document.may_require_choice and not POLICY.may_require_choice
    for effect in (b"ask", b"require"):
        for clause in (b"choose.commercial", b"choose.made", b"choose.not-yet"):
            at = waiting.index(b'"%s"' % clause)
            wrong = waiting[:at] + waiting[at:].replace(b'"skip"', b'"%s"' % effect, 1)
            with pytest.raises(Unsound) as unsound:
                from_bytes(wrong, "ours.toml")
            told = " ".join(str(one) for one in unsound.value.problems)
            assert "only-undecided-consumers-are-asked" in told


@pytest.mark.row("T3")
@pytest.mark.parametrize(
    ("day", "phase"),
    [
        (date(2025, 8, 27), "before_choice"),
        (date(2025, 8, 28), "deciding"),
        (date(2025, 10, 8), "deciding"),
        (date(2025, 10, 9), "after_deadline"),
    ],
)
def test_the_dates_make_the_phase(policy: Policy, day: date, phase: str) -> None:
    """The choice exists from its first day, and the last day still counts."""
    assert phase == policy.phase(day)


@pytest.mark.row("R3")
def test_the_local_setting_shortens_and_never_lengthens(policy: Policy) -> None:
    """30 days unless set; 0 keeps none; more than the largest is refused."""
    assert 30 == policy.local_transcript_days(None)
    assert 0 == policy.local_transcript_days(0)
    assert 7 == policy.local_transcript_days(7)
    for wrong in (31, -1, True, "7", 7.0):
        with pytest.raises(InputError):
            policy.local_transcript_days(wrong)  # type: ignore[arg-type]


@given(questions())
def test_an_explanation_accounts_for_every_earlier_clause(
    question: tuple[str, dict[str, object]],
) -> None:
    """Each clause before the one that decided is there, with a fact that truly failed."""
    action, facts = question
    if not right(action, facts):
        return
    found = POLICY.explain(action, facts)
    earlier = []
    for clause in POLICY.document.clauses[action]:
        if clause.id == found.decision.clause:
            break
        earlier.append(clause)
    assert earlier == [one.clause for one in found.passed_over]
    for one in found.passed_over:
        assert found.facts[one.fact] == one.actual
        assert one.actual not in one.wanted

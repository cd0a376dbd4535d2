"""Every decision of the shipped policy against the promises, written out again in plain Python."""

from __future__ import annotations

from itertools import chain, product

import pytest

from bailee.policy import Policy
from bailee.policy.proof import reaches
from bailee.policy.space import Region, Value

PLANS = ("free", "pro", "max", "team", "enterprise", "api", "third_party", "gov")
CONSUMER = ("free", "pro", "max")
CHANNELS = ("api", "bedrock", "vertex", "openai", "google", "azure", "foundry")
CHOICES = ("allowed", "refused", "none")
CLASSES = (
    "transcript",
    "transcript_kept",
    "feedback_report",
    "survey_rating",
    "metric",
    "error_event",
    "local_transcript",
    "local_transcript_kept",
    "cloud_workspace",
    "cloud_output",
    "cloud_diff",
    "egress_record",
    "usage_count",
    "person_request",
)
LIKE_A_TRANSCRIPT = ("transcript", "cloud_output", "cloud_diff")
YES_NO = (True, False)
SWITCHES_OF = {
    "metrics": ("DISABLE_TELEMETRY", "DO_NOT_TRACK"),
    "errors": ("DISABLE_ERROR_REPORTING",),
    "bug_report": ("DISABLE_BUG_COMMAND", "DISABLE_FEEDBACK_COMMAND"),
    "survey": (),
}
ALL_OFF = (
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
)
SWITCHES = (*chain.from_iterable(SWITCHES_OF.values()), *ALL_OFF)


def kept(data_class: str, plan: str, choice: str, zero: bool) -> str:
    """How long something is kept."""
    if data_class in LIKE_A_TRANSCRIPT:
        if zero:
            return "P0D"
        return "P5Y" if plan in CONSUMER and choice == "allowed" else "P30D"
    if data_class in ("feedback_report", "survey_rating"):
        return "P5Y"
    if data_class == "transcript_kept":
        return "P0D" if zero else "P1Y"
    if data_class == "local_transcript_kept":
        return "P1Y"
    if data_class == "usage_count":
        return "P13M"
    if data_class == "person_request":
        return "P3Y"
    if data_class == "egress_record" and zero:
        return "P0D"
    return "P0D" if data_class == "cloud_workspace" else "P30D"


def trained(
    data_class: str, plan: str, channel: str, choice: str, zero: bool, partner: bool, active: bool
) -> bool:
    """Whether something may improve models."""
    if data_class != "transcript" or zero or not active:
        return False
    if plan in CONSUMER:
        return choice == "allowed"
    return partner and channel == "api"


def sent(flow: str, provider: str, env: dict[str, str]) -> bool:
    """Whether a flow may leave the machine."""
    if provider != "api" or any(env.get(name) for name in ALL_OFF):
        return False
    return not any(env.get(name) for name in SWITCHES_OF[flow])


@pytest.mark.row("R1", "R2", "F1", "F3", "P1", "C4")
def test_retention_is_what_was_promised(policy: Policy) -> None:
    """For every combination, what is kept is kept exactly as long as promised."""
    count = 0
    for data_class, plan, channel, choice, zero, partner in product(
        CLASSES, PLANS, CHANNELS, CHOICES, YES_NO, YES_NO
    ):
        decision = policy.decide(
            "retain",
            {
                "data_class": data_class,
                "plan": plan,
                "channel": channel,
                "training_choice": choice,
                "zero_retention": zero,
                "partner_programme": partner,
            },
        )
        assert ("keep", kept(data_class, plan, choice, zero)) == (
            decision.effect,
            decision.retention,
        )
        assert policy.sha256 == decision.document
        count += 1
    assert policy.document.spaces["retain"].size == count


@pytest.mark.row("T2", "T3", "T4", "T5", "T6", "F3", "P1")
def test_training_is_what_was_promised(policy: Policy) -> None:
    """For every combination, what is trained on is what was offered."""
    count = 0
    for data_class, plan, channel, choice, zero, partner, active in product(
        CLASSES, PLANS, CHANNELS, CHOICES, YES_NO, YES_NO, YES_NO
    ):
        decision = policy.decide(
            "train",
            {
                "data_class": data_class,
                "plan": plan,
                "channel": channel,
                "training_choice": choice,
                "zero_retention": zero,
                "partner_programme": partner,
                "active_since_choice": active,
            },
        )
        expected = trained(data_class, plan, channel, choice, zero, partner, active)
        assert ("allow" if expected else "deny", None) == (decision.effect, decision.retention)
        count += 1
    assert policy.document.spaces["train"].size == count


@pytest.mark.row("S1", "S2", "S3", "S4", "S5", "P1")
@pytest.mark.parametrize("set_to", ["1", "0", "false", " "])
def test_sending_is_what_was_promised(policy: Policy, set_to: str) -> None:
    """For every combination of the switches that have a say in a flow, absent, empty or set to
    anything, the flow is on or off; each with all other switches absent, and with all set.
    """
    for flow, own in SWITCHES_OF.items():
        read = (*own, *ALL_OFF)
        others = dict.fromkeys((one for one in SWITCHES if one not in read), set_to)
        for provider, states in product(CHANNELS, product((None, "", set_to), repeat=len(read))):
            env = {n: state for n, state in zip(read, states, strict=True) if state is not None}
            for given in (env, env | others):
                decision = policy.send(flow=flow, provider=provider, env=given)
                assert ("allow" if sent(flow, provider, given) else "deny") == decision.effect


@pytest.mark.row("S1", "S2", "S3", "S4", "S5", "P1")
def test_no_other_switch_has_a_say(policy: Policy) -> None:
    """Over all combinations: what may be sent is exactly what the promises say, written as sets.
    With the test above this is every combination of every switch.
    """
    space = policy.document.spaces["send"]
    promised = Region(())
    for flow, own in SWITCHES_OF.items():
        on: list[tuple[str, tuple[Value, ...]]] = [("flow", (flow,)), ("provider", ("api",))]
        on += [(name, ("absent", "empty")) for name in (*own, *ALL_OFF)]
        promised = promised | space.matching(on)
    sends = Region(())
    for reach in reaches(policy.document, "send"):
        if reach.clause.effect == "allow":
            sends = sends | reach.decides
    assert promised == sends
    assert len(SWITCHES_OF) * len(CHANNELS) * 3 ** len(SWITCHES) == space.size


@pytest.mark.row("T3")
def test_asking_is_what_was_promised(policy: Policy) -> None:
    """Exactly the consumers are asked who can choose and have not."""
    for plan, choice, phase, arrival in product(
        PLANS,
        CHOICES,
        ("before_choice", "deciding", "after_deadline"),
        ("new", "existing"),
    ):
        decision = policy.choose(plan=plan, training_choice=choice, phase=phase, arrival=arrival)
        expected = plan in CONSUMER and choice == "none" and phase != "before_choice"
        assert ("ask" if expected else "skip") == decision.effect


@pytest.mark.row("G2", "P1")
def test_passing_is_what_was_promised(policy: Policy) -> None:
    """For every combination: conversations always, counting and models but from a cloud session,
    anything else with a credential of the client's own or for an account that was named.
    """
    count = 0
    for route, credential, named, cloud in product(
        ("conversation", "counting", "models", "other"), ("operator", "own"), YES_NO, YES_NO
    ):
        decision = policy.passes(
            route=route, credential=credential, unrecorded_routes=named, cloud_session=cloud
        )
        lent = route != "other" or credential == "own" or named
        expected = route == "conversation" or (lent and not cloud)
        assert ("allow" if expected else "deny") == decision.effect
        assert decision.clause.startswith("pass.")
        count += 1
    assert policy.document.spaces["pass"].size == count


@pytest.mark.row("O4", "R2", "P1")
def test_reaching_is_what_was_promised(policy: Policy) -> None:
    """For every combination: a zero-retention key on the operator's credential holds conversations
    where nothing is kept, and does nothing else; every other key what it asks for; and who demands
    a region is answered from there alone, on whatever credential.
    """
    document = policy.document
    upstreams = ("keeps_nothing", "keeps", "trains", "undeclared")
    tools = ("code_execution", "mcp_connector", "web_search", "other")
    uses = ("conversation", "files", "batches", "storage", *tools, "unread")
    count = 0
    for plan, credential, upstream, use, model, region, demanded, zero in product(
        PLANS,
        ("operator", "own"),
        upstreams,
        uses,
        document.labels["model"],
        ("us", "eu", "elsewhere", "undeclared"),
        ("anywhere", "us", "eu"),
        YES_NO,
    ):
        facts = {"plan": plan, "credential": credential, "upstream": upstream, "uses": use}
        decision = policy.decide(
            "reach",
            {
                **facts,
                "model": model,
                "region": region,
                "residency": demanded,
                "zero_retention": zero,
            },
        )
        strict = zero and credential == "operator"
        expected = not strict or (upstream, use) == ("keeps_nothing", "conversation")
        expected = expected and demanded in ("anywhere", region)
        assert ("allow" if expected else "deny") == decision.effect
        assert decision.clause.startswith("reach.")
        count += 1
    assert policy.document.spaces["reach"].size == count


@pytest.mark.row("R5", "R6", "G2")
def test_what_goes_on_is_kept_unless_it_was_deleted(policy: Policy) -> None:
    """For every combination: nothing of a deleted session, nor of who was erased."""
    for deleted, erased in product(YES_NO, YES_NO):
        decision = policy.resumes(session_deleted=deleted, account_erased=erased)
        assert ("drop" if deleted or erased else "keep") == decision.effect
        assert decision.clause.startswith("resume.")

"""The shipped versions of the document: each is sound, has its page, and says what its day said."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from bailee.policy import Policy, Unsound, load
from bailee.policy.check import check
from bailee.policy.diff import compare
from bailee.policy.facts import ClientFacts
from bailee.policy.loading import PROVED, SHIPPED, VERSIONS, content
from bailee.policy.markdown import render
from bailee.policy.page import page
from bailee.policy.parsing import read
from bailee.policy.proof import problems, reaches
from bailee.policy.space import Region, Value

LATEST = "2026-08-22"
Facts = list[tuple[str, tuple[Value, ...]]]


@pytest.fixture(scope="module")
def versions() -> dict[str, Policy]:
    """The policies by version."""
    return {version: load(Path(version)) for version in VERSIONS}


@pytest.fixture(scope="module")
def latest(versions: dict[str, Policy]) -> Policy:
    """The newest, which has all that the format can say."""
    return versions[LATEST]


@pytest.mark.row("P2", "P3", "P5")
@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_is_checked_whole_and_has_its_page(version: str) -> None:
    """All combinations are decided; the page, in both languages, has every clause."""
    made = check(content(Path(version)), version)
    assert version == made.policy.version
    assert made.combinations == sum(one.size for one in made.policy.document.spaces.values())
    for language in ("en", "zh"):
        text = render(page(made.policy, language))
        for clause in made.policy.document.every_clause:
            assert clause.id in text


def test_what_a_start_does_not_prove_is_proved_here() -> None:
    """Exactly the shipped bytes are taken as proved, and each of them is sound."""
    for version in VERSIONS:
        assert list(problems(read(content(Path(version)), version))) == []
    assert {load(Path(version)).sha256 for version in VERSIONS} == PROVED


def test_versions_are_in_order_and_one_holds() -> None:
    """By their days; the one that holds where none is named is among them."""
    assert sorted(VERSIONS) == list(VERSIONS)
    assert SHIPPED.removesuffix(".toml") in VERSIONS
    assert load().sha256 == load(Path("2025-10-27")).sha256


@pytest.mark.row("P5", "F1", "F3", "T3")
def test_what_changed_from_version_to_version(versions: dict[str, Policy]) -> None:
    """The last day to choose, how long reports are kept, from when there is a survey."""
    told = {}
    for name, policy in versions.items():
        kept = [
            policy.decide(
                "retain",
                {
                    "data_class": data_class,
                    "plan": "pro",
                    "channel": "api",
                    "training_choice": "none",
                    "zero_retention": False,
                    "partner_programme": False,
                },
            ).retention
            for data_class in ("feedback_report", "survey_rating", "transcript")
        ]
        asked = policy.send(flow="survey", provider="api", env={}).effect
        told[name] = (policy.document.decide_by.isoformat(), *kept, asked)
    assert {
        "2025-08-28": ("2025-09-28", "P30D", "P0D", "P30D", "deny"),
        "2025-10-17": ("2025-10-08", "P5Y", "P0D", "P30D", "deny"),
        "2025-10-27": ("2025-10-08", "P5Y", "P5Y", "P30D", "allow"),
        LATEST: ("2025-10-08", "P5Y", "P5Y", "P30D", "allow"),
    } == told


@pytest.mark.row("P5", "S4", "S5")
def test_what_the_latest_version_sends_is_what_its_day_said(latest: Policy) -> None:
    """Over all its combinations, some hundred millions: what may be sent is exactly this."""
    document = latest.document
    space = document.spaces["send"]
    nothing = "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"
    telemetry = (nothing, "DISABLE_TELEMETRY", "DO_NOT_TRACK")
    survey = (*telemetry, "CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY")
    selecting = tuple(one.selected_by for one in document.providers.values() if one.selected_by)
    signed_in = ("subscription", "organisation", "key", "nobody")  # not at a gateway
    first: Facts = [("provider", ("api",)), *((one, ("absent", "empty")) for one in selecting)]
    hosted: Facts = [
        ("provider", ("vertex", "bedrock", "foundry", "anthropic_aws")),
        ("CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST", ("set",)),
    ]
    subscribed: Facts = [("sign_in", ("subscription",)), ("client_version", ("current",))]
    expected: list[tuple[str, tuple[str, ...], Facts]] = [
        ("metrics", telemetry, [*first, ("sign_in", signed_in)]),
        ("metrics", telemetry, [*hosted, ("sign_in", signed_in)]),
        ("errors", (nothing, "DISABLE_ERROR_REPORTING"), [*first, *subscribed]),
        ("bug_report", (nothing, "DISABLE_BUG_COMMAND", "DISABLE_FEEDBACK_COMMAND"), first),
        ("feature_flags", telemetry, first),
        ("survey", survey, [("sign_in", signed_in)]),
        ("shared_transcript", survey, [("sign_in", signed_in)]),
        ("web_fetch_host", ("skipWebFetchPreflight",), []),
    ]
    said = Region(())
    for flow, off, on in expected:
        quiet: Facts = [(one, ("absent", "empty")) for one in off]
        said = said | space.matching([("flow", (flow,)), *on, *quiet])
    sends = Region(())
    for reach in reaches(document, "send"):
        if reach.clause.effect == "allow":
            sends = sends | reach.decides
    assert space.size > 500_000_000
    assert said == sends


@pytest.mark.row("P5", "R2")
def test_what_was_shared_is_kept_six_months_or_not_at_all(latest: Policy) -> None:
    """For every plan and choice; nothing of it is trained on, whoever it is from."""
    document = latest.document
    for plan, choice, zero in product(
        document.plans, ("allowed", "refused", "none"), (True, False)
    ):
        facts = {
            "data_class": "shared_transcript",
            "plan": plan,
            "channel": "api",
            "training_choice": choice,
            "zero_retention": zero,
            "partner_programme": True,
        }
        assert ("P0D" if zero else "P6M") == latest.decide("retain", facts).retention
        assert "deny" == latest.decide("train", {**facts, "active_since_choice": True}).effect


@pytest.mark.row("S2", "P5")
@pytest.mark.parametrize(
    ("version", "sent"),
    [
        ("2.0", True),
        ("2.1.332", True),
        ("v2.0.0-beta", True),
        ("1.9.99", False),
        ("0.1.0", False),
        ("", False),
        ("new", False),
        (None, False),
    ],
)
def test_a_default_goes_by_the_version_of_the_client(
    latest: Policy, version: str | None, sent: bool
) -> None:
    """From its version on; one that is not known counts as the oldest."""
    client = ClientFacts("subscription", version)
    decision = latest.send(flow="errors", provider="api", env={}, client=client)
    assert sent == (decision.effect == "allow")


def test_a_document_that_does_not_ask_about_clients_is_not_told(policy: Policy) -> None:
    """Who is signed in how is nothing to it: given as a fact, it is refused."""
    told = policy.sending("metrics", "api", {}, ClientFacts("gateway", "2.0"))
    assert {"flow": "metrics", "provider": "api", "env": {}} == told
    assert "allow" == policy.decide("send", told).effect


@pytest.mark.row("P3", "P5")
def test_a_fact_that_only_one_version_reads_is_compared_over_all_its_values(
    versions: dict[str, Policy], latest: Policy
) -> None:
    """Errors are still sent of subscribers' current clients, and of nobody else."""
    found = compare(versions["2025-10-27"].document, latest.document)
    errors = [
        one
        for one in found.changes
        if one.who.get("flow") == ("errors",) and one.after == ("deny", None)
    ]
    assert {("earlier",), None} == {one.who.get("client_version") for one in errors}
    back = compare(latest.document, versions["2025-10-27"].document)
    assert sum(one.combinations for one in found.changes) == sum(
        one.combinations for one in back.changes
    )
    assert "sign_in gateway" in found.added
    assert "sign_in gateway" in back.removed


@pytest.mark.row("P2")
@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('send = ["sign_in"', 'send = ["plan"', "'plan' is no fact that send can read besides"),
        ('send = ["sign_in"', 'sent = ["sign_in"', "'sent' is not a key that belongs here"),
        ('from = "2.0", en', "en", "from is missing here"),
        ('from = "2.0"', 'from = "two"', "'two' is not a version"),
        ("setting = true, en", "setting = false, en", "can't be an environment variable of ours"),
        ("setting = true, en", 'setting = "true", en', "setting must be true or false"),
        ("SURVEY = { en", "SURVEY = { setting = true, en", "can't be a key of a settings file"),
        ("gateway = { en", "portal = { en", "sign_ins lacks 'gateway'"),
        (
            'also_off = [{ sign_in = "gateway"',
            'also_off = [{ sign_in = "x"',
            "sign_in can't be 'x'",
        ),
        ('also_off = [{ sign_in = "gateway" }]\n', "", "against its defaults and switches"),
        ("also_on = [", "also_if = [", "'also_if' is not a key that belongs here"),
        (
            'CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST = "set", provider = ["bedrock", ',
            'CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST = "set", provider = [',
            "The flow metrics is on for flow=metrics, provider=bedrock",
        ),
    ],
)
def test_what_the_format_can_say_is_read_strictly(
    refused: Callable[[str], Unsound], old: str, new: str, reason: str
) -> None:
    """Each of it that is wrong is refused with its reason."""
    text = content(Path(LATEST)).decode()
    assert old in text
    reasons = [one.reason for one in refused(text.replace(old, new, 1)).problems]
    assert any(reason in one for one in reasons), reasons

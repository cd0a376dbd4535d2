"""An organisation's own document: on record, in force at once, for what is there and what comes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bailee.accounts import OPERATOR, Account
from bailee.app.access import GatewayPolicyAccess
from bailee.app.feedback import ReportPolicyAccess
from bailee.app.signing_in import settings_of
from bailee.app.telemetry import TelemetryPolicyAccess
from bailee.errors import BaileeError, InputError
from bailee.gateway.access import NothingKept
from bailee.node.own_policies import WantedChange
from bailee.policy.own import LARGEST
from bailee.policy.reaching import DeclaredTerms, ReachFacts, UpstreamTerms, reach
from bailee.testing.tampering import tamper
from support.asked_routes import FILES, MESSAGES
from support.clients.asking import perform
from support.documents import LONGER, edited
from support.homes.captured import begun
from support.homes.places import Place
from support.own_documents import OF_THEIR_OWN, kept, own

pytestmark = pytest.mark.row("P1", "P2", "R1")
NAMES = [f"{n}{n}{n}{n}{n}{n}{n}{n}-32a5-4d0c-8f0b-0d7c3d1c1a11" for n in range(3)]
WHY = "the works council asked"
SHORTER = (
    ('for = "P30D"\nen = "Commercial', 'for = "P3D"\nen = "Commercial'),
    ('exactly = "P30D"\nen = "All other', 'at_most = "P30D"\nen = "All other'),
)


class Firm(Place):
    """A home with a consumer, and with an organisation that has an owner, a member and a key."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        made = self.ask("organisation.create", name="Acme", plan="team")
        self.organisation, self.firm = made["organisation"], made["account"]
        self.keys = {}
        for role in ("owner", "member"):
            person = self.ask("person.create", email=f"{role}@x.example", plan="pro")
            self.keys[role] = person["key"]
            self.ask(
                "organisation.member",
                organisation=self.organisation,
                person=person["person"],
                role=role,
            )
        made = self.ask("key.create", name="ci", organisation=self.organisation)
        self.key, self.key_id = made["key"], made["key_id"]

    @property
    def its(self) -> Account:
        """The organisation's account."""
        return self.node.accounts.get(self.firm)

    def ask(self, operation: str, **values: object) -> Any:
        """Ask as the operator, or with a key."""
        return perform(self.node, operation, values)

    def own(self, document: str | None, **given: object) -> Any:
        """An owner has a document hold, or removes it."""
        self.clock.advance(timedelta(minutes=1))
        asked = {"organisation": self.organisation, "reason": WHY, "key": self.keys["owner"]}
        if document is None:
            return self.ask("organisation.policy_remove", **{**asked, **given})
        return self.ask("organisation.policy_set", document=document, **{**asked, **given})

    def use(self, session: str) -> None:
        """The organisation begins or resumes a session."""
        self.clock.advance(timedelta(minutes=1))
        self.end(begun(self.node, self.firm, session, "hello"))

    def periods(self) -> dict[str, str]:
        """How long each session is kept, and by which clause."""
        return {name: row.period for name, row in self.sessions().items()}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Firm]:
    """A home of its own."""
    made = Firm(tmp_path / "home")
    yield made
    made.close()


@pytest.mark.row("P4", "R4")
def test_what_is_there_goes_sooner_and_stays_no_longer(place: Firm) -> None:
    """What is new or gone on with is on the document that holds; of what is there what is shorter
    follows at once. Once it is removed, only what is gone on with is on the operator's again. It is
    as it was after a new start, on record with who and why, and no other account is concerned.
    """
    place.use(NAMES[0])
    place.end(place.begin(NAMES[2]))
    tried = place.ask("organisation.policy_try", organisation=place.organisation, document=kept(7))
    assert ("none", 1, 1) == (
        tried["before"],
        tried["trial"]["sessions"],
        tried["trial"]["changed_sessions"],
    )
    made = place.own(kept(7), against="none")
    place.use(NAMES[1])
    assert dict(zip(NAMES, ("P7D", "P7D", "P30D"), strict=True)) == place.periods()
    assert "own.days" == place.sessions()[NAMES[0]].clause

    place.close()
    place.open()
    assert (
        "P7D"
        == place.node.policy_of(place.its)
        .retain("transcript", place.its.facts(zero_retention=False))
        .retention
    )
    removed = place.own(None, against=made["document"])
    assert dict(zip(NAMES, ("P7D", "P7D", "P30D"), strict=True)) == place.periods()
    place.use(NAMES[1])
    assert dict(zip(NAMES, ("P7D", "P30D", "P30D"), strict=True)) == place.periods()

    assert [(made["document"], WHY, True), (None, WHY, True)] == [
        (one["document"], one["reason"], one["told"]) for one in removed["history"]
    ]
    (entry,) = place.node.ledger.entries(kind="organisation.policy_set")
    members = place.ask("organisation.show", organisation=place.organisation)["members"]
    (owner,) = [one["person"] for one in members if one["role"] == "owner"]
    assert (owner, WHY, 1) == (
        entry.body["by"],
        entry.body["reason"],
        entry.body["sessions"],
    )
    assert "again" not in entry.body  # its text is for a restore


@pytest.mark.row("R2", "O3", "O4", "S1")
def test_everything_that_decides_for_an_organisation_goes_by_it(place: Firm) -> None:
    """The gateway, what takes telemetry and reports in, the settings that are delivered, what keys,
    members and the operator are told.
    """
    access = GatewayPolicyAccess(place.node.accounts, place.node.holding)
    before = access.authenticate(place.key.encode())
    more = ("feedback_report", "metric", "local_transcript")
    document = own(('"cloud_diff"], ', f'"cloud_diff", {", ".join(map(repr, more))}], '))
    document = document.replace("'", '"')
    place.own(document)
    after = access.authenticate(place.key.encode())
    assert before is not None and after is not None
    assert ["P30D", "P7D"] == [getattr(one.terms("api"), "period", "") for one in (before, after)]
    assert before.consent < after.consent
    assert after is access.authenticate(place.key.encode())
    refused, passed = after.passage(FILES, True), after.passage(MESSAGES, True)
    assert ("own.no-other", False, True) == (refused.clause, refused.allowed, passed.allowed)

    sender = TelemetryPolicyAccess(place.node).sender(place.key.encode())
    report = ReportPolicyAccess(place.node).sender(place.key.encode())
    assert sender is not None and report is not None and report.terms is not None
    assert ("P7D", "P30D") == (sender.periods["metric"], sender.periods["error_event"])
    assert ("P7D", "own.seven-days") == (report.terms.period, report.terms.clause)
    settings = settings_of(place.node)
    told = settings(place.node.accounts.api_key(place.key_id), place.its)
    assert told is not None
    env = told["env"]
    assert isinstance(env, dict)
    assert ("1", 7) == (env["DISABLE_TELEMETRY"], told["cleanupPeriodDays"])
    usual = settings(
        place.node.accounts.api_key(place.key_id), place.node.accounts.get(place.account)
    )
    assert usual is not None and "DISABLE_TELEMETRY" not in str(usual["env"])

    shown = place.ask("key.show", key=place.key)["terms"]
    assert ("P7D", "own.seven-days") == (shown["retention"]["period"], shown["retention"]["clause"])
    assert "kept 7 days; not trained on" in shown["in_words"]
    said = place.ask(
        "organisation.policy", organisation=place.organisation, key=place.keys["member"]
    )
    assert document == said["text"]
    terms = {one["data_class"]: one for one in said["terms"] if one["action"] == "retain"}
    assert ("P7D", "P30D") == (terms["transcript"]["result"], terms["transcript"]["operators"])
    asked = "retain data_class=transcript plan=team channel=api training_choice=none"
    found = place.ask(
        "organisation.policy_explain",
        organisation=place.organisation,
        question=[*asked.split(), "zero_retention=false", "partner_programme=false"],
        language="zh",
    )
    assert ("own.seven-days", "我们的会话保留一周。", "P30D", "retain.commercial") == (
        found["clause"],
        found["text"],
        found["operators"],
        found["operators_clause"],
    )


@pytest.mark.row("R2")
def test_an_organisation_has_nothing_kept_at_all(place: Firm) -> None:
    """Then nothing of a conversation comes in, and what is there goes at once: but for what is
    under a legal hold, which no organisation lifts.
    """
    place.use(NAMES[0])
    place.use(NAMES[1])
    hold = place.ask("hold.place", session=NAMES[0], reason="a matter at court")
    place.own(kept(0))
    access = GatewayPolicyAccess(place.node.accounts, place.node.holding)
    caller = access.authenticate(place.key.encode())
    assert caller is not None
    assert NothingKept("own.days") == caller.terms("api")
    usual = place.node.accounts.create_key(place.account, "k", by=OPERATOR)[1]
    other = access.authenticate(usual.encode())
    assert other is not None
    # What the operator's clauses demand of a key of zero retention is demanded of this one, too.
    assert (True, False) == (caller.zero_retention, caller.reach is None)
    assert (False, True) == (other.zero_retention, other.reach is None)
    assert "zero retention" in place.ask("key.show", key=place.key)["terms"]["in_words"]
    place.node.sweep(place.clock())
    assert {} == place.periods()
    held = [one["session"] for one in place.ask("hold.list")]
    assert [NAMES[0]] == held
    assert place.node.holds.held() == {NAMES[0]}
    place.ask("hold.release", id=hold["hold"], reason="it is over")
    place.node.sweep(place.clock())
    assert not place.node.holds.held()


@pytest.mark.row("T5", "T6")
def test_what_an_organisation_joined_is_not_trained_on_if_it_says_so(place: Firm) -> None:
    """Whoever joined the partner programme; a member's own account is not concerned."""
    asked = {"organisation": place.organisation, "key": place.keys["owner"]}
    place.ask("partner.join", confirmation="Acme", **asked)
    place.use(NAMES[0])
    effects = [place.node.deciding.training(place.sessions()[NAMES[0]])]
    place.own(OF_THEIR_OWN)
    place.use(NAMES[0])
    effects.append(place.node.deciding.training(place.sessions()[NAMES[0]]))
    assert None is place.node.exports.allowed_now(NAMES[0], place.clock())
    place.own(None)
    effects.append(place.node.deciding.training(place.sessions()[NAMES[0]]))
    place.use(NAMES[0])
    effects.append(place.node.deciding.training(place.sessions()[NAMES[0]]))
    assert [
        ("allow", "train.partner"),
        ("deny", "own.no-training"),
        ("deny", "train.inactive"),
        ("allow", "train.partner"),
    ] == [(one.effect, one.clause) for one in effects]
    assert None is not place.node.exports.allowed_now(NAMES[0], place.clock())


@pytest.mark.row("P5")
def test_its_people_are_told_until_they_have_seen_it(place: Firm) -> None:
    """Of all that changed since, by the operator's document and their own; nobody else is."""
    place.own(kept(7, "transcript", "cloud_output", "cloud_diff"))
    key = place.keys["member"]
    (told,) = place.ask("policy.notices", key=place.key)
    assert [("transcript", "P30D", "P7D", "own.days", True)] == [
        (one["data_class"], one["before"], one["after"], one["clause"], one["shorter"])
        for one in told["changes"]
        if one["data_class"] == "transcript"
    ]
    assert "Acme" == told["organisation"]
    assert [] == place.ask("policy.notices", key=key)  # that key is of their own account
    assert [] == place.ask("policy.seen", key=place.key, number=told["number"])
    place.ask("policy.activate", document=edited(*LONGER), reason=WHY)
    assert [] == place.ask("policy.notices", key=place.key)  # a week, as before
    place.own(None)
    (told,) = place.ask("policy.notices", key=place.key)
    assert [("P7D", "P90D", False)] == [
        (one["before"], one["after"], one["shorter"])
        for one in told["changes"]
        if one["data_class"] == "transcript"
    ]


@pytest.mark.row("P5")
def test_another_document_of_the_operators_is_never_made_looser(place: Firm) -> None:
    """What holds is the stricter of the two; where the operator's has become that, it is said. One
    that does not know what the organisation's says is not activated until that is changed.
    """
    place.own(kept(7))
    place.use(NAMES[0])
    tried = place.ask("policy.try", document=edited(*LONGER))
    assert 0 == tried["changed_sessions"]
    place.ask("policy.activate", document=edited(*SHORTER), reason=WHY)
    shown = place.ask("organisation.policy", organisation=place.organisation)
    assert {NAMES[0]: "P3D"} == place.periods()
    assert ["the document:3: own.days has P7D where the operator's retain.commercial has P3D"] == [
        one.split(":", 2)[0] + ":" + one.split(":", 2)[1] + ":" + one.split(":", 2)[2].split(",")[0]
        for one in (text.replace(": for", ", for") for text in shown["problems"])
    ]
    place.own(own(("P7D", "P2D"), ('region = ["us", "eu"]', 'model = "gemini"')))
    with pytest.raises(BaileeError, match=r"says what this one does not know.*model"):
        other = edited(*SHORTER).replace(
            'gemini = { begins = ["gemini", "gemma"]', 'google = { begins = ["gemini", "gemma"]'
        )
        place.ask("policy.activate", document=other, reason=WHY)
    place.own(None)
    place.ask("policy.activate", document=other, reason=WHY)


def test_what_is_for_other_models_stays_so_when_one_of_them_gets_a_name(place: Firm) -> None:
    """At once and after a restart: the home knows against which document the organisation's was
    proved. Models that had a name then are not concerned.
    """
    named = edited(
        (
            'other = { en = "any other model"',
            'mistral = { begins = ["mistral"], en = "Mistral", zh = "Mistral" }\n'
            'other = { en = "any other model"',
        )
    )
    place.own(
        'format = "bailee-own-policy/1"\n[[reach]]\nid = "own.known-models"\n'
        'when = { model = "other" }\nthen = "deny"\nen = "Known models alone."\n'
    )

    def clauses() -> list[str]:
        policy = place.node.policy_of(place.its)
        who = ReachFacts("team", "operator", zero_retention=False)
        upstream = UpstreamTerms(DeclaredTerms(retains=True, trains=False, region="us"))
        asked = ("mistral-large", "kimi", "claude-haiku-4-5")
        return [reach(policy, who, upstream, (one,), ()).decision.clause for one in asked]

    demanded = ["own.known-models", "own.known-models", "reach.ordinary"]
    before = clauses()
    place.ask("policy.activate", document=named, reason=WHY)
    after = clauses()
    place.close()
    place.open()
    assert [demanded] * 3 == [before, after, clauses()]


@pytest.mark.row("G1")
@pytest.mark.parametrize(
    ("document", "given", "why"),
    [
        (kept(60), {}, "the document:3: own.days has P60D"),
        (kept(7), {"reason": " "}, "needs a reason"),
        (kept(7), {"against": "0" * 64}, "another document of this organisation's"),
        (kept(7), {"who": "member"}, "may not"),
        (kept(7), {"who": "key"}, "may not"),
        (None, {}, "no document of its own"),
        ("#" * (LARGEST + 1), {}, "too large"),
        (kept(7), {"organisation": "org_0000000000000000"}, "there is no organisation"),
    ],
)
def test_what_is_refused_changes_nothing(
    place: Firm, document: str | None, given: dict[str, str], why: str
) -> None:
    """A document that loosens, is without a reason, was compared with another; who may not."""
    values: dict[str, object] = dict(given)
    if (who := values.pop("who", None)) is not None:
        values["key"] = place.key if who == "key" else place.keys["member"]
    with pytest.raises(BaileeError, match=why):
        place.own(document, **values)
    shown = place.ask("organisation.policy", organisation=place.organisation)
    assert (None, []) == (shown["document"], shown["history"])


@pytest.mark.row("R5", "G2")
def test_a_changed_row_lets_nothing_through_and_destroys_nothing(place: Firm) -> None:
    """It is named; sessions that are there stay as long as they did; nobody else is concerned; an
    owner gives the document again, and all is well.
    """
    place.own(kept(7))
    place.use(NAMES[0])
    for changed in ("content = NULL, document = NULL", "content = x'00'"):
        place.close()
        place.open()
        tamper(place.node.home.data_database, f"UPDATE own_policies SET {changed}")
        place.close()
        place.open()
        access = GatewayPolicyAccess(place.node.accounts, place.node.holding)
        caller = access.authenticate(place.key.encode())
        assert caller is not None and not caller.passage(MESSAGES, False).allowed
        place.node.sweep(place.clock())
        assert {NAMES[0]: "P7D"} == place.periods()
        assert any(
            "own_policies" in one for one in (found.where for found in place.node.damages.all())
        )
        shown = place.ask("organisation.policy", organisation=place.organisation)
        assert not shown["readable"]
        place.own(kept(7))
        assert (
            "P7D"
            == place.node.policy_of(place.its)
            .retain("transcript", place.its.facts(zero_retention=False))
            .retention
        )


def test_broken_off_after_it_was_recorded_the_next_start_goes_on(place: Firm) -> None:
    """The document holds, and what is to go sooner does."""
    place.use(NAMES[0])
    with place.node.activations.alone():  # the process ends here: nothing has followed
        place.node.own_policies.change(
            WantedChange(
                *(place.organisation, place.firm, kept(7).encode(), None, "operator", WHY, 1, True)
            )
        )
    assert {NAMES[0]: "P30D"} == place.periods()
    place.close()
    place.open()
    place.node.vault.sweep(place.clock())
    assert {NAMES[0]: "P7D"} == place.periods()


@pytest.mark.row("G1")
def test_as_many_changes_as_somebody_likes_take_a_bounded_room(place: Firm) -> None:
    """So many a day; the newest rows are kept, and the audit record has all of them."""
    for days in range(1, 26):
        for document in (kept(days), None):
            place.own(document)
    with pytest.raises(InputError, match="50 times within a day"):
        place.own(kept(7))
    asked = {"organisation": place.organisation, "reason": WHY}
    place.ask("organisation.policy_set", document=kept(8), **asked)  # the operator may
    place.clock.advance(timedelta(days=1))
    place.own(kept(7))
    with pytest.raises(InputError, match="holds already"):
        place.own(kept(7))
    assert 50 == len(place.node.own_policies.of(place.organisation))


@pytest.mark.row("O2", "O3")
def test_what_holds_beside_both_documents_is_shown_with_them(place: Firm) -> None:
    """Its limits, its teams', lists of models and the days of keys; nobody else's."""
    of = place.organisation
    place.ask("usage.limit", measure="money", amount=5_000_000, per="day", of=of)
    place.ask("usage.limit", measure="requests", amount=9, per="week", of=f"{of}/apps")
    place.ask("usage.limit", measure="tokens", amount=1, per="day")
    place.ask("usage.allow", models=["claude-haiku-4-5"], of=of)
    place.ask("usage.allow", models=["claude-opus-*"], of="pro")
    place.ask("organisation.key_days", organisation=of, days=90)
    shown = place.ask("organisation.policy", organisation=of, key=place.keys["member"])

    assert [(of, "money", "day", 5_000_000), (f"{of}/apps", "requests", "week", 9)] == [
        (one["subject"], one["measure"], one["per"], one["amount"]) for one in shown["limits"]
    ]
    assert [(of, ["claude-haiku-4-5"])] == [
        (one["subject"], one["models"]) for one in shown["models"]
    ]
    assert 90 == shown["key_days"]

"""A policy document comes to hold by an act: on record, for all at once, told whom it concerns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bailee.accounts import OPERATOR
from bailee.app.access import GatewayPolicyAccess
from bailee.config import load as load_settings
from bailee.errors import BaileeError, InputError, IntegrityError
from bailee.gateway.access import Passage
from bailee.gateway.routes import GatewayRoute, route
from bailee.node import Node
from bailee.node.activations import Concerned
from bailee.policy.loading import from_bytes, shipped
from support.asked_routes import FILES, MESSAGES
from support.clients.asking import perform
from support.documents import FILES_ALONE, HELD, LONGER, READ_ALONE, edited
from support.homes.captured import begun
from support.homes.places import Place

NAMES = [f"{n}{n}{n}{n}{n}{n}{n}{n}-32a5-4d0c-8f0b-0d7c3d1c1a11" for n in range(3)]
WHY = "the board decided it"


class Firm(Place):
    """A home with a consumer and a company's key."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        account, _, self.key = self.node.accounts.create(plan="api", name="firm")
        self.firm = account.account_id

    def ask(self, operation: str, **values: object) -> Any:
        """Ask as the operator, or with a key."""
        return perform(self.node, operation, values)

    def activate(self, document: str, **given: object) -> Any:
        """As the operator does."""
        self.clock.advance(timedelta(minutes=1))
        return self.ask("policy.activate", document=document, **{"reason": WHY, **given})

    def use(self, session: str) -> None:
        """The company begins or resumes a session."""
        self.clock.advance(timedelta(minutes=1))
        self.end(self.request(session))

    def request(self, session: str) -> Any:
        """A request of the company's that begins now."""
        return begun(self.node, self.firm, session, "hello")

    def periods(self) -> dict[str, str]:
        """How long each session is kept."""
        return {name: row.period for name, row in self.sessions().items()}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Firm]:
    """A home of its own."""
    made = Firm(tmp_path / "home")
    yield made
    made.close()


@pytest.mark.row("P4", "P5", "R4")
def test_what_is_there_stays_no_longer_and_goes_sooner(place: Firm) -> None:
    """What is new or gone on with is on the document that holds; of what is there only what is
    shorter.
    """
    place.use(NAMES[0])
    place.use(NAMES[1])
    made = place.activate(edited(*LONGER))
    assert (2, 1, 1) == (made["sessions"], made["accounts"], made["told"])
    place.use(NAMES[1])
    place.use(NAMES[2])
    assert dict(zip(NAMES, ("P30D", "P90D", "P90D"), strict=True)) == place.periods()
    place.activate(HELD)
    assert dict.fromkeys(NAMES, "P30D") == place.periods()
    (entry,) = place.node.ledger.entries(kind="policy.activated", newest=1)
    assert (place.node.policy.sha256, WHY) == (entry.subject, entry.body["reason"])
    held = place.ask("policy.activations")
    assert [None, WHY, WHY] == [one["reason"] for one in held]


@pytest.mark.row("P5")
def test_no_exchange_is_under_two_documents(place: Firm) -> None:
    """One that began before ends on what held then, and is of before; the next is on the new. The
    clock set back changes neither.
    """
    access = GatewayPolicyAccess(place.node.accounts, place.node.holding)
    before = access.authenticate(place.key.encode())
    begun_before = place.request(NAMES[0])
    place.activate(edited(*LONGER))
    place.clock.advance(timedelta(days=-1))
    after = access.authenticate(place.key.encode())
    assert before is not None and after is not None
    assert ["P30D", "P90D"] == [getattr(one.terms("api"), "period", "") for one in (before, after)]
    assert before.consent < after.consent == place.node.holding.now.since
    place.end(begun_before)
    assert {NAMES[0]: "P30D"} == place.periods()


@pytest.mark.row("P1", "C1")
def test_who_is_refused_is_told_the_clause_and_a_way(place: Firm) -> None:
    """In the words of the document, and what would help by it: of an account's key and of a cloud
    session's, with the operator's credential and with one's own.
    """
    access = GatewayPolicyAccess(place.node.accounts, place.node.holding)
    _, of_session = place.node.accounts.key_for_cloud_session(
        place.firm, "cs-1", zero_retention=False, by="operator"
    )
    for key, own, way in (
        (place.key, False, f"or ask the operator for `bailee account allow {place.firm} "),
        (of_session, True, "do this outside the cloud session, with another key"),
    ):
        caller = access.authenticate(key.encode())
        assert caller is not None
        passage = caller.passage(FILES, own)
        clause = place.node.policy.clause(passage.clause)
        assert clause is not None
        assert (False, clause.text.en) == (passage.allowed, passage.why)
        assert way in passage.hint


def test_so_many_callers_are_remembered_and_all_are_served(place: Firm) -> None:
    """Whoever's keys end every hour leaves nothing behind for as long as the server runs."""
    access = GatewayPolicyAccess(place.node.accounts, place.node.holding, most=2)
    keys = [place.node.accounts.key_for_this_run(place.firm)[1].encode() for _ in range(5)]
    for _ in range(2):
        assert all(access.authenticate(key) is not None for key in keys)
    assert len(access._callers) <= 2


@pytest.mark.row("T4", "P5")
def test_what_came_under_another_document_is_not_trained_on_until_it_is_gone_on_with(
    place: Firm,
) -> None:
    """Whatever the document says that came to hold."""
    place.choose("allowed")
    place.end(place.begin(NAMES[0]))
    effects = []
    for step in (lambda: None, lambda: place.activate(edited(*LONGER)), lambda: None):
        step()
        effects.append(place.node.deciding.training(place.sessions()[NAMES[0]]).effect)
        if len(effects) == 2:
            place.end(place.begin(NAMES[0]))
    assert ["allow", "deny", "allow"] == effects


@pytest.mark.row("P5")
def test_those_whose_terms_change_are_told_until_they_have_seen_it(place: Firm) -> None:
    """The company, and not the consumer; in their language, once for all that has changed."""
    consumers = place.node.accounts.create_key(
        place.account, "ada's", by=place.node.registry.authority.by_key(place.key)
    )[1]
    place.activate(edited(*LONGER))
    (told,) = place.ask("policy.notices", key=place.key, language="zh")
    assert [("retain", "P30D", "P90D", False)] == [
        (one["action"], one["before"], one["after"], one["shorter"])
        for one in told["changes"]
        if one["data_class"] == "transcript"
    ]
    assert all("保留 30 天" not in one["text"] and "→" in one["text"] for one in told["changes"])
    assert [] == place.ask("policy.notices", key=consumers)
    assert [] == place.ask("policy.seen", key=place.key, number=told["number"])
    with pytest.raises(InputError, match="no such notice"):
        place.ask("policy.seen", key=place.key, number=told["number"] + 1)
    place.activate(HELD)
    (again,) = place.ask("policy.notices", key=place.key)
    assert {True} == {one["shorter"] for one in again["changes"] if one["action"] == "retain"}


@pytest.mark.row("P2", "P5")
@pytest.mark.parametrize(
    ("document", "given", "why"),
    [
        (HELD, {}, "holds already"),
        (HELD + "\n[nonsense]\n", {}, "not sound|nonsense"),
        (shipped("2025-08-28").decode(), {}, "one of 2025-10-27 holds"),
        (HELD.replace("2025-10-27", "2027-01-01"), {}, "has not come"),
        (edited(*LONGER), {"reason": " "}, "needs a reason"),
        (edited(*LONGER), {"against": "0" * 64}, "another policy document holds"),
        (edited(*LONGER), {"key": "own"}, "may not"),
    ],
)
def test_a_document_is_refused_and_nothing_changes(
    place: Firm, document: str, given: dict[str, str], why: str
) -> None:
    """Unsound, older, of a day to come, for no reason, compared with another, by no operator."""
    if "key" in given:
        given = {"key": place.key}
    with pytest.raises(BaileeError, match=why):
        place.activate(document, **given)
    assert 1 == len(place.ask("policy.activations"))
    assert [] == place.ask("policy.notices", key=place.key)


@pytest.mark.row("P5", "O4")
def test_a_document_without_a_region_that_is_demanded_is_refused(place: Firm) -> None:
    """Until nobody demands it any more."""
    own = HELD.replace('"region", "residency"]', '"region"]').replace(
        'residency = "anywhere", ', ""
    )
    own = re.sub(r"\n\[residencies\].*?\n\n", "\n\n", own, flags=re.S)
    concerned = r'\[\[(?:reach|invariant)\]\]\nid = "[^"]*residency-.*?(?=\n\[|\Z)'
    own = re.sub(concerned, "", own, flags=re.S)
    account = place.node.accounts.first()
    assert account is not None
    place.node.accounts.demand_residency(account.account_id, "eu", by=OPERATOR)

    with pytest.raises(
        BaileeError, match="demand the region eu, which this document does not know"
    ):
        place.activate(own)
    place.node.accounts.demand_residency(account.account_id, None, by=OPERATOR)
    place.activate(own)


@pytest.mark.row("P5")
def test_broken_off_after_it_was_recorded_the_next_start_goes_on(place: Firm) -> None:
    """The document holds, and what is to go sooner does; the settings name a first one alone."""
    place.activate(edited(*LONGER))
    place.use(NAMES[0])
    held = from_bytes(HELD.encode(), "held")
    node = place.node
    with node.activations.alone():  # the process ends here: nothing has followed
        node.activations.activate(
            held, HELD.encode(), by="operator", reason=WHY, concerned=Concerned(1, 1, [place.firm])
        )
    assert {NAMES[0]: "P90D"} == place.periods()
    place.close()
    place.open()
    place.node.vault.sweep(place.clock())
    assert (held.sha256, {NAMES[0]: "P30D"}) == (place.node.policy.sha256, place.periods())


@pytest.mark.row("P5")
def test_a_document_that_cannot_be_read_any_more_is_replaced_by_name_alone(place: Firm) -> None:
    """Nothing is opened without one that somebody named; which one held is on record."""
    place.activate(edited(*LONGER))
    with place.node.data.begin() as connection:
        connection.execute(text("UPDATE policy_documents SET content = x'00'"))
    place.node.close()
    with pytest.raises(IntegrityError, match="can't be read"):
        Node.open(place.node.home, clock=place.clock, environment={})
    named = load_settings(place.node.home.settings_file, {}, {"policy.document": "2026-08-22"})
    place.node = Node.open(place.node.home, clock=place.clock, environment={}, settings=named)
    assert "2025-10-27" != place.node.policy.version
    assert 3 == len(place.ask("policy.activations"))


@pytest.mark.row("P1", "G2")
def test_the_document_says_which_requests_pass_unrecorded(place: Firm) -> None:
    """By paths that it names: files on the operator's credential for everybody, however the path is
    spelled; nothing else but conversations, with whatever credential, in the words of the clause.
    What would help is named, and nothing that would not.
    """
    access = GatewayPolicyAccess(place.node.accounts, place.node.holding)

    def asked(own: bool = False, **changes: bytes) -> Passage:
        caller = access.authenticate(place.key.encode())
        assert caller is not None
        return caller.passage(replace(FILES, **changes), own)

    lent = asked()
    assert (False, "pass.other") == (lent.allowed, lent.clause)
    assert lent.why.startswith("The operator's credential is lent for conversations")
    assert ["x-bailee-key", "--unrecorded"] == re.findall("x-bailee-key|--unrecorded", lent.hint)

    place.activate(edited(*FILES_ALONE))
    for target in (b"/v1/files", b"/v1/files/file_1/content?a=b", b"/v1/Files/x"):
        assert Passage(True, "pass.files") == asked(target=target)
    assert asked(target=b"/v1/other").why.startswith("Nothing passes unrecorded but files.")
    for target in (b"/v1/filesystem", b"/v1/messages/batches", b"/v2/v1/files"):
        for own in (False, True):
            refused = asked(own, target=target)
            by = "pass.own-credential" if own else "pass.other"
            assert (False, by) == (refused.allowed, refused.clause)
            assert "ask the operator" in refused.hint
            assert not re.search("x-bailee-key|--unrecorded", refused.hint)


@pytest.mark.row("P1", "O6")
def test_the_document_says_for_how_long_requests_go_on_without_databases(place: Firm) -> None:
    """Of each kind of key by itself, and never less than a lease is good for; the next document's
    word holds at once, and one that says nothing sets no end.
    """
    seconds = 0.0
    accounts = place.node.accounts
    access = GatewayPolicyAccess(accounts, place.node.holding, unsure=lambda: seconds)
    _, _, unkept = accounts.create(plan="api", name="forgets", zero_retention=True)

    def passages() -> list[Passage]:
        found = [access.authenticate(key.encode()) for key in (place.key, unkept)]
        return [caller.passage(MESSAGES, False) for caller in found if caller is not None]

    place.activate(edited(("kept = 60, unkept = 60", "kept = 0, unkept = 2")))
    seen = {}
    for seconds in (30.0, 31.0, 120.0, 121.0):
        seen[seconds] = [one.allowed for one in passages()]
    assert {
        30.0: [True, True],
        31.0: [False, True],
        120.0: [False, True],
        121.0: [False, False],
    } == seen
    assert {("without_database", True)} == {(one.clause, one.again) for one in passages()}
    place.activate(edited(("without_database = { kept = 60, unkept = 60 }\n", "")))
    assert [True, True] == [one.allowed for one in passages()]


@pytest.mark.row("P1", "G2")
def test_the_document_tells_requests_apart_by_their_methods(place: Firm) -> None:
    """Who may read files may not delete or write them, by whichever key; the route as it was asked
    says which it was. A document that does not read the method lets both pass.
    """
    access = GatewayPolicyAccess(place.node.accounts, place.node.holding)
    wanted = ("GET", "HEAD", "POST", "DELETE")

    def passed() -> dict[str, str]:
        caller = access.authenticate(place.key.encode())
        assert caller is not None
        found = {}
        for method in wanted:
            where = route(method.encode(), b"/v1/files/file_1")
            assert isinstance(where, GatewayRoute)
            passage = caller.passage(where, False)
            found[method] = passage.clause if passage.allowed else f"not {passage.clause}"
        return found

    place.activate(edited(*FILES_ALONE))
    both = passed()
    place.activate(edited(*READ_ALONE))
    assert dict.fromkeys(wanted, "pass.files") == both
    assert {"GET": "pass.files", **dict.fromkeys(wanted[1:], "not pass.other")} == passed()
    with pytest.raises(BaileeError, match="'options' is no method that passes"):
        place.activate(edited(*READ_ALONE).replace("[methods]\nget =", "[methods]\noptions ="))

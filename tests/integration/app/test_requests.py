"""A person's request about their own data, from the mail that came to its end."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bailee.accounts.pending import LASTS
from bailee.accounts.sign_ins import ConfirmedSignIn
from bailee.db.audit import audit
from bailee.db.cases import person_requests
from bailee.db.engine import reading
from bailee.errors import BaileeError, InputError
from bailee.ledger.particulars import sealed_names
from bailee.operations import codec, request_work, table
from bailee.policy.holding import InForce
from bailee.policy.loading import from_bytes
from support.clients.asking import perform
from support.documents import HELD, edited
from support.homes.places import Place

pytestmark = pytest.mark.row("R6", "P4")
ADA, OFFICER, AUDITOR = "ada.medlar@example.org", "officer@example.org", "auditor@example.org"
DAY = timedelta(days=1)


class Office(Place):
    """A home with Ada, who has a session of her own and one of her organisation's; an officer; an
    auditor. Its clock stands where it is set.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        made = self.ask("person.create", email=ADA, plan="pro")
        self.ada, self.account, self.key = made["person"], made["account"], made["key"]
        self.ask("person.create", email=OFFICER, plan="team", operator=True)
        auditor = self.ask("person.create", email=AUDITOR, plan="pro")
        self.auditor = auditor["key"]
        self.ask("person.auditor", id=auditor["person"])
        orchard = self.ask("organisation.create", name="Orchard", plan="team", owner=self.ada)
        self.organisation = orchard["organisation"]
        held = self.ask("key.create", name="work", organisation=self.organisation, person=self.ada)
        self.session = self.say(self.account, "medlar jelly")
        self.say(orchard["account"], "of the orchard", held["key_id"])

    def ask(self, operation: str, **values: Any) -> Any:
        """As whoever the values prove, else the operator."""
        found = perform(self.node, operation, values)
        return [*found] if isinstance(found, Iterator) else found

    def say(self, account: str, text: str, key: str = "k") -> str:
        """A session of an account: its id."""
        before = {*self.sessions()}
        self.end(self.begin("", account=account, text=text, key=key))
        return ({*self.sessions()} - before).pop()

    def holds(self, word: str) -> bool:
        """Whether a word is in a file of the home."""
        files = [one for one in self.folder.rglob("*") if one.is_file()]
        return any(word.encode() in one.read_bytes() for one in files)

    def officer(self, operation: str, **values: object) -> Any:
        """As the officer at the terminal, who says who they are."""
        return self.ask(f"requests.{operation}", **values, **{"as": OFFICER})

    def opened(self, kind: str = "erasure", email: str = ADA, **values: object) -> str:
        """A request that came by mail."""
        return str(self.officer("open", kind=kind, email=email, **values)["request"])


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """See `Office`."""
    made = Office(tmp_path)
    yield made
    made.close()


def test_an_erasure_from_mail_to_letter(office: Office) -> None:
    """What was held stands in the letter in both languages, with what remains and the receipt; from
    the email alone the receipt is found again, and nothing else of it is left that names anybody.
    """
    request = office.opened(said="please erase ada.medlar")
    found = office.officer("inventory", id=request)
    counts = {(one["what"], one["whose"]): one for one in found["things"]}
    own, theirs = (
        counts["sessions", office.ada],
        counts["sessions_elsewhere", office.organisation],
    )
    assert (1, "person", "organisation") == (own["count"], own["decides"], theirs["decides"])
    assert own["clause"].startswith("retain.") and own["until"]
    assert 0 == counts["telemetry", "nobody"]["count"]
    with pytest.raises(InputError, match="has not been done"):
        office.officer("answer", id=request)
    erased = office.officer("erase", id=request)
    assert "done" == erased["state"]
    stays = erased["signed"]["receipt"]["stays"]
    assert any("requests" in one["what"] and "retain.person-request" in one["why"] for one in stays)
    answered = office.officer("answer", id=request)
    assert ("answered", erased["reference"]) == (answered["state"], answered["receipt"])
    for language, words in (("en", "Sessions of your own: 1"), ("zh", "您本人的会话：1 项")):
        letter = office.officer("letter", id=request, language=language, form="html")
        assert (ADA, False) == (letter["to"], letter["draft"])
        for part in (words, erased["reference"], request, "retain" not in words and "____"):
            assert str(part) in letter["content"]
    office.officer("close", id=request)
    (again,) = office.officer("list", email=ADA.upper())
    assert (erased["reference"], None) == (again["receipt"], again["email"])
    with pytest.raises(InputError, match="let go"):
        office.officer("letter", id=request)
    assert not office.holds("ada.medlar")


def test_each_step_is_on_record_by_a_person(office: Office) -> None:
    """The home alone is nobody; who is no operator can't be named; reasons go with the request."""
    for who in ({}, {"as": ADA}):
        with pytest.raises(InputError) as refused:
            office.ask("requests.open", kind="access", email=ADA, **who)
        assert "forbidden" == refused.value.code
    request = office.opened("access")
    office.officer("extend", id=request, reason="three archives are to be searched")
    notice = office.officer("letter", id=request)["content"]
    assert "three archives" in notice
    with pytest.raises(InputError, match="once at most"):
        office.officer("extend", id=request, reason="three archives are to be searched")
    office.officer("answer", id=request, refuse="it was answered last week")
    shown = office.officer("show", id=request)
    officer = office.ask("person.show", id=OFFICER)["person"]
    assert [officer] * 3 == [one["by"] for one in shown["steps"]]
    assert "three archives are to be searched" == shown["steps"][1]["reason"]
    office.officer("close", id=request)
    assert [None] * 4 == [one["reason"] for one in office.officer("show", id=request)["steps"]]


def test_a_month_and_once_two_more(office: Office) -> None:
    """From the day on which it came. What is overdue breaks a promise, and is not put off."""
    came = datetime(2026, 1, 31, tzinfo=UTC)
    office.clock.now = came
    request = office.opened("access")
    shown = office.officer("show", id=request)
    assert shown["due"].startswith("2026-02-28")
    late = office.officer("list", now=(came + 29 * DAY).isoformat())
    assert [True] == [one["overdue"] for one in late]
    with pytest.raises(InputError, match="overdue"):
        office.officer(
            "extend", id=request, reason="we forgot it", now=(came + 29 * DAY).isoformat()
        )
    broken = office.ask("promises", now=(came + 29 * DAY).isoformat())["promises"][-1]
    assert ("answered", "broken", "overdue", 1) == tuple(
        broken[name] for name in ("promise", "standing", "why", "count")
    )


def test_a_hold_keeps_a_part_and_the_answer_says_which(office: Office) -> None:
    """The erasure waits for that part alone; the request says so, and so does the letter."""
    request = office.opened()
    with pytest.raises(InputError, match="nothing of who asks"):
        office.officer("hold", id=request, reason="matter 7", session="of somebody else")
    office.officer("hold", id=request, reason="matter 7", session=office.session)
    assert "deferred" == office.officer("erase", id=request)["state"]
    shown = office.officer("show", id=request)
    assert ("on_hold", [office.session]) == (
        shown["state"],
        [one["subject"] for one in shown["on_hold"]],
    )
    office.officer("answer", id=request)
    content = office.officer("letter", id=request)["content"]
    assert office.session in content and "except for what stands below" in content


def test_a_person_asks_for_themselves(office: Office) -> None:
    """And sees theirs alone; when they erase themselves, their open request leads there."""
    mine = office.ask("requests.open", kind="erasure", key=office.key)["request"]
    other = office.opened("access", AUDITOR)
    assert [mine] == [one["request"] for one in office.ask("requests.list", key=office.key)]
    for operation in ("show", "letter"):
        with pytest.raises(InputError) as refused:
            office.ask(f"requests.{operation}", id=other, key=office.key)
        assert "not_found" == refused.value.code
    erased = office.ask("person.erase", key=office.key)
    assert erased["reference"] == office.officer("show", id=mine)["receipt"]
    assert ADA == office.officer("answer", id=mine)["email"]  # somebody has to be told


def test_an_answered_request_goes_when_its_time_has_come(office: Office) -> None:
    """What names somebody a month after their erasure was answered; the row by its clause."""
    request = office.opened()
    office.officer("erase", id=request)
    office.officer("answer", id=request)
    now = datetime.fromisoformat(office.officer("show", id=request)["answered"])
    office.node.cases.sweep(now + 29 * DAY)
    assert office.officer("show", id=request)["email"]
    office.node.cases.sweep(now + 31 * DAY)
    assert not office.officer("show", id=request)["email"]
    office.node.cases.sweep(now + 3 * 366 * DAY)
    with pytest.raises(InputError, match="no such request"):
        office.officer("show", id=request)
    with reading(office.node.data) as connection:
        assert [] == connection.execute(person_requests.select()).all()


def test_one_damaged_kind_hides_no_other(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, with what is wrong."""

    def broken(*_: object) -> list[object]:
        raise BaileeError("the disk is gone.", code="storage")

    monkeypatch.setattr(office.node.reports, "of", broken)
    request = office.opened("access")
    things = office.officer("inventory", id=request)["things"]
    problems = {one["what"]: one["problem"] for one in things if one["problem"]}
    assert (["reports"], True) == ([*problems], "sessions" in {one["what"] for one in things})


def test_an_auditor_sees_that_requests_are_answered_and_nobodys_name(office: Office) -> None:
    """Nor content, nor reasons, in anything that an auditor may ask; every operation is tried."""
    request = office.opened(said="please erase ada.medlar")
    office.officer("extend", id=request, reason="ada.medlar has three accounts")
    reason = {"reason": "ada.medlar complained", "as": OFFICER}
    office.ask("sessions.show", id=office.session, **reason)
    (seen,) = office.ask("requests.list", key=office.auditor)
    assert (request, None) == (seen["request"], seen["email"])
    assert {"opened", "extended"} == {
        one["step"] for one in office.ask("requests.show", id=request, key=office.auditor)["steps"]
    }
    answers = {}
    seen_of_requests = ("requests.list", "requests.mine", "requests.show")
    for name, function in table.OPERATIONS.items():
        taken = codec.parameters(function).__struct_fields__
        values = {
            "id": request, "session": office.session, "owner": office.account, "number": 1,
            "reason": "the auditor asks", "account": office.account, "email": ADA,
        }  # fmt: skip
        if name in ("sessions.show", "sessions.export", "sessions.raw", "sessions.find"):
            values["id"] = office.session
        given = {one: value for one, value in values.items() if one in taken}
        if name.startswith("requests.") and name not in seen_of_requests:
            with pytest.raises(InputError):
                office.ask(name, **given, key=office.auditor)
            continue
        try:
            found = perform(office.node, name, {**given, "key": office.auditor})
            answers[name] = repr([*found] if isinstance(found, Iterator) else found)
        except BaileeError:
            continue
    said = "".join(answers.values())
    assert {"audit.list", "promises", "receipts.key", "policy.activations"} <= answers.keys()
    for word in ("ada.medlar", "medlar jelly", "three accounts", "officer@"):
        assert word not in said
    assert not [one for one in answers if one.startswith(("sessions.sh", "person.", "hold."))]


def test_nothing_of_the_record_says_more_than_it_declares() -> None:
    """Reasons of requests are sealed, in each kind that has one."""
    assert ("reason",) == sealed_names("request.extended") == sealed_names("request.refused")
    assert {"asks", "node", "id"} <= inspect.signature(request_work.erase).parameters.keys()
    assert "audit" == audit.name


def test_where_operators_have_names_the_terminal_alone_reads_nothing(office: Office) -> None:
    """Who reads says who they are and why, and stands on record by that; a hold's content too."""
    for who in ({}, {"reason": "a complaint of hers"}, {"as": OFFICER}):
        with pytest.raises(InputError, match=r"a person with a name|needs a reason"):
            office.ask("sessions.show", id=office.session, **who)
    assert [] == office.ask("audit.list", kind="access.read")
    said = {"reason": "a complaint of hers", "as": OFFICER}
    office.ask("sessions.show", id=office.session, **said)
    held = office.ask("hold.place", session=office.session, reason="matter 7")["hold"]
    with pytest.raises(InputError, match="a person with a name"):
        office.ask("hold.read", id=held, reason="a complaint of hers")
    office.ask("hold.read", id=held, **said)
    officer = office.ask("person.show", id=OFFICER)["person"]
    entries = office.ask("audit.list", kind="access.read")
    assert [officer] * 2 == [one["body"]["by"] for one in entries]


def test_a_sign_in_under_way_is_among_somebodys_ways_in(office: Office) -> None:
    """Until it is over: that a client of hers waits to be handed what she confirmed."""
    registry = office.node.registry
    request = office.opened()

    def waits() -> list[tuple[int, str | None]]:
        found = office.officer("inventory", id=request)["things"]
        return [(one["count"], one["until"]) for one in found if one["what"] == "ways_in"]

    assert [] == waits()
    begun = registry.device_grants.begin(client="cli", address="192.0.2.7")
    assert [] == waits()
    registry.device_grants.approve(begun.user_code, ConfirmedSignIn(office.ada, office.account))
    ends = (office.clock() + LASTS).isoformat()
    assert [(1, ends)] == waits()
    registry.device_grants.poll(begun.device_code)
    assert [] == waits()


@pytest.mark.row("R5", "P1")
@pytest.mark.parametrize(
    ("edits", "root", "snapshots", "en", "zh"),
    [
        ((), "24 hours", "14 days at most", "within 14 days at most", "最迟 14 天"),
        (
            (('at_most = "PT24H"', 'at_most = "PT6H"'), ('at_most = "P14D"', 'at_most = "P3D"')),
            *("6 hours", "3 days at most", "within 3 days at most", "最迟 3 天"),
        ),
        (None, "24 hours", "each at the time it was taken for", "are replaced.", "更换之后，"),
    ],
)
def test_for_how_long_backups_open_what_was_erased_is_said_by_the_document(
    office: Office,
    edits: tuple[tuple[str, str], ...] | None,
    root: str,
    snapshots: str,
    en: str,
    zh: str,
) -> None:
    """In the receipt and the letter, by the document that holds; where it bounds nothing, no time
    is made up.
    """
    start, end = HELD.index("[[bound]]"), HELD.index("[[invariant]]")
    text = HELD[:start] + HELD[end:] if edits is None else edited(*edits)
    office.node.holding.take(InForce(from_bytes(text.encode(), "ours.toml"), 9))
    office.node.ledger.append("backup.created", "bak_1", {})
    request = office.opened()
    office.officer("inventory", id=request)
    erased = office.officer("erase", id=request)
    said = erased["signed"]["receipt"]["backups"]
    assert f"root, {root} at most while" in said
    assert f"until they end, {snapshots};" in said
    for language, words in (("en", en), ("zh", zh)):
        assert words in office.officer("letter", id=request, language=language)["content"]

"""Who asks for more than their limit, who decides it, and what becomes of the request.

Rows: O2, R6.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from bailee.db.usage import limit_increases
from bailee.errors import BaileeError, InputError
from bailee.home import Home
from bailee.node import Node, subjects
from bailee.operations import inventory
from bailee.usage.limits import LimitSpan
from support.clients import asking

pytestmark = pytest.mark.both_databases
START = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)
DAY = 20_000_000


class Firm:
    """A home with Acme, of which Ann is admin, Mia and Ian are members and Eve is nobody's. Each of
    Acme may use $20 a day; Eve is alone in Other.
    """

    def __init__(self, folder: Path) -> None:
        self.node = Node.open(Home(folder / "home"), clock=lambda: START)
        self.people: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        for name in ("ann", "mia", "ian", "eve"):
            made = self.ask(None, "person.create", email=f"{name}@x.example", plan="pro")
            self.people[name], self.keys[name] = made["person"], made["key"]
        self.acme, self.other = (
            self.ask(None, "organisation.create", name=name, plan="team")
            for name in ("Acme", "Other")
        )
        for name, where, role in (
            ("ann", self.acme, "admin"), ("mia", self.acme, "member"),
            ("ian", self.acme, "member"), ("eve", self.other, "owner"),
        ):  # fmt: skip
            self.ask(
                None, "organisation.member", organisation=where["organisation"],
                person=self.people[name], role=role,
            )  # fmt: skip
        self.of = self.acme["organisation"]
        self.ask(None, "usage.limit", measure="money", amount=DAY, per="day", of=self.of, each=True)

    def ask(self, who: str | None, operation: str, **values: object) -> Any:
        """What somebody asks by their key; None: the operator."""
        return asking.perform(
            self.node, operation, values if who is None else {**values, "key": self.keys[who]}
        )

    def code(self, who: str | None, operation: str, **values: object) -> str:
        """Why it is refused."""
        with pytest.raises(BaileeError) as refused:
            self.ask(who, operation, **values)
        return refused.value.code

    def limits(self) -> dict[str, int]:
        """The amounts of all limits, by whose they are."""
        return {one["subject"]: one["amount"] for one in self.ask(None, "usage.limits")}

    def recorded(self) -> list[tuple[str, str, dict[str, Any]]]:
        """The entries about requests."""
        return [
            (leaf.kind, leaf.subject, dict(leaf.body))
            for leaf in self.node.ledger.entries()
            if leaf.kind.startswith("usage.increase_")
        ]


@pytest.fixture
def firm(tmp_path: Path) -> Iterator[Firm]:
    """A home of its own."""
    made = Firm(tmp_path)
    yield made
    made.node.close()


def test_what_is_granted_is_the_members_own_limit(firm: Firm) -> None:
    """And nobody else's; it is on record who asked and who decided, by ids; who asked sees what
    became of it, and can ask again.
    """
    asked = firm.ask("mia", "increase.ask", amount=2 * DAY, per="day")
    assert ("pending", firm.people["mia"], 2 * DAY) == (
        asked["state"], asked["person"], asked["amount"],
    )  # fmt: skip
    assert firm.code("mia", "increase.ask", amount=3 * DAY, per="day") == "invalid_request"
    (waiting,) = firm.ask("ann", "increase.list", organisation=firm.of, pending=True)
    assert asked == waiting
    granted = firm.ask("ann", "increase.approve", id=asked["id"], amount=3 * DAY, per="month")
    assert ("approved", 3 * DAY, "month", firm.people["ann"]) == (
        granted["state"], granted["granted"], granted["per"], granted["decided_by"],
    )  # fmt: skip
    member = f"{firm.of}/{firm.people['mia']}"
    assert {firm.of: DAY, member: 3 * DAY} == firm.limits()
    assert [granted] == firm.ask("mia", "increase.list")
    assert [] == firm.ask("ann", "increase.list", organisation=firm.of, pending=True)
    assert "changed_meanwhile" == firm.code("ann", "increase.deny", id=asked["id"])

    again = firm.ask("mia", "increase.ask", amount=2 * DAY, per="day")
    denied = firm.ask(None, "increase.deny", id=again["id"])
    assert ("denied", None, "operator") == (
        denied["state"], denied["granted"], denied["decided_by"],
    )  # fmt: skip
    assert {firm.of: DAY, member: 3 * DAY} == firm.limits()
    assert [
        (asked["id"], "asked", None, 2 * DAY, firm.people["mia"]),
        (asked["id"], "decided", "approved", 3 * DAY, firm.people["ann"]),
        (again["id"], "asked", None, 2 * DAY, firm.people["mia"]),
        (again["id"], "decided", "denied", None, "operator"),
    ] == [
        (
            body["request"],
            kind.removeprefix("usage.increase_"),
            body.get("state"),
            body["amount"],
            body["by"],
        )
        for kind, subject, body in firm.recorded()
        if subject == member
    ]


def test_who_may_ask_see_and_decide(firm: Firm) -> None:
    """A member for themselves; who administers the organisation, or the operator, sees and decides.
    Nobody else: neither who asked, nor a member beside them, nor another organisation's owner.
    """
    asked = firm.ask("mia", "increase.ask", amount=2 * DAY, per="day")["id"]
    assert "forbidden" == firm.code(None, "increase.ask", amount=2 * DAY, per="day")
    assert "not_found" == firm.code(
        "eve", "increase.ask", amount=2 * DAY, per="day", organisation=firm.of
    )
    for who in ("mia", "ian", "eve"):
        assert "forbidden" == firm.code(who, "increase.list", organisation=firm.of)
        assert "forbidden" == firm.code(who, "increase.approve", id=asked, amount=9 * DAY)
        assert "forbidden" == firm.code(who, "increase.deny", id=asked)
    assert [] == firm.ask("ian", "increase.list")
    assert {firm.of: DAY} == firm.limits()
    assert "not_found" == firm.code("ann", "increase.deny", id="inc_0")
    assert [asked] == [one["id"] for one in firm.ask(None, "increase.list", organisation=firm.of)]


def test_who_decides_sees_what_waits_wherever_they_decide(firm: Firm) -> None:
    """The operator in every organisation, page by page; an admin where they are one; who decides
    nowhere sees none, and neither of them another's.
    """
    other = firm.other["organisation"]
    firm.ask(None, "usage.limit", measure="money", amount=DAY, per="day", of=other, each=True)
    asked = [
        firm.ask(who, "increase.ask", amount=2 * DAY, per="day")["id"]
        for who in ("mia", "ian", "eve")
    ]
    of_all = {"decidable": True, "pending": True}
    assert sorted(asked) == sorted(one["id"] for one in firm.ask(None, "increase.list", **of_all))
    page = firm.ask(None, "increase.list", limit=2, **of_all)
    rest = firm.ask(None, "increase.list", limit=2, after=page["next"], **of_all)
    assert (2, 1, None) == (len(page["items"]), len(rest["items"]), rest["next"])
    assert sorted(asked) == sorted(one["id"] for one in page["items"] + rest["items"])
    seen = {
        who: {one["email"] for one in firm.ask(who, "increase.list", **of_all)}
        for who in ("ann", "eve", "mia")
    }
    assert {
        "ann": {"mia@x.example", "ian@x.example"}, "eve": {"eve@x.example"}, "mia": set(),
    } == seen  # fmt: skip
    assert 3 == firm.ask(None, "status")["requests_for_more"]

    granted = firm.ask("ann", "increase.approve", id=asked[1])
    assert (2 * DAY, "day") == (granted["granted"], granted["per"])  # as much as was asked for
    firm.ask("eve", "increase.deny", id=asked[2])
    assert 1 == firm.ask(None, "status")["requests_for_more"]
    assert [asked[0]] == [one["id"] for one in firm.ask(None, "increase.list", **of_all)]
    assert 3 == len(firm.ask(None, "increase.list", decidable=True))


def test_what_was_set_for_a_member_is_in_their_copy(firm: Firm) -> None:
    """Limits of theirs that were set and removed, and what was asked and decided; after they have
    left, too; and nobody else's.
    """
    member = f"{firm.of}/{firm.people['mia']}"
    for who in ("mia", "ian"):
        own = {"measure": "money", "amount": 3 * DAY, "per": "day", "member": firm.people[who]}
        firm.ask("ann", "usage.limit", of=firm.of, **own)
    asked = firm.ask("mia", "increase.ask", amount=4 * DAY, per="day")["id"]
    firm.ask("ann", "increase.approve", id=asked, amount=5 * DAY)
    firm.ask("ann", "usage.unlimit", id=f"member:{member}:money:day")
    firm.ask(None, "organisation.remove_member", organisation=firm.of, person=firm.people["mia"])
    raw = b"".join(
        base64.b64decode(item["data"])
        for item in firm.ask("mia", "person.export")
        if "data" in item
    )
    with zipfile.ZipFile(io.BytesIO(raw)) as copy:
        (name,) = [one for one in copy.namelist() if one.endswith("audit.jsonl")]
        entries = [json.loads(line) for line in copy.read(name).splitlines()]
    assert [
        ("usage.limit_set", 3 * DAY),
        ("usage.increase_asked", 4 * DAY),
        ("usage.increase_decided", 5 * DAY),
        ("usage.limit_set", 5 * DAY),
        ("usage.limit_removed", None),
    ] == [
        (one["kind"], one["body"].get("amount"))
        for one in entries
        if one["kind"].startswith("usage.") and one["subject"] == member
    ]
    assert not any(firm.people["ian"] in one["subject"] for one in entries)
    mia = subjects.find(firm.node.registry.people, firm.node.accounts, firm.people["mia"])
    held = {one.what: one.count for one in inventory.inventory(firm.node, mia, START)}
    assert len(entries) <= held["audit"]


@pytest.mark.parametrize(
    ("amount", "per"),
    [(DAY, "day"), (1, "day"), (2 * DAY, "month"), (2 * DAY, "minute"), (2 * DAY, "now")],
)
def test_nobody_asks_for_what_no_limit_holds_back(firm: Firm, amount: int, per: str) -> None:
    """Or for what they may use already: nothing is kept of it."""
    assert "invalid_request" == firm.code("mia", "increase.ask", amount=amount, per=per)
    assert [] == firm.ask("mia", "increase.list") == firm.recorded()


def test_a_request_is_decided_once(firm: Firm) -> None:
    """Of many who decide at a time one does, and what came to hold is what was said last of it."""
    asked = firm.ask("mia", "increase.ask", amount=2 * DAY, per="day")["id"]
    found = firm.node.increases.get(asked, START)

    def decide(number: int) -> bool:
        try:
            if number % 2:
                firm.node.increases.deny(found, START, by="operator")
            else:
                firm.node.increases.approve(found, number * DAY, found.span, START, by="operator")
        except InputError:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        done = [one for one in threads.map(decide, range(2, 10)) if one]
    assert [True] == done
    (state,) = firm.ask("mia", "increase.list")
    own = firm.limits().get(f"{firm.of}/{firm.people['mia']}")
    assert state["granted"] == own
    assert 2 == len(firm.recorded())


def test_many_ask_at_once_and_one_request_waits(firm: Firm) -> None:
    """A client that sends its question again has one request."""

    def ask(_: int) -> bool:
        of, mia, until = firm.of, firm.people["mia"], START + timedelta(days=9)
        try:
            firm.node.increases.ask(of, mia, LimitSpan.DAY, 2 * DAY, now=START, until=until)
        except InputError:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert 1 == sum(threads.map(ask, range(8)))
    assert 1 == len(firm.ask("mia", "increase.list")) == len(firm.recorded())


def test_a_request_goes_at_its_time_and_with_its_person(firm: Firm) -> None:
    """After as long as counts of use are kept; who left the organisation has none there; and an
    erasure takes all of a person's, which were in their copy.
    """
    asked = firm.ask("mia", "increase.ask", amount=2 * DAY, per="day")
    assert datetime(2027, 12, 29, 12, 30, tzinfo=UTC) == datetime.fromisoformat(asked["kept_until"])
    other = firm.ask("ian", "increase.ask", amount=2 * DAY, per="day")
    items = list(firm.ask("mia", "person.export"))
    raw = b"".join(base64.b64decode(item["data"]) for item in items if "data" in item)
    with zipfile.ZipFile(io.BytesIO(raw)) as copy:
        named = [one for one in copy.namelist() if one.endswith("requests-for-more.jsonl")]
        assert [asked] == [json.loads(line) for line in copy.read(named[0]).splitlines()]

    firm.ask(None, "organisation.remove_member", organisation=firm.of, person=firm.people["ian"])
    shown = firm.ask("ann", "increase.list", organisation=firm.of)
    assert [asked["id"]] == [one["id"] for one in shown]
    assert "not_found" == firm.code("ann", "increase.approve", id=other["id"], amount=9 * DAY)

    firm.ask(None, "person.erase", id=firm.people["mia"])
    assert [] == firm.ask("ann", "increase.list", organisation=firm.of)
    mias = firm.node.increases.of_person(firm.people["mia"], START)
    assert [] == mias
    assert {"limit_increases": 0} == firm.node.increases.sweep(START + timedelta(days=390))
    later = START + timedelta(days=400)
    assert [] == firm.node.increases.of_person(firm.people["ian"], later)
    assert {"limit_increases": 1} == firm.node.increases.sweep(later)


def test_a_row_that_says_nothing_hides_no_other(firm: Firm) -> None:
    """It is named among what is damaged, and the others are shown."""
    broken = firm.ask("mia", "increase.ask", amount=2 * DAY, per="day")["id"]
    whole = firm.ask("ian", "increase.ask", amount=2 * DAY, per="day")["id"]
    with firm.node.data.begin() as connection:
        one = update(limit_increases).where(limit_increases.c.id == broken)
        connection.execute(one.values(span="aeon"))
    shown = firm.ask("ann", "increase.list", organisation=firm.of)
    assert [whole] == [one["id"] for one in shown]
    assert f"request for more {broken}" in {one.where for one in firm.node.damages.all()}

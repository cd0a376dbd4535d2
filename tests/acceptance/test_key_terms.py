"""Every way to a key, by everybody who may go it: which account pays, and whose policy holds.

What a key says of itself is compared with what the running gateway does: an exchange is sent under
it, and the session that is kept then has the account, the plan and the clause.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bailee.testing.upstream import ScriptedUpstream
from support.browsers.browsing import Visitor
from support.clients.programs import SIGN_UP, Bailee, message
from support.servers.openid import SECRET, come_by, provider

PASSWORD = "seven pear trees in a row"
PEOPLE = ("ada", "mia", "bob", "kim")
Expected = tuple[str, str, str, str | None, bool]
"""Who pays (their id), plan, segment, the clause by which it is kept, whether it may be trained on.
"""


@dataclass
class Place:
    """A server with people in and out of an organisation.

    `ada` has an own account alone, `mia` (a member) has no other than the organisation's, `bob` (a
    member) and `kim` (an admin) have both. `ina` comes by the organisation's provider.
    """

    bailee: Bailee
    organisation: str = ""
    account: str = ""
    own: dict[str, str] = field(default_factory=dict)
    person: dict[str, str] = field(default_factory=dict)
    visitors: dict[str, Visitor] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    def json(self, *arguments: str) -> Any:
        """A command's JSON."""
        return self.bailee.json(*arguments)

    def new_key(self, who: str, **fields: str) -> str:
        """A key made on somebody's account page."""
        page = self.visitors[who].submit(
            "/settings/account", "/settings/account/keys", {"name": "laptop", **fields}
        )
        found = set(re.findall(r"bl_[0-9a-f]{10}_[0-9a-f]{48}", page.text))
        assert (200, 1) == (page.status, len(found)), page.text
        return found.pop()

    def ordinary(self) -> Expected:
        """The organisation's terms."""
        return (self.organisation, "team", "commercial", "retain.commercial", False)

    def personal(self, who: str) -> Expected:
        """The terms of a person's own account on Pro, who allowed training."""
        return (self.person[who], "pro", "consumer", "retain.consumer-allowed", True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """See `Place`."""
    bailee = Bailee(tmp_path_factory.mktemp("keys"))
    with ScriptedUpstream(tools_only=False) as upstream:
        bailee.declare(upstream.url)
        bailee.up(env={**SIGN_UP, "ORCHARD_SECRET": SECRET})
        try:
            yield _people(Place(bailee))
        finally:
            bailee.close()


def _people(place: Place) -> Place:
    console = place.bailee.ready["console"]
    made = place.json("organisation", "create", "Acme", "--plan", "team")
    place.organisation, place.account = made["organisation"], made["account"]
    operator = place.visitors["operator"] = Visitor(console)
    operator.get(place.bailee.ready["sign_in"])
    for name in ("ada", "bob", "kim"):
        visitor = place.visitors[name] = Visitor(console)
        visitor.submit(
            "/sign-up", "/sign-up",
            {"email": f"{name}@x.example", "password": PASSWORD, "plan": "pro",
             "choice": "allowed"},
        )  # fmt: skip
    for name, role in (("bob", "member"), ("kim", "admin")):
        place.json("organisation", "member", "add", place.organisation, f"{name}@x.example",
                   "--role", role)  # fmt: skip
    mia = place.json(
        "person", "create", "--email", "mia@x.example", "--organisation", place.organisation
    )
    place.keys["mia"] = mia["key"]
    for one in place.json("person", "list"):
        name = one["email"].partition("@")[0]
        place.person[name], place.own[name] = one["person"], one["account"]
    return place


def key_of(made: Any) -> str:
    """The text of a key that a command made."""
    text: str = made["key"]
    return text


def holder(place: Place, plan: str, key: str) -> Expected:
    """The terms of an account that is its key holder's."""
    account = asked(place, key)["account"]
    commercial = plan == "api"
    clause = "retain.commercial" if commercial else "retain.consumer-undecided"
    return (account, plan, "commercial" if commercial else "consumer", clause, False)


def asked(place: Place, key: str) -> dict[str, Any]:
    """What the HTTP API says of a key."""
    request = urllib.request.Request(
        place.bailee.ready["console_api"] + "/api/v1/key", headers={"x-api-key": key}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        found: dict[str, Any] = json.loads(response.read())
    return found


WAYS: dict[str, Callable[[Place], tuple[str, Expected]]] = {
    "the first key of `bailee up`": lambda p: (
        p.bailee.ready["key"],
        holder(p, "api", p.bailee.ready["key"]),
    ),
    "terminal: of a new account": lambda p: (
        (key := key_of(p.json("key", "create", "--plan", "pro"))),
        holder(p, "pro", key),
    ),
    "terminal: one more of such an account": lambda p: (
        (key := key_of(p.json("key", "create", "--account",
                              p.json("key", "create", "--plan", "api")["account"]))),
        holder(p, "api", key),
    ),
    "terminal: a new person": lambda p: (
        (made := p.json("person", "create", "--email", "new@x.example", "--plan", "pro"))["key"],
        (made["person"], "pro", "consumer", "retain.consumer-undecided", False),
    ),
    "terminal: a new person in the organisation": lambda p: (p.keys["mia"], p.ordinary()),
    "terminal: for a person": lambda p: (
        key_of(p.json("key", "create", "--person", "ada@x.example")),
        p.personal("ada"),
    ),
    "terminal: for a member without an own account": lambda p: (
        key_of(p.json("key", "create", "--person", "mia@x.example")),
        p.ordinary(),
    ),
    "terminal: for a member with an own account, of that": lambda p: (
        key_of(p.json("key", "create", "--person", "bob@x.example", "--own")),
        p.personal("bob"),
    ),
    "terminal: for a member, of the organisation": lambda p: (
        key_of(p.json("key", "create", "--person", "bob@x.example",
                      "--organisation", p.organisation)),
        p.ordinary(),
    ),
    "terminal: of the organisation": lambda p: (
        key_of(p.json("key", "create", "--organisation", p.organisation)),
        p.ordinary(),
    ),
    "terminal: of the organisation, zero retention": lambda p: (
        key_of(p.json("key", "create", "--organisation", p.organisation, "--zero-retention")),
        (p.organisation, "team", "commercial", None, False),
    ),
    "console: a person": lambda p: (p.new_key("ada"), p.personal("ada")),
    "console: a member, in the organisation": lambda p: (
        p.new_key("bob", place=p.organisation),
        p.ordinary(),
    ),
    "console: a member, on their own account": lambda p: (
        p.new_key("bob", place="own"),
        p.personal("bob"),
    ),
    "console: an admin, in the organisation": lambda p: (
        p.new_key("kim", place=p.organisation),
        p.ordinary(),
    ),
    "console: the operator makes a person": lambda p: _by_operator(p, "", "pro"),
    "console: the operator makes a member": lambda p: _by_operator(p, p.organisation, "pro"),
    "console: an engineer who came by the provider": lambda p: (
        _engineer(p) and p.new_key("ina"),
        p.ordinary(),
    ),
}  # fmt: skip


def _by_operator(place: Place, organisation: str, plan: str) -> tuple[str, Expected]:
    email = f"made-{'in' if organisation else 'out'}@x.example"
    page = place.visitors["operator"].submit(
        "/admin/people", "/admin/people",
        {"email": email, "plan": plan, "organisation": organisation},
    )  # fmt: skip
    found = re.findall(r"bl_[0-9a-f]{10}_[0-9a-f]{48}", page.text)
    assert (200, 1) == (page.status, len(found)), page.text
    person = place.json("person", "show", email)
    own = (person["person"], plan, "consumer", "retain.consumer-undecided", False)
    return found[0], place.ordinary() if organisation else own


def _engineer(place: Place) -> Visitor:
    """Ina, who came by the provider."""
    if "ina" in place.visitors:
        return place.visitors["ina"]
    console = place.bailee.ready["console"]
    people = {"ina": {"email": "ina@orchard.example", "email_verified": True}}
    with provider(console, people) as issuer:
        place.json(
            "organisation", "provider", place.organisation, "--domain", "orchard.example",
            "--issuer", issuer, "--client-id", "bailee", "--secret-env", "ORCHARD_SECRET",
        )  # fmt: skip
        visitor = place.visitors["ina"] = Visitor(console)
        assert 200 == come_by(visitor, "ina@orchard.example", "ina").status
    return visitor


@pytest.mark.row("T1", "T5")
@pytest.mark.parametrize("way", WAYS)
def test_a_key_says_whose_terms_it_is_on_and_the_gateway_keeps_to_them(
    place: Place, way: str
) -> None:
    """The account that pays, its plan, whose policy holds, by which clause what is sent is kept,
    and whether it may be trained on: as said by the key, and as done.
    """
    key, expected = WAYS[way](place)
    before = {one["id"] for one in place.json("sessions", "list")}

    said = asked(place, key)
    message(place.bailee.ready, f"sent by way of {way}", key=key)
    kept = [one for one in place.json("sessions", "list") if one["id"] not in before]

    terms = said["terms"]
    zero = expected[3] is None
    assert expected == (
        terms["payer_id"],
        terms["plan"],
        terms["segment"],
        None if terms["zero_retention"] else terms["retention"]["clause"],
        terms["training"]["effect"] == "allow",
    )
    assert ([] if zero else [(said["account"], expected[1], expected[3])]) == [
        (one["account"], one["plan"], one["retention"]["clause"]) for one in kept
    ]
    listed = {one["key_id"]: one for one in place.json("key", "list")}
    assert said == listed[said["key_id"]]


@pytest.mark.row("T1")
def test_who_has_a_part_in_two_accounts_says_which(place: Place) -> None:
    """On the page the organisation's is marked; without an answer nothing is made; at the terminal
    the ways to say it are named.
    """
    page = place.visitors["bob"].get("/settings/account").text
    options = re.findall(r'name="place" value="([^"]+)" required( checked)?', page)
    unsaid = place.visitors["bob"].submit("/settings/account", "/settings/account/keys", {})
    terminal = place.bailee.run("key", "create", "--person", "bob@x.example")

    assert [(place.organisation, " checked"), ("own", "")] == options
    assert (400, False) == (unsaid.status, "bl_" in unsaid.text)
    assert "Say which account pays" in unsaid.text
    assert 2 == terminal.returncode
    assert f"--organisation {place.organisation}, --own" in terminal.stderr


def test_nobody_makes_a_key_where_they_have_no_part(place: Place) -> None:
    """Neither in an organisation that they are not in, nor on an account that they do not have."""
    ada = place.visitors["ada"]
    foreign = ada.submit(
        "/settings/account", "/settings/account/keys", {"place": place.organisation}
    )
    none = place.bailee.run("key", "create", "--person", "mia@x.example", "--own")

    assert (403, False) == (foreign.status, "bl_" in foreign.text)
    assert (2, True) == (none.returncode, "no account of their own" in none.stderr)


@pytest.mark.row("T5")
def test_an_ingest_key_sends_on_its_accounts_terms_and_opens_nothing_else(place: Place) -> None:
    """A report that comes under it is the organisation's; the gateway does not know it."""
    key = place.new_key("kim", place=place.organisation, ingest="yes")
    body = json.dumps({"content": json.dumps({"description": "medlar"})}).encode()
    request = urllib.request.Request(
        place.bailee.ready["ingest"]["otlp"] + "/api/claude_cli_feedback",
        body,
        {"content-type": "application/json", "authorization": f"Bearer {key}"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        sent = json.loads(response.read())["feedback_id"]

    reports = {one["id"]: one for one in place.json("feedback", "list")}
    made = next(one for one in place.json("key", "list")[::-1] if one["scope"] == "ingest")

    assert place.account == reports[sent]["account"]
    assert (place.organisation, None) == (made["terms"]["payer_id"], made["terms"]["retention"])
    with pytest.raises(urllib.error.HTTPError, match="401"):
        message(place.bailee.ready, "medlar", key=key)


def test_admins_see_every_key_with_who_made_it_and_members_their_own(place: Place) -> None:
    """On the organisation's page; an admin revokes there."""
    ours = place.new_key("bob", place=place.organisation)
    key_id = asked(place, ours)["key_id"]
    path = f"/organisations/{place.organisation}"
    page, members = place.visitors["kim"].get(path).text, _engineer(place).get(path).text

    row = next(row for row in page.split("<tr>") if key_id in row)
    assert 2 == row.count("bob@x.example")  # for whom, and by whom
    assert key_id not in members
    done = place.visitors["kim"].submit(path, path + "/keys/revoke", {"key_id": key_id})
    assert 200 == done.status
    with pytest.raises(urllib.error.HTTPError, match="401"):
        message(place.bailee.ready, "medlar", key=ours)


def test_an_engineer_who_was_let_go_is_out_at_once(place: Place) -> None:
    """Key, page, and password that they had set; their record says so."""
    ina, path = _engineer(place), f"/organisations/{place.organisation}"
    key = place.new_key("ina")
    set_one = ina.submit("/settings/account", "/settings/account/password", {"new": PASSWORD})
    email = "ina@orchard.example"
    person = place.json("person", "show", email)["person"]

    place.visitors["kim"].submit(path, path + "/members/remove", {"person": person})

    again = Visitor(place.bailee.ready["console"])
    signed = again.submit("/sign-in", "/sign-in", {"email": email, "password": PASSWORD})
    assert (200, 401) == (set_one.status, ina.get("/settings/account").status)
    assert (403, True) == (signed.status, "no longer belong to an organisation here" in signed.text)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        message(place.bailee.ready, "medlar", key=key)
    revoked = {one["subject"] for one in place.json("audit", "list", "--kind", "key.revoked")}
    assert key.split("_")[1] in {one.removeprefix("key_") for one in revoked}


def test_the_server_takes_no_key_of_a_persons_account_for_itself(tmp_path: Path) -> None:
    """In a home where only a person has an account, a start makes one of nobody's for its key."""
    bailee = Bailee(tmp_path)
    bailee.json("person", "create", "--email", "ada@x.example", "--plan", "pro")
    try:
        ready = bailee.up()
        terms = ready["key_terms"]
        assert ("key_holder", "api", "commercial") == (
            terms["payer"],
            terms["plan"],
            terms["segment"],
        )
        bailee.stop()
    finally:
        bailee.close()

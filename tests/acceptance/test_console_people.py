"""A person's pages over HTTP: when they are asked, what is theirs alone, what staff may see."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable
from html import unescape

import pytest

from bailee.accounts import OPERATOR
from bailee.home import Home, HomeLock
from bailee.node import Node
from bailee.testing.tampering import tamper
from support.browsers.browsing import Answer, Visitor
from support.clients.programs import SIGN_UP, Bailee, message

Serve = Callable[..., Bailee]
PASSWORD = "seven pear trees in a row"


def sign_up(visitor: Visitor, email: str, **more: str) -> Answer:
    """Sign up on Pro, with what more the form has."""
    fields = {"email": email, "password": PASSWORD, "plan": "pro", **more}
    return visitor.submit("/sign-up", "/sign-up", fields)


def new_key(bailee: Bailee, visitor: Visitor) -> str:
    """A key that a person makes on their account page."""
    made = visitor.submit("/settings/account", "/settings/account/keys", {"name": "laptop"}).text
    start = made.index("bl_")
    return made[start : start + 62]


def without_names(page: str, session: str) -> str:
    """A page without what differs each time."""
    return re.sub(r'value="[0-9a-f]{96}"', "", page).replace(session, "")


@pytest.mark.row("T3")
def test_nobody_signs_up_without_a_choice(served: Serve) -> None:
    """A form sent by hand without one, or with another word, makes no account."""
    bailee = served(env=SIGN_UP)
    visitor = Visitor(bailee.ready["console"])

    without = sign_up(visitor, "ada@example.org")
    other = sign_up(visitor, "ada@example.org", choice="later")

    assert [400, 400] == [without.status, other.status]
    assert "nothing is chosen for you" in without.text
    assert "ada@example.org" in without.text  # what was typed is still there,
    assert PASSWORD not in without.text  # the password is not
    assert [] == bailee.json("person", "list")


@pytest.mark.row("T3")
def test_who_was_there_before_the_choice_is_asked_at_the_next_visit(served: Serve) -> None:
    """Before the day the form has no choice; after it, signing in leads to it first."""
    bailee = served("--test-clock", now="2025-08-01T12:00:00Z", env=SIGN_UP)
    visitor = Visitor(bailee.ready["console"])
    early = visitor.get("/sign-up").text
    first = sign_up(visitor, "ada@example.org")
    bailee.stop()
    served("--test-clock", now="2025-09-10T12:00:00Z")
    later = Visitor(bailee.ready["console"])

    asked = later.submit("/sign-in", "/sign-in", {"email": "ada@example.org", "password": PASSWORD})
    privacy = later.get("/settings/privacy").text
    chosen = later.submit("/settings/choice", "/settings/choice", {"choice": "refused"})

    assert ('name="choice"' in early, first.url[-17:]) == (False, "/settings/privacy")
    assert "/settings/choice" == asked.url.removeprefix(bailee.ready["console"])
    assert "2025-10-08" in asked.text
    assert 'value="allowed" required checked' not in asked.text
    assert "You have not chosen yet." in privacy
    assert "You have not chosen yet." not in chosen.text


@pytest.mark.row("T3")
def test_who_chooses_after_the_last_day_is_told_that_it_was(served: Serve) -> None:
    """A day that has passed is no day to choose by; nothing is trained on meanwhile, it says."""
    bailee = served("--test-clock", now="2025-08-01T12:00:00Z", env=SIGN_UP)
    sign_up(Visitor(bailee.ready["console"]), "ada@example.org")
    bailee.stop()
    bailee = served("--test-clock", now="2026-01-15T12:00:00Z")
    late = Visitor(bailee.ready["console"])

    asked = late.submit("/sign-in", "/sign-in", {"email": "ada@example.org", "password": PASSWORD})
    privacy = late.get("/settings/privacy").text

    said = "The last day to choose was 2025-10-08. Until you choose, nothing you do here is trained"
    assert "/settings/choice" == asked.url.removeprefix(bailee.ready["console"])
    assert (True, True) == (said in asked.text, said in privacy)
    assert "Choose by" not in asked.text


@pytest.mark.row("G1")
def test_each_sees_what_their_account_takes_of_the_disk(served: Serve) -> None:
    """The operator of everybody, with the limits; a person of their own account, and no other."""
    bailee = served(env=SIGN_UP)
    visitor, operator = Visitor(bailee.ready["console"]), Visitor(bailee.ready["console"])
    sign_up(visitor, "ada@example.org", choice="refused")
    message(bailee.ready, "the orchard gate", key=new_key(bailee, visitor))
    operator.get(bailee.run("sign-in").stdout.strip())
    (hers,) = (one for one in bailee.json("account", "list") if one["person"])

    def rows(page: str) -> list[list[str]]:
        cells = [re.findall(r"<td.*?>(.*?)</td>", row) for row in page.split("<tr>")]
        return [[re.sub("<.*?>", "", cell).strip() for cell in row] for row in cells]

    own = [row for row in rows(visitor.get("/settings/privacy").text) if row and "acc_" in row[0]]
    all_ = [row for row in rows(operator.get("/").text) if row and "of 1.1 GB" in row[-1]]
    assert len(all_) > len(own) == 1
    assert own[0] in all_
    assert hers["account"] in own[0][0]
    assert own[0][1].endswith("kB")
    assert own[0][2].endswith("of 1.1 GB")
    assert own[0][3].endswith("of 4.3 GB")


def test_a_session_of_somebody_else_is_not_there(served: Serve) -> None:
    """Neither to read nor to delete, and nothing tells whether it exists."""
    bailee = served(env=SIGN_UP)
    ada, bob = Visitor(bailee.ready["console"]), Visitor(bailee.ready["console"])
    sign_up(ada, "ada@example.org", choice="refused")
    sign_up(bob, "bob@example.org", choice="refused")
    message(bailee.ready, "the orchard gate", key=new_key(bailee, ada))
    session = bailee.sessions()[0]["id"]
    path = f"/settings/sessions/{session}"

    hers, his = ada.get(path), bob.get(path)
    deleted = bob.submit("/settings/privacy", f"{path}/delete")
    unknown = bob.get("/settings/sessions/no-such-session")

    assert "the orchard gate" in hers.text
    assert [404, 404, 404] == [his.status, deleted.status, unknown.status]
    assert without_names(his.text, session) == without_names(unknown.text, "no-such-session")
    assert [session] == [one["id"] for one in bailee.json("sessions", "list")]


@pytest.mark.row("G3")
def test_all_that_was_said_is_on_the_page(served: Serve) -> None:
    """An agent's conversation, folded; a tool's input; half a character, escaped. What of a request
    is kept as bytes is said and can be saved: by the operator for a reason that goes on record.
    """
    bailee = served(env=SIGN_UP)
    ada = Visitor(bailee.ready["console"])
    sign_up(ada, "ada@example.org", choice="refused")
    key, session = new_key(bailee, ada), "0d7c3d1c-32a5-4d0c-8f0b-0d7c3d1c1a12"
    used = {"type": "tool_use", "id": "t", "name": "ls", "input": {"in": "the orchard \ud83d"}}
    for agent, content in (("", "the gate"), ("digger", [used])):
        request = urllib.request.Request(
            bailee.ready["gateway"] + "/v1/messages",
            json.dumps({"model": "m", "messages": [{"role": "user", "content": content}]}).encode(),
            {"x-api-key": key, "x-claude-code-session-id": session}
            | ({"x-claude-code-agent-id": agent} if agent else {}),
        )
        urllib.request.urlopen(request, timeout=30).read()
    twice = b'{"model":"m","messages":[{"role":"user","content":"plum","content":"pear"}]}'
    headers = {"x-api-key": key, "x-claude-code-session-id": session}
    urllib.request.urlopen(
        urllib.request.Request(bailee.ready["gateway"] + "/v1/messages", twice, headers), timeout=30
    ).read()
    bailee.json("sessions", "list")

    path = f"/settings/sessions/{session}"
    page = ada.get(path).text
    operator = Visitor(bailee.ready["console"])
    operator.get(bailee.ready["sign_in"])
    asked = {"exchange": "2", "side": "request"}
    admins, why = f"/admin/sessions/{session}", {"reason": "incident 12, asked by Ada"}
    form = operator.submit(admins, f"{admins}/read", why).text

    assert f"{path}/bytes/2/request" in page
    assert "76 bytes are kept as they came" in page
    assert twice.decode() == ada.get(f"{path}/bytes/2/request").text
    assert [404, 404, 404] == [
        ada.get(f"{path}/bytes/{one}").status for one in ("0/request", "9/answer", "2/other")
    ]
    assert f'action="{admins}/bytes"' in form
    assert f'name="reason" value="{why["reason"]}"' in form
    assert 400 == operator.submit(admins, f"{admins}/bytes", asked).status
    assert twice.decode() == operator.submit(admins, f"{admins}/bytes", {**asked, **why}).text
    assert 2 == len(bailee.json("audit", "list", "--kind", "access.read"))
    assert "Agent digger" in page
    assert all(one in page for one in ("the gate", "tool_use ls", "the orchard \\ud83d"))


@pytest.mark.row("G2", "R5", "R6")
def test_who_talks_on_in_a_deleted_session_is_told(served: Serve) -> None:
    """The page says before deleting that what goes on is not kept; afterwards lists, the privacy
    page and the audit record say how much that was, and by which clause.
    """
    bailee, session = served(env=SIGN_UP), "0d7c3d1c-32a5-4d0c-8f0b-0d7c3d1c1a11"
    ada, operator = Visitor(bailee.ready["console"]), Visitor(bailee.ready["console"])
    sign_up(ada, "ada@example.org", choice="refused")
    key = new_key(bailee, ada)
    message(bailee.ready, "the orchard gate", key=key, session=session)
    bailee.json("sessions", "list")
    path = f"/settings/sessions/{session}"
    said = "If you continue a deleted session, it is answered but not kept."
    assert said in ada.get(path).text
    ada.submit("/settings/privacy", f"{path}/delete")
    message(bailee.ready, "and the orchard wall", key=key, session=session)
    message(bailee.ready, "and the orchard path", key=key, session=session)

    listed = bailee.run("sessions", "list")
    operator.get(bailee.ready["sign_in"])

    assert "2 exchanges continued deleted sessions" in " ".join(listed.stdout.split())
    assert "resume.deleted" in listed.stdout
    told = "2 exchanges continued deleted sessions and are not kept."
    assert told in ada.get("/settings/privacy").text
    assert told in operator.get("/admin/sessions").text
    assert {"resume.deleted"} == {
        leaf["body"]["clause"] for leaf in bailee.json("audit", "list", "--kind", "vault.unkept")
    }
    assert [] == bailee.holds(b"orchard wall")


def test_the_operator_reads_for_a_reason_that_goes_on_record_first(served: Serve) -> None:
    """Particulars without; the content only with a reason, which the audit record then has."""
    bailee = served(env=SIGN_UP)
    ada, operator = Visitor(bailee.ready["console"]), Visitor(bailee.ready["console"])
    sign_up(ada, "ada@example.org", choice="refused")
    message(bailee.ready, "the orchard gate", key=new_key(bailee, ada))
    session = bailee.sessions()[0]["id"]
    operator.get(bailee.ready["sign_in"])
    path = f"/admin/sessions/{session}"

    page = operator.get(path)
    without = operator.submit(path, f"{path}/read", {"reason": "so"})
    read = operator.submit(path, f"{path}/read", {"reason": "incident 12, asked by Ada"})

    assert "the orchard gate" not in page.text + without.text
    assert (400, True) == (without.status, "the orchard gate" in read.text)
    assert ["incident 12, asked by Ada"] == [
        leaf["body"]["reason"]
        for leaf in bailee.json("audit", "list", "--kind", "access.read")
        if leaf["subject"] == session
    ]


@pytest.mark.row("R6")
def test_a_hold_puts_an_erasure_off_and_the_pages_say_so(served: Serve) -> None:
    """The receipt says that it waits; released, it goes on by itself."""
    bailee = served(env=SIGN_UP)
    ada, operator = Visitor(bailee.ready["console"]), Visitor(bailee.ready["console"])
    sign_up(ada, "ada@example.org", choice="refused")
    message(bailee.ready, "the orchard gate", key=new_key(bailee, ada))
    session = bailee.sessions()[0]["id"]
    operator.get(bailee.ready["sign_in"])
    operator.submit("/admin/holds", "/admin/holds", {"session": session, "reason": "court order 7"})

    erased = ada.submit("/settings/erase", "/settings/erase", {"confirmation": "ada@example.org"})
    hold = operator.get("/admin/holds").text.split('name="hold" value="')[1].split('"')[0]
    operator.submit("/admin/holds", "/admin/holds/release", {"hold": hold})

    assert "Something is under a legal hold" in erased.text
    assert ["done"] == [one["state"] for one in bailee.json("receipts", "list") if "erasure" in one]


def test_what_a_visitor_sends_is_shown_as_text(served: Serve) -> None:
    """Markup in an email, a key's name, a reason or a search stays text on every page."""
    bailee = served(env=SIGN_UP)
    ada, mark = Visitor(bailee.ready["console"]), "<b onclick=x>&\"'"
    sign_up(ada, "ada@example.org", choice="refused")

    pages = [
        ada.submit("/sign-up", "/sign-up", {"email": mark, "plan": mark, "choice": mark}).text,
        ada.submit("/settings/account", "/settings/account/keys", {"name": mark}).text,
        ada.get("/policy?q=%3Cb+onclick%3Dx%3E").text,
        ada.get("/no/%3Cb+onclick%3Dx%3E").text,
    ]

    assert [0, 0, 0, 0] == [page.count("<b onclick") for page in pages]


def test_no_page_brings_its_own_style_or_script(served: Serve) -> None:
    """So that the policy of the browser needs no exception for any."""
    bailee = served(env=SIGN_UP)
    operator = Visitor(bailee.ready["console"])
    operator.get(bailee.ready["sign_in"])

    pages = {path: operator.get(path) for path in ("/", "/data-usage", "/admin/retention")}

    assert all("unsafe" not in a.headers["content-security-policy"] for a in pages.values())
    assert [] == [
        path
        for path, answer in pages.items()
        if "<style" in answer.text or " style=" in answer.text or "<script>" in answer.text
    ]


def test_the_operator_sees_that_something_is_damaged(served: Serve) -> None:
    """How many things, and who names them; nothing while all is whole."""
    bailee = served(env=SIGN_UP)
    operator = Visitor(bailee.ready["console"])
    operator.get(bailee.ready["sign_in"])
    before = operator.get("/admin/retention").text
    sign_up(Visitor(bailee.ready["console"]), "ada@example.org", choice="refused")
    tamper(bailee.home / "data" / "data.db", "UPDATE consent_records SET new = 'allowed'")
    after = operator.get("/admin/retention").text
    assert (False, True) == ("Damaged: " in before, "Damaged: 1." in after)
    assert "bailee verify" in after


def test_a_list_of_people_goes_on_on_the_next_page(bailee: Bailee, served: Serve) -> None:
    """Everybody is on one page or the next, once; a search leads on among what it found."""
    home = Home(bailee.home)
    with HomeLock(home), Node.open(home) as node:
        for number in range(210):
            email = f"p{number:03}@{'y' if number < 5 else 'x'}.example"
            node.registry.people.create(email, plan="pro", by=OPERATOR)
    served()
    operator = Visitor(bailee.ready["console"])
    operator.get(bailee.ready["sign_in"])

    for query, expected in (("", 210), ("?q=@X", 205)):
        page = operator.get(f"/admin/people{query}").text
        found = []
        while True:
            found += re.findall(r"p\d{3}@[xy]", page)
            link = re.search(r'rel="next" href="([^"]+)"', page)
            if link is None:
                break
            page = operator.get(unescape(link[1])).text
        assert (expected, expected) == (len(found), len(set(found)))

"""Lists of the console as files: all of it, of whom it may be, and nothing that is carried out."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

import pytest

from bailee.operations.routes import BASE
from bailee.testing.upstream import ScriptedUpstream
from support.browsers.browsing import Answer, Visitor
from support.clients.programs import SIGN_UP, Bailee, message

PASSWORD = "seven pear trees in a row"
FORMULA = '=HYPERLINK("https://evil.example";"see")'
HTML = '"><script>alert(1)</script>'
PEOPLE = 500


@dataclass(frozen=True)
class Listed:
    """A server with some hundred people, whose names would like to be formulas."""

    bailee: Bailee
    operator: Visitor
    ada: Visitor
    auditor: Visitor
    organisation: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listed]:
    """See `Listed`."""
    bailee = Bailee(tmp_path_factory.mktemp("lists"))
    with ScriptedUpstream(tools_only=False) as upstream:
        bailee.up("--upstream", upstream.url, env=SIGN_UP)
        try:
            operator = Visitor(bailee.ready["console"])
            operator.get(bailee.ready["sign_in"])
            who = {}
            for name in ("ada", "auditor"):
                who[name] = Visitor(bailee.ready["console"])
                fields = {"email": f"{name}@x.example", "password": PASSWORD}
                choice = {"plan": "pro", "choice": "refused"}
                assert 200 == who[name].submit("/sign-up", "/sign-up", fields | choice).status
            assert 0 == bailee.run("person", "auditor", "auditor@x.example").returncode
            made = bailee.json("organisation", "create", FORMULA, "--plan", "team")
            for first in range(0, PEOPLE, 100):
                some = "".join(f"p{first + number}@x.example\n" for number in range(100))
                fields = {"list": f"email\n{some}", "act": "do"}
                there = {"organisation": made["organisation"]}
                answer = operator.submit("/admin/bring", "/admin/bring", fields | there)
                assert 200 == answer.status
            key = bailee.json("key", "create", "--person", "ada@x.example", "--name", "+1 laptop")
            message(bailee.ready, "medlar jelly", key=key["key"])
            bailee.sessions()
            yield Listed(bailee, operator, who["ada"], who["auditor"], made["organisation"])
        finally:
            bailee.close()


def rows(answer: Answer) -> list[dict[str, str]]:
    """A file, row by row."""
    assert (200, "text/csv; charset=utf-8") == (answer.status, answer.headers["content-type"])
    assert answer.headers["content-disposition"].startswith('attachment; filename="bailee-')
    return list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"), newline="")))


@pytest.mark.row("P3")
def test_a_file_has_all_of_a_list_however_many_pages_it_is(served: Listed) -> None:
    """People are on three pages and in one file; entries of the audit record go over the most that
    is asked for at once, and each is there once.
    """
    bailee, operator = served.bailee, served.operator
    there = bailee.json("person", "list", "--limit", "1000")
    page = operator.get("/admin/people").text
    assert PEOPLE < len(there)
    assert 200 == page.count('<tr><td data-name="Email">')
    assert "after=" in page

    people = rows(operator.get("/admin/people.csv"))
    assert [one["email"] for one in there] == [one["email"] for one in people]
    assert ["p7@x.example"] == [
        one["email"] for one in rows(operator.get("/admin/people.csv?q=p7@"))
    ]
    assert PEOPLE == len(rows(operator.get(f"/organisations/{served.organisation}/members.csv")))
    entries = [int(one["number"]) for one in rows(operator.get("/admin/audit.csv"))]
    assert entries == sorted(set(entries), reverse=True)
    assert len(entries) == entries[0] - entries[-1] + 1 > 1000
    assert "after=" in operator.get("/admin/audit?kind=person.created").text
    made = rows(operator.get("/admin/audit.csv?kind=person.created"))
    assert PEOPLE <= len(made) == len(there)


@pytest.mark.row("P3")
def test_no_name_is_carried_out(served: Listed) -> None:
    """An organisation called like a formula, and a key: as text, in each file where they stand."""
    (organisation,) = rows(served.operator.get("/admin/organisations.csv"))
    names = {one["name"] for one in rows(served.operator.get("/admin/keys.csv"))}
    found = {organisation["name"], *names}

    assert {f"'{FORMULA}", "'+1 laptop"} <= found
    for path in ("/admin/keys.csv", "/admin/accounts.csv", "/admin/audit.csv", "/usage.csv"):
        for one in rows(served.operator.get(path)):
            assert not [cell for cell in one.values() if cell.startswith(("=", "+", "@"))]


@pytest.mark.row("P4", "R6")
def test_a_file_shows_nobody_more_than_its_list(served: Listed) -> None:
    """What was said is in no file but its person's; an auditor's names nobody; no reference of a
    receipt is in any.
    """
    ada, operator, auditor = served.ada, served.operator, served.auditor
    (mine,) = rows(ada.get("/settings/sessions.csv"))
    theirs = {one["id"]: one for one in rows(operator.get("/admin/sessions.csv"))}
    assert "medlar" in mine["about.title"]
    assert "medlar" not in str(theirs) and mine["id"] in theirs
    shown = operator.get("/admin/sessions").text
    assert "ada@x.example</a>" in shown and "medlar" not in shown  # whose it is, by name
    assert "ada@x.example" in operator.get("/usage?by=person").text
    assert [] == rows(operator.get("/admin/sessions.csv?account=acc_0000000000000000"))[1:]

    ada.submit("/settings/privacy", f"/settings/sessions/{mine['id']}/delete")
    (receipt,) = rows(ada.get("/settings/receipts.csv"))
    reference = ada.get("/settings/privacy").text.split("/receipts/")[1].split('"')[0]
    assert mine["id"] == receipt["subject"]
    ada.submit("/settings/privacy", "/settings/requests", {"kind": "access", "said": "medlar"})
    (asked,) = rows(operator.get("/admin/requests.csv"))
    (seen,) = rows(auditor.get("/admin/requests.csv"))
    assert ("ada@x.example", "", asked["request"]) == (
        asked["email"], seen["email"], seen["request"],
    )  # fmt: skip
    for path in ("requests", "receipts", "audit", "retention"):
        text = auditor.get(f"/admin/{path}.csv").text
        assert not [word for word in ("ada@", "medlar", reference) if word in text]
    assert reference not in operator.get("/admin/receipts.csv").text
    assert 403 == auditor.get("/admin/people.csv").status == ada.get("/admin/audit.csv").status


@pytest.mark.row("P3")
def test_an_order_goes_along_with_pages_file_and_filter(served: Listed) -> None:
    """The newest first: on the page, on the next, in the file, and when something is looked for; a
    column's head says which way it is and leads to the other. An order that is none is refused.
    """
    there = [one["email"] for one in served.bailee.json("person", "list", "--limit", "1000")]
    page = served.operator.get("/admin/people?order=newest").text
    assert there[:-201:-1] == emails(page)
    assert 'aria-sort="descending"><a href="/admin/people"' in page
    (following,) = re.findall(r'rel="next" href="([^"]+)"', page)
    assert there[-201:-401:-1] == emails(served.operator.get(unescape(following)).text)
    assert 'name="order" value="newest"' in page  # it stays when something is looked for
    for path in ("/admin/people.csv?order=newest", "/admin/people.csv?order=newest&q=p7"):
        found = [one["email"] for one in rows(served.operator.get(path))]
        assert found == [one for one in there[::-1] if one in found]
        assert 1 < len(found)
    asked = json.loads(served.operator.get(f"{BASE}/people?order=newest&limit=3").text)
    assert there[:-4:-1] == [one["email"] for one in asked["items"]]
    for path in (
        "/admin/people",
        "/admin/people.csv",
        "/admin/sessions",
        "/admin/sessions.csv",
        f"{BASE}/people",
    ):
        assert 400 == served.operator.get(f"{path}?order=by%20heart").status
    for path in ("/settings/privacy", "/settings/sessions.csv"):
        assert 400 == served.ada.get(f"{path}?order=%00").status


@pytest.mark.row("P3", "R6")
def test_a_view_leads_to_its_own_list_and_is_its_owners(served: Listed) -> None:
    """What a browser would take for markup is text; what is another list's, or an address, or has
    no end is not saved; and nobody saves, sees or deletes one of a list or a person that is not
    theirs.
    """
    operator, ada, auditor = served.operator, served.ada, served.auditor
    good = {"list": "people", "name": HTML, "asked": "q=%22%3E%3Cb%3E&order=newest"}
    kept = operator.submit("/admin/people", "/settings/views", good)
    assert kept.url.endswith("/admin/people?q=%22%3E%3Cb%3E&order=newest")
    assert HTML not in kept.text
    assert "&lt;script&gt;" in kept.text
    for wrong in (
        {"name": "n" * 9_000}, {"name": " "}, {"name": "ada@x.example"},
        {"asked": "q=ada%40x.example"}, {"asked": "q=" + "q" * 9_000},
        {"asked": "kind=key.created"}, {"asked": "after=1"}, {"asked": "order=by+heart"},
        {"asked": "https://evil.example/"}, {"asked": "//evil.example"}, {"asked": "q=1&q=2"},
        {"list": "https://evil.example/"}, {"list": "own-sessions"}, {"list": "keys"},
    ):  # fmt: skip
        refused = operator.submit("/admin/people", "/settings/views", good | wrong)
        assert refused.status in (400, 404), wrong
        assert "evil.example" not in refused.text
    long = operator.submit("/admin/people", "/settings/views", good | {"name": "n" * 10_000})
    assert 413 == long.status
    assert 1 == operator.get("/admin/people").text.count('name="view"')

    evidence = {"list": "audit", "name": "keys", "asked": "kind=key.created"}
    for who, status in ((ada, 404), (auditor, 200)):
        assert status == who.submit("/settings/account", "/settings/views", evidence).status
        assert 404 == who.submit("/settings/account", "/settings/views", good).status
    assert "kind=key.created" not in operator.get("/admin/audit").text
    (view,) = re.findall(r'name="view" value="([^"]+)"', operator.get("/admin/people").text)
    for who, list_ in ((ada, "own-sessions"), (auditor, "audit")):
        fields = {"list": list_, "view": view}
        assert 404 == who.submit("/settings/account", "/settings/views/delete", fields).status
    done = operator.submit(
        "/admin/people", "/settings/views/delete", {"list": "people", "view": view}
    )
    assert (200, 0) == (done.status, done.text.count('name="view"'))


def emails(page: str) -> list[str]:
    """The people on a page, in order."""
    return re.findall(r'<td data-name="Email"><span><a href="[^"]+">([^<]+)</a>', page)

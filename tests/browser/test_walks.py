"""Three people come to their goal from a clean clone: what each of them does, counted, and axe-core
on the way.

The repository is cloned into a folder of its own, `make up` typed there, and all else is done with
what that printed: its addresses, its key, its link, its own `bailee`. The counts stand in
docs/guides/console.md, row by row: a way that becomes longer changes that page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from bailee.testing.upstream import ScriptedUpstream
from browser.conftest import PASSWORD, Open, Town
from support.browsers.browsing import Visitor
from support.browsers.walks import Walk
from support.clients.cloned import ClonedBailee
from support.clients.programs import SIGN_UP, message

GUIDE = Path(__file__).parents[2] / "docs/guides/console.md"
HERON, PLUM = "aaaaaaaa-2222-4333-8444-555555555501", "bbbbbbbb-2222-4333-8444-555555555502"
PEOPLE = "email,role\nann@orchard.example,admin\nben@orchard.example,member\n"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Nobody lives here yet: what a person finds who has just cloned and started it."""
    bailee = ClonedBailee(tmp_path_factory.mktemp("clone"))
    with ScriptedUpstream(tools_only=False) as upstream:
        bailee.make_up("--upstream", upstream.url, env=SIGN_UP)
        try:
            console = bailee.ready["console"]
            yield Town(bailee, console, Visitor(console), "", "", "")
        finally:
            bailee.close()


@pytest.mark.row("T2")
def test_each_printed_line_works(town: Town) -> None:
    """The printed link signs in. What it says to type next, typed into a shell: the agent is there
    and is answered, and the exchange is on the list. The clone has nothing new but `.venv`.
    """
    bailee = town.bailee
    assert isinstance(bailee, ClonedBailee)
    assert 200 == town.operator.get(bailee.ready["sign_in"]).status
    exports = re.findall(r"(?m)^ +(export \S+)", bailee.printed)
    assert 2 == len(exports)
    asked = bailee.typed(". .venv/bin/activate", *exports, 'bailee code -p "hello"')
    listed = bailee.typed(". .venv/bin/activate", "bailee sessions list --json", "bailee flows")
    status = bailee.typed("git status --porcelain --ignored")

    assert 0 == asked.returncode, asked.stderr
    assert "Done." in asked.stdout
    assert 1 == len(bailee.sessions())
    assert "bailee flows off metrics" in listed.stdout
    assert {"!! .venv/"} >= {one for one in status.stdout.splitlines() if "pycache" not in one}


@pytest.fixture
def walk(opened: Open, town: Town, axe: str) -> Iterator[Walk]:
    """One that begins at the console's address, as nobody; its counts stand in the guide."""
    made = Walk(opened("/"), axe)
    yield made
    rows = made.table()
    print("\n".join(rows))
    assert [] == made.barriers
    assert "\n".join(rows) in GUIDE.read_text("utf-8"), "\n".join(["the guide has not:", *rows])


@pytest.mark.row("T2", "O7", "O8", "R4")
def test_a_developer_asks_and_has_what_was_said_in_hand(town: Town, walk: Walk) -> None:
    """From an address alone: an account, a key, a first answer; what of it is kept, found by its
    words, kept longer and deleted.
    """
    page, earlier = walk.page, {one["id"] for one in town.bailee.sessions(0)}
    walk.step("Sign up, with the choice about training")
    walk.go(page.get_by_role("link", name="Sign up").first)
    walk.fill("Email", "ada@example.org")
    walk.fill("Password", PASSWORD)
    walk.check("Pro")
    walk.check("Don't allow")
    walk.go(page.get_by_role("button", name="Sign up"))

    walk.step("Make a key, and ask with it")
    walk.go(page.get_by_role("link", name="Account"))
    walk.fill("Name of a new key", "laptop")
    walk.go(page.get_by_role("button", name="Make a key"))
    key = re.findall(r"bl_[0-9a-f]{10}_[0-9a-f]{48}", page.locator("main").inner_text())[0]
    for session, said in ((HERON, "mend the heron test"), (PLUM, "the plum tree")):
        with walk.command():
            message(town.bailee.ready, said, key=key, session=session)
    town.bailee.sessions(len(earlier) + 2)

    walk.step("See what left the machine, and what of it is kept")
    walk.go(page.get_by_role("link", name="Privacy"))
    walk.go(page.locator(f'#sessions a[href$="{PLUM}"]'))
    expect(page.locator(".message.user")).to_contain_text("the plum tree")
    expect(page.locator(".message.assistant")).to_be_visible()
    expect(page.locator("dl")).to_contain_text("in 29 days")

    walk.step("Find a session by its words, and keep it")
    walk.go(page.get_by_role("link", name="Privacy"))
    walk.fill("What was said", "heron")
    walk.go(page.get_by_role("button", name="Search"))
    expect(page.locator("main tbody tr")).to_have_count(1)
    walk.go(page.locator("main tbody a"))
    walk.go(page.get_by_role("button", name="Keep", exact=True))
    expect(page.locator("dl")).to_contain_text("You keep it")

    walk.step("Delete the other, and have the receipt")
    walk.go(page.get_by_role("link", name="Privacy"))
    walk.go(page.get_by_role("button", name=f"Delete {PLUM[:8]}").last)
    expect(page.locator("#receipts")).to_contain_text("one session, deleted")
    assert {HERON} == {one["id"] for one in town.bailee.sessions()} - earlier


@pytest.mark.row("P3", "P5", "O2")
def test_a_platform_engineer_has_a_company_ready(town: Town, walk: Walk) -> None:
    """From the line that `bailee up` prints: how it stands, an organisation with its provider, its
    people from a list, a budget, and whether all that is promised is kept.
    """
    page, link = walk.page, town.bailee.run("sign-in").stdout.split()[0]
    walk.step("Come in by the printed link, and see how it stands")
    with walk.command():
        walk.open(link)
    walk.go(page.get_by_role("link", name="How the server stands"))
    expect(page.locator("main")).to_contain_text("All is well")

    walk.step("An organisation, and its provider")
    walk.menu("People", "Organisations")
    walk.fill("Name", "Heron Ltd")
    walk.fill("Plan", "Enterprise")
    walk.go(page.get_by_role("button", name="Create"))
    walk.click(page.get_by_text("Set its provider"))
    walk.fill("Email domain", "orchard.example")
    walk.fill("Issuer", "https://sign-in.orchard.example")
    walk.fill("Client id", "bailee")
    walk.go(page.get_by_role("button", name="Save"))
    expect(page.locator("#provider")).to_contain_text("speaks for orchard.example")

    walk.step("Its people, from a list")
    walk.menu("People", "People")
    walk.go(page.get_by_role("link", name="Bring a list of people"))
    walk.fill("The list", PEOPLE)
    walk.fill("Into this organisation, where the list names none", "Heron Ltd (Enterprise)")
    walk.go(page.get_by_role("button", name="See what would be done"))
    expect(page.get_by_role("status")).to_contain_text("new 2")
    walk.go(page.get_by_role("button", name="Do it"))
    expect(page.get_by_role("status")).to_contain_text("This was done. new 2")

    walk.step("A budget")
    walk.menu("Service", "Usage")
    walk.click(page.get_by_text("Set a limit"))
    walk.fill("Of whom", "ben@orchard.example")
    walk.fill("At most (money in US dollars)", "20")
    walk.go(page.get_by_role("button", name="Set it"))
    expect(page.locator("main")).to_contain_text("$20.00")

    walk.step("Whether every promise is kept")
    walk.menu("Service", "Promises")
    expect(page.locator("main")).to_contain_text("Nothing that is known of is broken")


@pytest.mark.row("R6", "P4")
def test_a_privacy_officer_answers_an_erasure(town: Town, walk: Walk) -> None:
    """From a mail to a letter in two languages: what is held, a part that has to wait, a copy, the
    erasure; and the receipt, found again by the email when nothing here names the person.
    """
    page, bailee = walk.page, town.bailee
    made = bailee.json("person", "create", "--email", "eve@example.org", "--plan", "pro")
    for session in ("a", "b"):
        message(bailee.ready, f"orchard {session}", key=made["key"], session=f"eve-{session}")
    others = {one["id"] for one in bailee.sessions() if one["account"] != made["account"]}
    held = {one["id"] for one in bailee.sessions(len(others) + 2)} - others
    walk.step("A name, and a password of one's own")
    with walk.command():
        dana = bailee.json(
            "person", "create", "--email", "dana@example.org", "--operator", "--plan", "team"
        )
    with walk.command():
        typed = f"{PASSWORD}\n{PASSWORD}\n"
        assert 0 == bailee.run("person", "password", "--key", dana["key"], given=typed).returncode
    walk.fill("Email", "dana@example.org")
    walk.fill("Password", PASSWORD)
    walk.go(page.get_by_role("button", name="Sign in", exact=True))

    walk.step("Open the request, and see all that is held")
    walk.menu("People", "Requests")
    walk.fill("What is asked for", "erasure")
    walk.fill("Email of who asks", "eve@example.org")
    walk.go(page.get_by_role("button", name="Open", exact=True))
    request, case = page.locator("h1").inner_text(), page.url
    walk.go(page.get_by_role("button", name="Look up what is held"))
    expect(page.get_by_role("table", name="What is held about them")).to_contain_text(
        "Sessions of your own"
    )

    walk.step("Put a part under a hold, and make the copy")
    offered = page.locator("#theirs option").evaluate_all("all => all.map(one => one.value)")
    assert held == set(offered)
    walk.fill("Id of the session, report or cloud session", sorted(held)[0])
    walk.fill("Reason", "matter 7")
    walk.go(page.get_by_role("button", name="Hold it"))
    assert b"PK" == walk.download(page.get_by_role("button", name="Download the archive"))[:2]

    walk.step("Erase, and answer")
    walk.fill(f"Type {request} to erase who asks", request)
    walk.go(page.get_by_role("button", name="Erase this person"))
    walk.go(page.get_by_role("button", name="Answer"))
    expect(page.locator("dl")).to_contain_text("answered")

    walk.step("The letter, in both languages")
    english = walk.download(page.get_by_role("link", name="English", exact=True)).decode()
    chinese = walk.download(page.get_by_role("link", name="中文", exact=True).first).decode()
    assert "eve@example.org" in english and "eve@example.org" in chinese
    assert "法律保全" in chinese
    walk.go(page.get_by_role("button", name="Let go of what names the person"))
    expect(page.locator("main")).not_to_contain_text("eve@example.org")

    walk.step("The receipt, found again by the email")
    walk.menu("People", "Requests")
    walk.fill("Find by email", "eve@example.org")
    walk.go(page.get_by_role("button", name="Find"))
    walk.go(page.get_by_role("link", name=request))
    assert case == page.url
    walk.go(page.locator('dl a[href^="/receipts/"]'))
    expect(page.locator("h2", has_text="What this does not show")).to_be_visible()
    proof = walk.download(page.get_by_role("link", name="Download the proof", exact=True))
    assert proof.startswith(b"c2sp.org/tlog-proof@v1")

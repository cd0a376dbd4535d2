"""What a person does about their privacy, in a real browser."""

from __future__ import annotations

import json
import re
import urllib.error
import zipfile
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from browser.conftest import PASSWORD, Open, Town, new_key, sign_up
from support.browsers.browsing import Visitor
from support.clients.programs import message


def kept(page: Page, name: str) -> str:
    """How long the label says that something is kept."""
    row = page.locator(".label .kept").filter(has=page.get_by_role("heading", name=name))
    return row.locator(".long").inner_text()


@dataclass(frozen=True)
class Somebody:
    """A person of the town with a key."""

    visitor: Visitor
    key: str


@pytest.fixture(scope="module")
def cleo(town: Town) -> Somebody:
    """Somebody for more than one test: signing up is limited."""
    visitor = sign_up(town.console, "cleo@example.org")
    return Somebody(visitor, new_key(visitor))


@pytest.mark.row("T2", "T3")
def test_signing_up_takes_a_choice_that_nobody_made_for_them(town: Town, opened: Open) -> None:
    """Nothing is selected, the form does not go without an answer, and the answer is on record."""
    page = opened("/sign-up")
    chosen = page.locator("input[type=radio]:checked").count()
    page.get_by_label("Email").fill("ada@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Pro", exact=True).check()

    page.get_by_role("button", name="Sign up").click()
    stayed, invalid = page.url, page.locator("input[name=choice]:invalid").count()
    page.get_by_role("radio", name="Don't allow").check()
    page.get_by_role("button", name="Sign up").click()
    page.wait_for_url("**/settings/privacy")

    assert (0, town.console + "/sign-up", 2) == (chosen, stayed, invalid)
    assert ("Not used", "30 days") == (kept(page, "Training"), kept(page, "Your sessions"))
    expect(page.locator("#consent tbody tr")).to_have_count(1)
    expect(page.locator("#consent")).to_contain_text("none → not allowed")


@pytest.mark.row("T2", "R1")
def test_changing_the_choice_changes_the_label(town: Town, opened: Open) -> None:
    """From 30 days to 5 years and back, each change a record of its own."""
    page = opened("/settings/privacy", sign_up(town.console, "bea@example.org"))
    before = kept(page, "Your sessions")

    page.get_by_role("radio", name=re.compile("^Allow")).check()
    page.get_by_role("button", name="Save the choice").click()
    page.wait_for_url("**/settings/privacy#choice")
    allowed = kept(page, "Your sessions")
    page.get_by_role("radio", name="Don't allow").check()
    page.get_by_role("button", name="Save the choice").click()
    expect(page.locator("#consent tbody tr")).to_have_count(3)

    assert ("30 days", "5 years", "30 days") == (before, allowed, kept(page, "Your sessions"))


def test_a_person_deletes_a_session_and_has_the_receipt(
    town: Town, opened: Open, cleo: Somebody
) -> None:
    """It is gone from the list at once; the receipt says what is destroyed and what is to come."""
    message(town.bailee.ready, "the first", key=cleo.key)
    message(town.bailee.ready, "the second", key=cleo.key)
    page = opened("/settings/privacy", cleo.visitor)
    rows = page.locator("#sessions tbody tr")
    expect(rows).to_have_count(2)

    rows.first.get_by_role("button").click()
    page.wait_for_url("**/settings/privacy#receipts")

    expect(rows).to_have_count(1)
    expect(page.locator("#receipts tbody tr")).to_have_count(1)
    expect(page.locator("#receipts")).to_contain_text("one session, deleted")


def test_a_person_reads_what_is_kept_of_a_session(town: Town, opened: Open, cleo: Somebody) -> None:
    """Their own words, with until when they are kept and by which clause."""
    message(town.bailee.ready, "three blue herons", key=cleo.key)
    page = opened("/settings/privacy", cleo.visitor)

    page.locator("#sessions tbody a").first.click()

    expect(page.locator(".message.user")).to_contain_text("three blue herons")
    expect(page.locator("dl")).to_contain_text("in 29 days")


def test_a_passkey_signs_in_and_nothing_is_typed(town: Town, opened: Open) -> None:
    """Added on the account page with the browser's own authenticator, then used to come back."""
    page = opened("/settings/account", sign_up(town.console, "eva@example.org"))
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    devices.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )

    page.get_by_label("Name of a new passkey").fill("this laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("cell", name="this laptop", exact=True)).to_be_visible()
    page.get_by_role("button", name="Sign out").first.click()
    page.goto(town.console + "/sign-in")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/settings/privacy")

    expect(page.locator(".lede")).to_contain_text("eva@example.org")


def test_the_language_is_switched_by_a_click(town: Town, opened: Open) -> None:
    """On the page where one is, for the pages that follow too, and back."""
    page = opened("/data-usage")

    page.get_by_role("link", name="中文").click()
    page.wait_for_url("**/data-usage")
    chinese = page.locator("html").get_attribute("lang"), page.locator("h1").inner_text()
    page.goto(town.console + "/sign-up")
    followed = page.locator("html").get_attribute("lang")
    page.get_by_role("link", name="English").click()

    assert ("zh-Hans", "您的数据如何被使用", "zh-Hans") == (*chinese, followed)
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign up")


def test_pages_work_by_keyboard_from_the_first_key(town: Town, opened: Open) -> None:
    """The first stop skips the menu; every stop shows where it is."""
    page = opened("/sign-in")

    page.keyboard.press("Tab")
    first = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")

    assert "Skip to the content" == first
    assert "email" == page.evaluate("document.activeElement.id")
    assert "solid" == page.evaluate("getComputedStyle(document.activeElement).outlineStyle")


def test_the_operators_menu_fits_a_phone(town: Town, opened: Open) -> None:
    """In groups: nothing is beside the screen, one group is open at a time, by the keyboard too,
    and without a script.
    """
    phone = {"width": 400, "height": 800}
    page = opened("/", town.operator, viewport=phone, java_script_enabled=False)
    menu = page.get_by_role("navigation")
    box = menu.bounding_box()
    menu.get_by_text("People", exact=True).first.click()
    menu.get_by_text("Service", exact=True).focus()
    page.keyboard.press("Enter")

    expect(menu.get_by_role("link", name="Promises")).to_be_visible()
    expect(menu.get_by_role("link", name="Requests")).to_be_hidden()
    assert box is not None
    assert box["x"] + box["width"] <= phone["width"]
    menu.get_by_role("link", name="Status").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Status")


def test_everything_but_passkeys_works_without_a_script(town: Town, opened: Open) -> None:
    """Signing in with JavaScript off; what needs it is not shown."""
    page = opened("/sign-in", java_script_enabled=False)
    hidden = page.get_by_role("button", name="Sign in with a passkey").count()

    page.locator("#email").fill(town.owner)
    page.locator("#password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/settings/privacy")

    assert 0 == hidden


@pytest.mark.row("R6")
def test_a_person_takes_a_copy_and_then_erases_themselves(town: Town, opened: Open) -> None:
    """The archive has their words; another email erases nothing; then nothing of theirs is left
    to see, the receipt is theirs, and neither password nor key works any more.
    """
    visitor = sign_up(town.console, "hana@example.org")
    key = new_key(visitor)
    message(town.bailee.ready, "the heron's nest", key=key)
    page = opened("/settings/privacy", visitor)

    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download the archive").click()
    with zipfile.ZipFile(waiting.value.path()) as archive:
        copy = b"".join(archive.read(name) for name in archive.namelist())
    page.get_by_role("link", name="Erase your data").click()
    confirmation = page.get_by_label("Type your email")
    confirmation.fill("somebody@example.org")
    page.get_by_role("button", name="Erase my data").click()
    expect(page.get_by_role("alert")).to_contain_text("nothing was erased")
    confirmation.fill("hana@example.org")
    page.get_by_role("button", name="Erase my data").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Erased")
    receipt = json.loads(page.locator("pre code").inner_text())
    page.goto(town.console + "/settings/privacy")

    assert b"the heron's nest" in copy
    assert b"hana@example.org" in copy
    assert "signature" in receipt
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        message(town.bailee.ready, "again", key=key)
    again = visitor.submit(
        "/sign-in", "/sign-in", {"email": "hana@example.org", "password": PASSWORD}
    )
    assert 401 == again.status
    assert "hana@example.org" not in town.operator.get("/admin/people").text

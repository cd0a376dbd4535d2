"""The partner programme, in a real browser: who may join, and who tries and can't."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from browser.conftest import Open, Town


@pytest.mark.row("T5", "T6")
def test_an_admin_joins_by_typing_the_name(town: Town, opened: Open) -> None:
    """Another name joins nothing; the right one does, on record; leaving is one click."""
    page = opened(f"/organisations/{town.organisation}", town.session(town.owner))
    label = page.locator(".label")
    expect(label).to_contain_text("Not used")

    page.get_by_role("link", name="About joining").click()
    confirmation = page.get_by_label("Type the organisation's name")
    confirmation.fill("Orchard")
    page.get_by_role("button", name="Join for the organisation").click()
    expect(page.get_by_role("alert")).to_be_visible()
    confirmation.fill("Orchard Ltd")
    page.get_by_role("button", name="Join for the organisation").click()
    page.wait_for_url(f"**/organisations/{town.organisation}")
    joined = page.get_by_text("joined", exact=True).first.is_visible()
    used = label.locator(".long").first.inner_text()
    page.get_by_role("button", name="Leave the programme").click()

    assert (True, "Used") == (joined, used)
    expect(label).to_contain_text("Not used")
    expect(page.locator("section[aria-labelledby=consent] tbody tr")).to_have_count(2)


@pytest.mark.row("T5", "T6")
def test_a_member_tries_and_can_not(town: Town, opened: Open) -> None:
    """No way there on the page; the address, and the form sent by hand, are refused."""
    member = town.session(town.member)
    page = opened(f"/organisations/{town.organisation}", member)
    expect(page.get_by_text("Only an owner or admin can join")).to_be_visible()
    offered = page.get_by_role("link", name="About joining").count()
    of = f"/organisations/{town.organisation}"

    answer = page.goto(f"{town.console}{of}/partner")
    sent = member.post(f"{of}/partner/join", {"confirmation": "Orchard Ltd"}, member.token(of))

    assert (0, 403, 403) == (offered, answer.status if answer else 0, sent.status)
    expect(page.get_by_role("heading", level=1)).to_have_text("That did not work")
    assert [] == [
        leaf
        for leaf in town.bailee.json("audit", "list", "--kind", "consent.recorded")
        if leaf["body"]["new"] == "joined" and leaf["body"]["actor"] != _owner(town)
    ]


def _owner(town: Town) -> str:
    people = town.bailee.json("person", "list")
    return next(one["person"] for one in people if one["email"] == town.owner)

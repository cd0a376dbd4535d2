"""Bug reports and the survey in a real browser: a person's own, the operator's triage, the plot."""

from __future__ import annotations

import json
import re
import urllib.request
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from browser.conftest import Open, Town, carry, new_key, sign_up
from support.browsers.browsing import Visitor
from support.browsers.looks import barriers

WEEKS = {"2026-09-21": (6, 9, 21, 5), "2026-09-28": (5, 14, 25, 7), "2026-10-05": (1, 9, 30, 2)}


@dataclass(frozen=True)
class Somebody:
    """A person who sent reports; their ids."""

    visitor: Visitor
    reports: list[str]


def send(town: Town, key: str, **parts: Any) -> str:
    """A report that is sent; its id."""
    request = urllib.request.Request(
        town.bailee.ready["ingest"]["otlp"] + "/api/claude_cli_feedback",
        json.dumps({"content": json.dumps(parts)}).encode(),
        {"content-type": "application/json", "x-api-key": key},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        found: str = json.loads(response.read())["feedback_id"]
        return found


@pytest.fixture(scope="module")
def iris(town: Town) -> Somebody:
    """Somebody with three reports."""
    visitor = sign_up(town.console, "iris@example.org")
    key = new_key(visitor)
    talk = [
        {"role": "user", "content": "why does the press stop?"},
        {"role": "assistant", "content": [{"type": "text", "text": "Let me look."}]},
    ]
    about = {"bailee": "0.1.0", "system": "Linux", "machine": "x86_64"}
    return Somebody(
        visitor,
        [
            send(town, key, description=f"The press stops, {n}", transcript=talk, environment=about)
            for n in ("once", "twice", "again")
        ],
    )


@pytest.mark.row("F4")
def test_a_person_reads_and_withdraws_their_report(
    town: Town, opened: Open, iris: Somebody
) -> None:
    """Their own words; once withdrawn it is in no list, and the receipt is there."""
    page = opened("/settings/privacy", iris.visitor)
    rows = page.locator("#reports tbody tr")
    expect(rows).to_have_count(3)
    expect(page.locator(".label")).to_contain_text("Bug reports you send")

    rows.first.get_by_role("link").first.click()
    expect(page.locator("main")).to_contain_text("The press stops, again")
    expect(page.locator(".message.user")).to_contain_text("why does the press stop?")
    expect(page.locator("dl")).to_contain_text("A bug report is kept 5 years")
    page.get_by_role("button", name="Withdraw this report").click()
    page.wait_for_url("**/settings/privacy#receipts")

    expect(rows).to_have_count(2)
    expect(page.locator("#receipts")).to_contain_text("one report, withdrawn")
    page.goto(f"{town.console}/settings/feedback/{iris.reports[2]}")
    expect(page.locator("main")).not_to_contain_text("The press stops")


@pytest.mark.row("F2", "F4", "P4")
def test_the_operator_reads_for_a_reason_links_and_closes(
    town: Town, opened: Open, iris: Somebody
) -> None:
    """Nothing is shown before the reason, and the reason is on record; then the words, without a
    repository no draft; an issue is linked, and what is no address of one is refused.
    """
    report = iris.reports[0]
    page = opened(f"/admin/feedback/{report}", town.operator)
    expect(page.locator("main")).not_to_contain_text("The press stops")

    page.get_by_label("Why do you need to read it?").fill("looking into a stop")
    page.get_by_role("button", name="Record the reason and read").click()
    expect(page.locator("main")).to_contain_text("The press stops, once")
    expect(page.locator("main")).to_contain_text("No repository is set")
    page.get_by_label("Address of an issue").fill("https://user@github.example/x")
    page.get_by_role("button", name="Link").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Address of an issue").fill("https://github.com/orchard/public/issues/7")
    page.get_by_role("button", name="Link").click()
    expect(page.locator("dl")).to_contain_text("linked")
    page.get_by_role("button", name="Close").click()
    expect(page.locator("dl")).to_contain_text("closed")

    entries = town.bailee.json("audit", "list", "--subject", report)
    read = [entry for entry in entries if entry["kind"] == "access.read"]
    assert ["looking into a stop"] == [entry["body"]["reason"] for entry in read]
    page.goto(f"{town.console}/admin/feedback?state=closed")
    expect(page.locator("tbody tr")).to_have_count(1)


@pytest.mark.row("S1", "S2")
def test_a_person_makes_a_key_that_only_sends(town: Town, opened: Open, iris: Somebody) -> None:
    """A tick makes it one; the list says what it opens."""
    page = opened("/settings/account", iris.visitor)

    page.get_by_label("Name of a new key").fill("for a DSN")
    page.get_by_label("Only for sending").check()
    page.get_by_role("button", name="Make a key").click()

    said = page.locator(".note[role=status]")
    expect(said).to_contain_text("It works for the ingest only")
    row = page.locator("tbody tr").filter(has_text="for a DSN")
    expect(row).to_contain_text("sending")
    assert re.search(r"bl_[0-9a-f]{10}_", said.inner_text())


@pytest.fixture(scope="module")
def answered(town: Town) -> None:
    """A few weeks of answers, one of which has small counts."""
    import sqlite3

    with sqlite3.connect(town.bailee.home / "data" / "data.db", timeout=30) as database:
        database.executemany(
            "INSERT INTO survey_counts (day, version, answer, count) VALUES (?, ?, ?, ?)",
            [
                (week, "bailee/0.1.0", answer, count)
                for week, counts in WEEKS.items()
                for answer, count in zip(("1", "2", "3", "dismissed"), counts, strict=True)
            ],
        )


@pytest.mark.row("F3")
def test_the_survey_is_a_plot_and_a_table_without_small_counts(
    town: Town, opened: Open, answered: None
) -> None:
    """A bar with pieces for weeks that are shown whole, an outline for one that is not; the table
    has the same numbers, and a dash where there is none to see.
    """
    page = opened("/admin/survey", town.operator)

    expect(page.locator("svg.shares.wide .unshown")).to_have_count(
        2
    )  # one would give the other away
    expect(page.locator("svg.shares.wide rect[class=share2]")).to_have_count(
        2
    )  # legend and one week
    table = page.locator("table").first
    row = table.locator("tr").filter(has=page.get_by_role("rowheader", name="2026-09-21"))
    assert ["6", "9", "21", "5", "41"] == row.locator("td").all_inner_texts()
    small = table.locator("tr").filter(has=page.get_by_role("rowheader", name="2026-10-05"))
    assert "–" in small.locator("td").all_inner_texts()
    assert not {"1", "2"} & set(small.locator("td").all_inner_texts())


def test_no_page_of_feedback_keeps_anyone_out(
    chromium: Browser, axe: str, town: Town, iris: Somebody, answered: None
) -> None:
    """No serious finding of axe-core, and no page is wider than the screen, in both languages."""
    own, admin = f"/settings/feedback/{iris.reports[1]}", f"/admin/feedback/{iris.reports[1]}"
    pages = {
        "privacy-reports": (iris.visitor, "/settings/privacy"),
        "own-report": (iris.visitor, own),
        "own-report-zh": (iris.visitor, f"{own}?lang=zh"),
        "feedback": (town.operator, "/admin/feedback"),
        "feedback-zh": (town.operator, "/admin/feedback?lang=zh"),
        "admin-report": (town.operator, admin),
        "survey": (town.operator, "/admin/survey"),
        "survey-zh": (town.operator, "/admin/survey?lang=zh"),
    }
    found: dict[str, object] = {}
    tabs: dict[int, Page] = {}
    for one in (iris.visitor, town.operator):
        tabs[id(one)] = chromium.new_context(locale="en").new_page()
        carry(one, tabs[id(one)].context, town.console)
    for name, (visitor, path) in pages.items():
        page = tabs[id(visitor)]
        page.goto(town.console + path)
        if name == "admin-report":
            page.locator("#reason").fill("looking at the page")
            page.get_by_role("button", name="Record the reason and read").click()
            expect(page.locator(".message")).to_have_count(2)
        if findings := barriers(page, name, axe):
            found[name] = findings
    for tab in tabs.values():
        tab.context.close()

    assert {} == found

"""Every page, light and wide, dark and narrow: axe-core finds nothing serious, none spills over."""

from __future__ import annotations

import urllib.request

import pytest
from playwright.sync_api import Browser, Page, expect

from browser.conftest import Open, Town, carry, new_key, sign_up
from support.browsers.browsing import Visitor
from support.browsers.looks import PICTURES, barriers
from support.clients.measured import send_day
from support.clients.programs import message

SESSION = "0d7c3d1c-32a5-4d0c-8f0b-0d7c3d1c1a88"
GONE = "0d7c3d1c-32a5-4d0c-8f0b-0d7c3d1c1a89"
TWICE = b'{"model":"m","messages":[{"role":"user","content":"plum","content":"pear"}]}'
OPENED = "document.querySelectorAll('main details').forEach(one => { one.open = true })"


def say(town: Town, said: str | bytes, key: str) -> None:
    """A message in one session, or a body as it is."""
    if isinstance(said, str):
        message(town.bailee.ready, said, key=key, session=SESSION)
        return
    headers = {"x-api-key": key, "x-claude-code-session-id": SESSION}
    address = town.bailee.ready["gateway"] + "/v1/messages"
    urllib.request.urlopen(urllib.request.Request(address, said, headers), timeout=30).read()


def addresses(town: Town, person: Visitor) -> dict[str, tuple[Visitor | None, str]]:
    """Every page, with who looks at it."""
    operator, of = town.operator, f"/organisations/{town.organisation}"
    owner = town.session(town.owner)
    limit = ("--of", town.organisation, "--each", "--money", "500", "--per", "week")
    assert 0 == town.bailee.run("limits", "set", *limit).returncode
    more = {"beyond": f"{town.organisation}/week", "enough": "600"}
    assert 200 == owner.submit("/usage", "/usage/increases", more).status
    session = town.bailee.sessions()[0]["id"]
    mine = person.get("/settings/privacy").text.split('href="/settings/sessions/')[1].split('"')[0]
    somebody = town.bailee.json("person", "list")[0]["person"]
    asked = person.submit("/settings/privacy", "/settings/requests", {"kind": "access"})
    request = "req_" + asked.text.split("<code>req_")[1].split("<")[0]
    receipt = person.get("/settings/privacy").text.split('href="/receipts/')[1].split('"')[0]
    issue = next(i["id"] for i in town.bailee.json("errors", "list") if i["where"])
    return {
        "sign-in": (None, "/sign-in"),
        "sign-up": (None, "/sign-up"),
        "data-usage": (None, "/data-usage"),
        "data-usage-zh": (None, "/data-usage?lang=zh"),
        "policy": (None, "/policy"),
        "policy-search": (None, "/policy?q=training"),
        "explain": (None, "/policy/explain?action=retain&plan=pro&training_choice=allowed"),
        "explain-send": (None, "/policy/explain?action=send&flow=metrics&DISABLE_TELEMETRY=1"),
        "missing": (None, "/no-such-page"),
        "privacy": (person, "/settings/privacy"),
        "privacy-zh": (person, "/settings/privacy?lang=zh"),
        "choice": (person, "/settings/choice"),
        "erase": (person, "/settings/erase"),
        "session": (person, f"/settings/sessions/{mine}"),
        "session-zh": (person, f"/settings/sessions/{mine}?lang=zh"),
        "account": (person, "/settings/account"),
        "search": (person, "/settings/sessions/search"),
        "receipt": (person, f"/receipts/{receipt}"),
        "usage": (person, "/usage"),
        "device": (person, "/device"),
        "cloud": (person, "/cloud"),
        "organisation": (owner, of),
        "organisation-staff": (operator, of),
        "own-policy": (owner, f"{of}/policy"),
        "organisation-usage": (owner, f"{of}/usage"),
        "usage-asked": (owner, "/usage"),
        "partner": (owner, f"{of}/partner"),
        "overview": (operator, "/"),
        "people": (operator, "/admin/people"),
        "bring": (operator, "/admin/bring"),
        "requests": (operator, "/admin/requests"),
        "request": (operator, f"/admin/requests/{request}"),
        "reports": (operator, "/admin/feedback"),
        "survey": (operator, "/admin/survey"),
        "usage-all": (operator, "/usage?by=person"),
        "person": (operator, f"/admin/people/{somebody}"),
        "organisations": (operator, "/admin/organisations"),
        "sessions": (operator, "/admin/sessions"),
        "admin-session": (operator, f"/admin/sessions/{session}"),
        "holds": (operator, "/admin/holds"),
        "retention": (operator, "/admin/retention"),
        "metrics": (operator, "/admin/metrics"),
        "metrics-zh": (operator, "/admin/metrics?lang=zh&range=7d"),
        "metrics-tables": (operator, "/admin/metrics?view=table&latency=claude_code.api_request"),
        "measure": (operator, "/admin/metrics/claude_code.api_request?by=model"),
        "measure-counter": (operator, "/admin/metrics/claude_code.token.usage?by=type&range=7d"),
        "dropped": (operator, "/admin/metrics/dropped"),
        "errors": (operator, "/admin/errors"),
        "errors-zh": (operator, "/admin/errors?state=all&lang=zh"),
        "error-issue": (operator, f"/admin/errors/{issue}"),
        "promises": (operator, "/admin/promises"),
        "status": (operator, "/admin/status"),
        "status-zh": (operator, "/admin/status?lang=zh"),
        "promises-zh": (operator, "/admin/promises?lang=zh"),
        "audit": (operator, "/admin/audit"),
        "difference": (operator, "/policy/difference"),
    }


@pytest.fixture(scope="module")
def pages(town: Town) -> dict[str, tuple[Visitor | None, str]]:
    """The pages, with something on them."""
    person = sign_up(town.console, "gwen@example.org", "allowed")
    key = new_key(person)
    for number in range(3):
        message(town.bailee.ready, f"turn {number}", key=key)
    for said in ("the gate", "the gate", TWICE):  # a branch, and what is kept as bytes
        say(town, said, key)
    message(town.bailee.ready, "to be deleted", key=key, session=GONE)
    town.bailee.sessions(5)
    person.submit("/settings/privacy", f"/settings/sessions/{GONE}/delete")
    send_day(town.bailee.ready["ingest"], key)
    return addresses(town, person)


def test_no_page_keeps_anyone_out(
    chromium: Browser, axe: str, town: Town, pages: dict[str, tuple[Visitor | None, str]]
) -> None:
    """No serious finding of axe-core, and no page is wider than the screen, light and dark: with
    everything unfolded.
    """
    found: dict[str, object] = {}
    tabs: dict[int, Page] = {}
    asked = dict(pages)
    if PICTURES:
        for name, (visitor, path) in pages.items():
            asked[f"{name}-zh"] = visitor, f"{path}{'&' if '?' in path else '?'}lang=zh"
    for name, (visitor, path) in asked.items():
        tab = tabs.get(id(visitor))
        if tab is None:
            tab = tabs[id(visitor)] = chromium.new_context(locale="en").new_page()
            if visitor is not None:
                carry(visitor, tab.context, town.console)
        answer = tab.goto(town.console + path)
        tab.evaluate(OPENED)
        findings = barriers(tab, name, axe)
        if answer is None or (answer.status == 200) is name.startswith("missing"):
            findings.append("not the page that was meant")
        if findings:
            found[name] = findings
    for tab in tabs.values():
        tab.context.close()

    assert {} == found


@pytest.mark.row("P3")
def test_a_list_is_turned_round_and_kept_as_a_view(
    axe: str, opened: Open, pages: dict[str, tuple[Visitor | None, str]]
) -> None:
    """By the column's head, which says so, wide and narrow; saved under a name, used from the list
    as it was, and deleted. Nothing of it keeps anyone out.
    """
    page = opened("/settings/privacy", pages["privacy"][0])
    sessions = page.locator("#sessions")
    head = sessions.get_by_role("columnheader", name="Last activity")
    expect(head).to_have_attribute("aria-sort", "descending")
    ids = sessions.locator("tbody tr td:first-child a")
    latest = [one.get_attribute("title") for one in ids.all()]
    page.set_viewport_size({"width": 400, "height": 800})
    head.get_by_role("link").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert latest[::-1] == [one.get_attribute("title") for one in ids.all()]

    sessions.get_by_text("Save this view").click()
    sessions.get_by_label("Name of the view").fill("<b>from the start</b>")
    sessions.get_by_role("button", name="Save").click()
    link = sessions.get_by_role("link", name="<b>from the start</b>")
    expect(link).to_have_attribute("aria-current", "true")
    page.evaluate(OPENED)
    assert [] == barriers(page, "view", axe)
    head.get_by_role("link").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    link.click()
    expect(head).to_have_attribute("aria-sort", "ascending")

    sessions.get_by_role("button", name="Delete the view <b>from the start</b>").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(link).to_have_count(0)
    assert 1 < len(latest)

"""Cloud sessions in the browser: started, watched, continued and ended, without a mouse.

The machines are processes of this host (`bailee.testing.machines`): what is looked at are pages.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from bailee.testing.upstream import ScriptedUpstream, Text, ToolUse
from browser.conftest import carry, sign_up
from support.browsers.browsing import Visitor
from support.browsers.looks import barriers
from support.clients.programs import SIGN_UP, Bailee
from support.servers.git_server import GitServer, git

TASK = "Plant nineteen apricot trees"


@dataclass
class Yard:
    """A server with a runner, a repository, and a person who may use it."""

    bailee: Bailee
    console: str
    person: Visitor
    operator: Visitor
    repository: str
    upstream: ScriptedUpstream


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """See `Yard`."""
    folder = tmp_path_factory.mktemp("yard")
    bailee = Bailee(folder)
    runner = None
    with GitServer(folder / "git") as server, ScriptedUpstream(tools_only=True) as upstream:
        try:
            bare, clone = server.make("orchard.git"), folder / "clone"
            git("clone", "--quiet", str(bare), str(clone))
            (clone / "README.md").write_text("An orchard.\n")
            git("add", ".", cwd=clone)
            git("commit", "--quiet", "-m", "First", cwd=clone)
            git("push", "--quiet", "origin", "HEAD:main", cwd=clone)
            networks = {"BAILEE_CLOUD_GIT_NETWORKS": "127.0.0.0/8"}
            bailee.up("--upstream", upstream.url, env={**networks, **SIGN_UP})
            script = Path(__file__).parents[1] / "support/machines/host_runner.py"
            runner = subprocess.Popen([sys.executable, str(script), str(bailee.home), "2"])
            console = bailee.ready["console"]
            operator = Visitor(console)
            operator.get(bailee.ready["sign_in"])
            person = sign_up(console, "gwen@example.org")
            (account,) = (one["account"] for one in bailee.json("person", "list"))
            added = bailee.run(
                *("cloud", "git", "add", f"127.0.0.1:{server.port}", "--kind", "basic"),
                *("--user", server.user, "--secret-env", "WORD", "--account", account),
                env={"WORD": server.password},
            )
            assert (0, "") == (added.returncode, added.stderr)
            url = server.url("orchard.git")
            yield Yard(bailee, console, person, operator, url, upstream)
            bailee.stop()
        finally:
            bailee.close()
            if runner is not None:
                runner.kill()
                runner.wait()


@pytest.fixture
def page(chromium: Browser, yard: Yard) -> Iterator[Page]:
    """A page of the person's."""
    context = _context(chromium, yard, yard.person)
    yield context.new_page()
    context.close()


def _context(chromium: Browser, yard: Yard, visitor: Visitor, **options: object) -> BrowserContext:
    settings = {"viewport": {"width": 1280, "height": 800}, "locale": "en"} | options
    context = chromium.new_context(**settings)  # type: ignore[arg-type]
    context.set_default_timeout(60_000)
    carry(visitor, context, yard.console)
    return context


def _start(page: Page, yard: Yard, task: str = TASK) -> str:
    """Fill in the form and send it by keyboard; the session's id."""
    page.goto(f"{yard.console}/cloud")
    page.get_by_label("Repository").fill(yard.repository)
    page.get_by_label("What should be done?").fill(task)
    page.get_by_role("button", name="Start the session").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/cloud/cs-"))
    return page.url.rpartition("/")[2].partition("#")[0]


@pytest.mark.row("C5", "C4")
def test_a_session_is_started_watched_continued_and_ended(page: Page, yard: Yard) -> None:
    """The page goes on by itself while the agent works; a follow-up, its changes, and the end."""
    yard.upstream.then(
        ToolUse("Write", {"path": "TREES.md", "content": "Nineteen apricot trees.\n"}),
        Text("They are planted."),
        Text("They are watered."),
    )
    session = _start(page, yard)
    log = page.get_by_role("log")
    expect(log).to_contain_text("They are planted.", timeout=60_000)
    expect(log).to_have_attribute("aria-live", "polite")
    expect(page.locator("#state")).to_have_text("done, waiting for a follow-up", timeout=60_000)
    expect(log).to_contain_text("pushed")

    page.get_by_label("Ask for more").fill("Water them")
    page.get_by_role("button", name="Send").press("Enter")
    expect(log).to_contain_text("They are watered.", timeout=60_000)
    expect(page.locator("#state")).to_have_text("done, waiting for a follow-up", timeout=60_000)

    page.get_by_role("link", name="Changes").press("Enter")
    expect(page.locator(".patch .added")).to_have_text("+Nineteen apricot trees.")
    page.go_back()
    page.get_by_role("link", name="Connections").press("Enter")
    expect(page.get_by_role("heading", name="Connections")).to_be_visible()
    page.goto(f"{yard.console}/cloud/{session}")
    page.get_by_role("button", name="End the session").press("Enter")
    expect(page.locator("#state")).to_have_text("stopped", timeout=60_000)
    expect(page.locator("dl.pairs")).to_contain_text("retain.consumer-refused", timeout=5_000)


@pytest.mark.row("C4", "P4")
def test_the_operator_gives_a_reason_before_reading(
    chromium: Browser, page: Page, yard: Yard
) -> None:
    """Its particulars are shown, its content only once the reason is on record."""
    yard.upstream.then(Text("A secret orchard."))
    session = _start(page, yard, "Say where the orchard is")
    expect(page.get_by_role("log")).to_contain_text("A secret orchard.", timeout=60_000)
    context = _context(chromium, yard, yard.operator)
    staff = context.new_page()
    staff.goto(f"{yard.console}/cloud/{session}")
    assert "A secret orchard." not in staff.content()
    assert yard.repository not in staff.content()
    assert 403 == staff.goto(f"{yard.console}/cloud/{session}/changes").status  # type: ignore[union-attr]
    staff.goto(f"{yard.console}/cloud/{session}")
    staff.get_by_label("Why do you need to read it?").fill("request 7")
    staff.get_by_role("button", name="Record the reason and read").press("Enter")
    expect(staff.get_by_role("log")).to_contain_text("A secret orchard.")
    reads = yard.bailee.json("audit", "list", "--subject", session)
    assert "request 7" in str([one["body"] for one in reads])
    context.close()


def test_without_a_script_the_page_is_whole(chromium: Browser, yard: Yard) -> None:
    """Form, log, follow-up and end work, and the page says that it stands still."""
    yard.upstream.then(Text("Counted: nineteen."))
    context = _context(chromium, yard, yard.person, java_script_enabled=False)
    page = context.new_page()
    _start(page, yard, "Count the trees")
    said = threading.Event()
    for _ in range(120):
        page.reload()
        if "Counted: nineteen." in page.content():
            said.set()
            break
        page.wait_for_timeout(500)
    assert said.is_set()
    expect(page.get_by_text("Without JavaScript this page does not update.")).to_be_visible()
    page.get_by_role("button", name="End the session").press("Enter")
    expect(page.locator("#state")).to_have_text(re.compile("stopped|finished"))
    context.close()


def test_no_page_of_theirs_keeps_anyone_out(chromium: Browser, axe: str, yard: Yard) -> None:
    """No serious finding of axe-core, and no page is wider than the screen."""
    listed = yard.bailee.json("cloud", "list")
    session = listed[-1]["session"]
    context = _context(chromium, yard, yard.person)
    page = context.new_page()
    found: dict[str, object] = {}
    for name, path in {
        "cloud": "/cloud",
        "cloud-zh": "/cloud?lang=zh",
        "cloud-session": f"/cloud/{session}",
        "cloud-changes": f"/cloud/{session}/changes",
        "cloud-connections": f"/cloud/{session}/connections",
    }.items():
        page.goto(yard.console + path)
        if findings := barriers(page, name, axe):
            found[name] = findings
    context.close()

    assert {} == found

"""A real Chromium in front of a real server, and a small town that lives there."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from coding_agents import fetching
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from bailee.testing.upstream import ScriptedUpstream
from support.browsers.browsing import Visitor
from support.clients.programs import SIGN_UP, Bailee

# The same engine without windows, which takes half the processor, or else the whole browser.
CHROMIUM = [Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium")]
AXE = "axe-core@4.11.0"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # axe-core makes short-lived objects by the million: with little room for new ones, a fifth of
    # what a page takes is collecting them.
    "--js-flags=--min-semi-space-size=32 --max-semi-space-size=64",
]
PASSWORD = "seven pear trees in a row"
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Chromium, headless, with an empty profile. For one file of tests: what drives it keeps an
    event loop running in this thread, and tests elsewhere run loops of their own.
    """
    found = next((one for one in CHROMIUM if one.exists()), None)
    if found is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(found), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, from the npm registry, kept in .cache."""
    with fetching("axe") as folder:
        source = folder / "node_modules" / "axe-core" / "axe.min.js"
        if not source.exists():
            npm = shutil.which("npm")
            if npm is None:
                pytest.skip("npm is not installed, so axe-core can't be fetched")
            options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", "."]
            done = subprocess.run(
                [npm, "install", *options, AXE],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if not source.exists():
                pytest.skip(f"npm can't fetch axe-core: {done.stderr.strip()[-200:]}")
    return source.read_text("utf-8")


@dataclass(frozen=True)
class Town:
    """A server, its operator, and an organisation with an owner and a member."""

    bailee: Bailee
    console: str
    operator: Visitor
    organisation: str
    owner: str
    member: str

    def session(self, email: str) -> Visitor:
        """A person of the town, signed in."""
        visitor = Visitor(self.console)
        answer = visitor.submit("/sign-in", "/sign-in", {"email": email, "password": PASSWORD})
        assert 200 == answer.status
        return visitor


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town of its own for each file of tests."""
    bailee = Bailee(tmp_path_factory.mktemp("town"))
    with ScriptedUpstream(tools_only=False) as upstream:
        bailee.up("--upstream", upstream.url, env={"ORCHARD_SECRET": "provider-secret", **SIGN_UP})
        try:
            console = bailee.ready["console"]
            operator = Visitor(console)
            operator.get(bailee.ready["sign_in"])
            for email in ("olga@example.org", "max@example.org"):
                sign_up(console, email)
            organisation = operator.submit(
                "/admin/organisations",
                "/admin/organisations",
                {"name": "Orchard Ltd", "plan": "team", "owner": "olga@example.org"},
            ).url.rpartition("/")[2]
            page = f"/organisations/{organisation}"
            operator.submit(
                page, f"{page}/members", {"person": "max@example.org", "role": "member"}
            )
            yield Town(
                bailee, console, operator, organisation, "olga@example.org", "max@example.org"
            )
        finally:
            bailee.stop()
            bailee.close()


def sign_up(console: str, email: str, choice: str = "refused") -> Visitor:
    """A new person, with the choice that they make; waits while there were too many of late."""
    visitor = Visitor(console)
    fields = {"email": email, "password": PASSWORD, "plan": "pro", "choice": choice}
    while (answer := visitor.submit("/sign-up", "/sign-up", fields)).status == 429:
        time.sleep(0.5)
    assert 200 == answer.status
    return visitor


def new_key(visitor: Visitor) -> str:
    """A key that a person makes on their account page."""
    made = visitor.submit("/settings/account", "/settings/account/keys", {"name": "laptop"})
    found = re.search(r"bl_[0-9a-f]{10}_[0-9a-f]{48}", made.text)
    assert found is not None
    return found[0]


def carry(visitor: Visitor, context: BrowserContext, console: str) -> None:
    """Give a browser the cookies of a visitor."""
    context.add_cookies(
        [{"name": one.name, "value": one.value or "", "url": console} for one in visitor.jar]
    )


@pytest.fixture
def opened(chromium: Browser, town: Town) -> Iterator[Open]:
    """Opens a page of the console in a browser of its own, as nobody or as a visitor."""
    contexts: list[BrowserContext] = []

    def open_page(path: str, visitor: Visitor | None = None, **options: object) -> Page:
        settings = {"viewport": {"width": 1280, "height": 800}, "locale": "en"} | options
        context = chromium.new_context(**settings)  # type: ignore[arg-type]
        context.set_default_timeout(15_000)
        contexts.append(context)
        if visitor is not None:
            carry(visitor, context, town.console)
        page = context.new_page()
        page.goto(town.console + path)
        return page

    yield open_page
    for context in contexts:
        context.close()

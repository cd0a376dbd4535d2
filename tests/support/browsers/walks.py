"""A person's way to a goal, walked in a browser, with the clicks, fields and commands of each step.

Each page that is come to is asked of axe-core, as wide as a desk and as narrow as a phone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Locator, Page

from support.browsers.looks import barriers


@dataclass
class Step:
    """One of the things that a person sets out to do."""

    name: str
    pages: int = 0
    clicks: int = 0
    fields: int = 0
    commands: int = 0

    def row(self) -> str:
        """As a row of a table in Markdown."""
        counts = (self.pages, self.clicks, self.fields, self.commands)
        return f"| {self.name} | {' | '.join(str(one or '') for one in counts)} |"


@dataclass
class Walk:
    """One person's. A test makes it, and goes by it alone, so that nothing is left uncounted."""

    page: Page
    axe: str
    steps: list[Step] = field(default_factory=list)
    barriers: list[str] = field(default_factory=list)

    def step(self, name: str) -> None:
        """Set out to do the next thing."""
        self.steps.append(Step(name))

    def open(self, address: str) -> None:
        """Come by an address, as from a link that was sent."""
        self.page.goto(address)
        self._arrive()

    def go(self, on: Locator) -> None:
        """Click on what leads to a page."""
        with self.page.expect_navigation():
            self._click(on)
        self._arrive()

    def click(self, on: Locator) -> None:
        """Click on what changes this page alone."""
        self._click(on)

    def fill(self, label: str, text: str) -> None:
        """Type into a field, or choose in a list."""
        self.steps[-1].fields += 1
        on = self.page.get_by_label(label, exact=True)
        if on.evaluate("one => one.tagName") == "SELECT":
            on.select_option(label=text)
        else:
            on.fill(text)

    def check(self, name: str) -> None:
        """Choose one of several, by how it begins."""
        self._click(self.page.get_by_role("radio", name=re.compile(f"^{name}\\b")))

    def menu(self, group: str, name: str) -> None:
        """Go by the menu, in whose group a place is."""
        menu = self.page.get_by_role("navigation").first
        self.click(menu.locator("summary", has_text=group).first)
        self.go(menu.get_by_role("link", name=name, exact=True))

    def download(self, on: Locator) -> bytes:
        """Click on what gives a file; what is in it."""
        with self.page.expect_download() as waiting:
            self._click(on)
        return Path(waiting.value.path()).read_bytes()

    @contextmanager
    def command(self) -> Iterator[None]:
        """What is typed at a terminal."""
        self.steps[-1].commands += 1
        yield

    def table(self) -> list[str]:
        """The steps as rows of a table, and all of them together."""
        whole = Step("**all**")
        for one in self.steps:
            for name in ("pages", "clicks", "fields", "commands"):
                setattr(whole, name, getattr(whole, name) + getattr(one, name))
        return [one.row() for one in [*self.steps, whole]]

    def _click(self, on: Locator) -> None:
        self.steps[-1].clicks += 1
        on.click()

    def _arrive(self) -> None:
        self.steps[-1].pages += 1
        name = self.page.title()
        self.barriers += [f"{name}: {one}" for one in barriers(self.page, f"walk-{name}", self.axe)]
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size({"width": 1280, "height": 800})

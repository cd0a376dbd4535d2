"""`bailee code` says which of a person's terms changed, and tells the console that it was seen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.clients.terminal import Opens
from support.servers.json_console import JsonConsole, served

pytestmark = pytest.mark.row("P5")
NOTICE = {
    "number": 7,
    "at": "2026-11-29T10:00:00+00:00",
    "before": "2025-08-28",
    "after": "2025-10-17",
    "changes": [{"text": "bug report, how long: 30 days → 5 years", "clause": "retain.feedback"}],
}


class Console(JsonConsole):
    """A console with a notice, until it was seen."""

    def do_GET(self) -> None:
        """The notice where it is asked for; nothing of anything else."""
        asked = self.path.startswith("/api/v1/policy/notices?language=")
        self.answer(([] if self.held else [NOTICE]) if asked else {})

    def do_PUT(self) -> None:
        """It was seen."""
        self.rfile.read(int(self.headers["content-length"]))
        self.held.append(self.path)
        self.answer([])


@pytest.fixture
def console() -> Iterator[tuple[str, list[str]]]:
    """Its address, and what it was told."""
    with served(Console) as found:
        yield found


def test_a_start_says_what_changed_and_that_it_was_seen(
    opens: Opens, console: tuple[str, list[str]]
) -> None:
    """From which document to which, each change with its clause."""
    address, seen = console
    env = {"ANTHROPIC_AUTH_TOKEN": "bl_0123456789_" + "0" * 48, "BAILEE_CONSOLE_URL": address}
    terminal = opens(columns=400, until="Since 2026-11-29 the policy document of 2025-10-17", **env)
    terminal.wait("30 days → 5 years")
    terminal.wait("retain.feedback")
    terminal.wait(r"(?m)^>$")
    terminal.type("\x04")
    assert 0 == terminal.end()
    assert ["/api/v1/policy/notices/7"] == seen

"""`bailee code` says once which of a person's sessions on the server go within a week, and that
their key ends soon.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from support.clients.terminal import Opens
from support.servers.json_console import JsonConsole, served

pytestmark = pytest.mark.row("O7", "O1")


class Console(JsonConsole):
    """A console that names what goes: when is what it holds. Keys end in two days."""

    def do_GET(self) -> None:
        """Sessions where it is asked for those that go; nothing to ask about training."""
        if self.path.startswith("/api/v1/sessions/going"):
            self.answer({"sessions": [{"kept_until": end} for end in self.held]})
        else:
            end = datetime.now(UTC) + timedelta(days=2)
            self.answer({"expires": end.isoformat()} if self.path == "/api/v1/key" else {})


@pytest.fixture
def console() -> Iterator[tuple[str, list[str]]]:
    """Its address, and when what goes does."""
    with served(Console) as found:
        yield found


def test_a_start_says_what_goes_on_the_server_and_says_it_once(
    opens: Opens, console: tuple[str, list[str]]
) -> None:
    """How many, the first day, and where they are kept; a later start names the new one alone."""
    address, ends = console
    ends += ["2027-03-02T10:00:00+00:00", "2027-03-01T10:00:00+00:00"]
    env = {"ANTHROPIC_AUTH_TOKEN": "bl_0123456789_" + "0" * 48, "BAILEE_CONSOLE_URL": address}
    first = opens(columns=400, until="2 of your sessions on the server", **env)
    first.wait("the first on 2027-03-01")
    first.wait(f"{address}/settings/privacy")
    first.wait(f"Your key ends on [0-9 :-]+; from then on it opens nothing. .*{address}")
    first.wait(r"(?m)^>$")
    first.type("\x04")
    assert 0 == first.end()
    ends.append("2027-03-03T10:00:00+00:00")
    later = "您在服务器上的 1 个会话将在一周内到期删除，最早的一个在 2027-03-03".replace(" ", "")
    second = opens(columns=400, until="2027-03-03", LANG="zh_CN.UTF-8", **env)
    second.wait(lambda shown: later in shown.replace(" ", ""))

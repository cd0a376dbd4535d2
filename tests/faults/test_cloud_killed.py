"""kill -9 of a runner and of the server while a cloud session works: nothing of it is left, it ends
with the reason on record, and what was waiting is taken up.
"""

from __future__ import annotations

import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bailee.home import Home
from bailee.testing.upstream import Exactly, Reply, ScriptedUpstream
from support.clients.asking import ask_server
from support.clients.programs import Bailee
from support.machines.cloud_machines import ancestors, emulators, memory_of
from support.machines.emulated import SETTINGS, image
from support.servers.git_server import GitServer, git

KEY = re.compile(rb"bl_[0-9a-f]{10}_[0-9a-f]{48}")
TASK = "Plant a quince where nobody looks"


@dataclass
class Yard:
    """A server with room for one session, and a model that never answers."""

    bailee: Bailee
    upstream: ScriptedUpstream
    server: GitServer

    def up(self) -> None:
        """Start the server."""
        environment = {
            **SETTINGS,
            "BAILEE_CLOUD_CAPACITY": "1",
            "BAILEE_CLOUD_GIT_NETWORKS": "127.0.0.0/8",
        }
        self.bailee.up("--upstream", self.upstream.url, env=environment)

    def start(self) -> str:
        """Ask for a session."""
        repository = self.server.url("orchard.git")
        started: dict[str, Any] = self.bailee.json("cloud", "start", "--repo", repository, TASK)
        return str(started["session"])

    def state(self, session: str) -> str:
        """How far it has come."""
        shown = ask_server(Home(self.bailee.home), "cloud.show", {"id": session})
        return str(shown["state"])

    def working(self, session: str) -> tuple[int, bytes]:
        """Wait until its agent asks the model; its emulator, and its key."""
        until(lambda: len(self.upstream.conversations) > 0 or self.state(session) == "ended")
        assert [] != self.upstream.conversations, self.bailee.json("cloud", "show", session)
        (emulator,) = emulators(self.bailee.ready["pid"])
        (key,) = {key for piece in memory_of(emulator) for key in KEY.findall(piece)}
        assert "working" == self.state(session)
        return emulator, key

    def begun(self, session: str) -> int:
        """Wait until it has a machine; its emulator."""
        until(lambda: self.state(session) in ("cloning", "working"))
        (emulator,) = emulators(self.bailee.ready["pid"])
        return emulator

    def accepts(self, key: bytes) -> bool:
        """Whether the gateway takes a key."""
        request = urllib.request.Request(
            self.bailee.ready["gateway"] + "/v1/messages/count_tokens",
            b"{}",
            {"x-api-key": key.decode(), "content-type": "application/json"},
        )
        try:
            urllib.request.urlopen(request, timeout=30).close()
        except urllib.error.HTTPError as error:
            return error.code != 401
        return True


def until(condition: Callable[[], bool], seconds: float = 900.0) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.3)


@pytest.fixture
def yard(bailee: Bailee, tmp_path: Path) -> Iterator[Yard]:
    """See `Yard`."""
    image()
    never = Exactly(Reply(parts=("wait",), framing="chunked"))
    with (
        GitServer(tmp_path / "git") as server,
        ScriptedUpstream([never] * 9, tools_only=True) as upstream,
    ):
        bare, clone = server.make("orchard.git"), tmp_path / "clone"
        git("clone", "--quiet", str(bare), str(clone))
        (clone / "README.md").write_text("An orchard.\n")
        git("add", ".", cwd=clone)
        git("commit", "--quiet", "-m", "First", cwd=clone)
        git("push", "--quiet", "origin", "HEAD:main", cwd=clone)
        made = Yard(bailee, upstream, server)
        made.up()
        place = ("cloud", "git", "add", f"127.0.0.1:{server.port}", "--kind", "basic")
        added = bailee.run(
            *(*place, "--user", server.user, "--secret-env", "WORD"), env={"WORD": server.password}
        )
        assert (0, "") == (added.returncode, added.stderr)
        yield made


@pytest.mark.row("C1", "C2", "R5")
def test_nothing_is_left_and_what_waits_goes_on(yard: Yard) -> None:
    """First the server is killed; then the runner, with the session that was waiting in it."""
    first, second, third = yard.start(), yard.start(), yard.start()
    emulator, key = yard.working(first)
    assert (True, "queued") == (yard.accepts(key), yard.state(second))
    runner = ancestors(emulator)[0]
    yard.bailee.stop(signal.SIGKILL)
    until(lambda: not Path(f"/proc/{emulator}").exists())
    until(lambda: not Path(f"/proc/{runner}").exists())

    yard.up()
    assert False is yard.accepts(key)
    until(lambda: yard.state(first) == "ended")
    assert ["runner_lost"] == ends(yard, first)

    emulator = yard.begun(second)  # it never had a machine before
    os.kill(ancestors(emulator)[0], signal.SIGKILL)
    until(lambda: yard.state(second) == "ended")
    until(lambda: not Path(f"/proc/{emulator}").exists())
    assert ["runner_lost"] == ends(yard, second)

    emulator = yard.begun(third)  # another runner was started for it
    yard.bailee.run("cloud", "stop", third)
    assert (["stopped"], False) == (ends(yard, third), Path(f"/proc/{emulator}").exists())
    assert [] == yard.bailee.holds(TASK.encode(), key)


def ends(yard: Yard, session: str) -> list[str]:
    """The reasons of its ends in the audit record."""
    entries = yard.bailee.json("audit", "list", "--subject", session)
    return [e["body"]["reason"] for e in entries if e["kind"] == "cloud.session_ended"]

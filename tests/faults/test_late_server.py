"""A running server that can't keep its promise for longer than it may: it says so everywhere, goes
on trying, and takes it back when it can again. The hours pass while the machine is asleep.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bailee.testing.upstream import ScriptedUpstream, Text
from faults.test_clock_of_a_server import Served, until
from support.browsers.browsing import Visitor

HOUR = 3600


class Sleeping(Served):
    """A server whose databases refuse things."""

    def refuse(self, database: str, doing: str) -> None:
        """Have a database refuse something."""
        self._run(database, f"CREATE TRIGGER no BEFORE {doing} BEGIN SELECT RAISE(ABORT, 'x'); END")

    def allow(self, database: str) -> None:
        """Have it do that again."""
        self._run(database, "DROP TRIGGER no")

    def _run(self, database: str, statement: str) -> None:
        with closing(sqlite3.connect(self.home / database, timeout=30)) as connection:
            connection.execute(statement)

    def says_everywhere(self, reason: str, step: str) -> None:
        """At both listeners, in the report and in the console."""
        until(lambda: (503, [reason], [step]) == self.readiness())
        said = self.run("retention", "report").stderr
        assert f"warning: the server is not ready: {reason}" in said
        assert f"the sweep's step {step!r} failed" in said
        page = Visitor(self.ready["console"]).get(self.ask("console.sign_in")["sign_in"]).text
        assert f"({reason})" in page


@pytest.fixture
def sleeping(tmp_path: Path) -> Iterator[Sleeping]:
    """One that serves, with a session in it."""
    served = Sleeping(tmp_path)
    with ScriptedUpstream(tools_only=False, after=Text("ok")) as upstream:
        try:
            served.up("--upstream", upstream.url, env=served.time.environment)
            yield served
        finally:
            served.close()


@pytest.mark.row("R5")
def test_no_key_was_destroyed_in_time(sleeping: Sleeping) -> None:
    """A month later no receipt can be written, so no key goes: `sweep_late`, until it can."""
    sleeping.say("hello")
    sleeping.refuse("data/data.db", "INSERT ON receipts")
    sleeping.time.sleep(31 * 24 * HOUR)
    assert 0 != sleeping.run("retention", "run").returncode
    sleeping.says_everywhere("sweep_late", "keys")
    assert [] == sleeping.listed()
    until(lambda: sleeping.entered("watch.late"))
    sleeping.allow("data/data.db")
    assert 0 == sleeping.run("retention", "run").returncode
    until(lambda: (200, [], []) == sleeping.readiness() and sleeping.entered("watch.restored"))
    _, errors = sleeping.end()
    for words in ("not ready (sweep_late)", "no longer sweep_late"):
        assert words in errors


@pytest.mark.row("R5")
def test_the_root_was_not_rotated_in_time(sleeping: Sleeping) -> None:
    """A day after a deletion, and an hour, the old root still opens copies: `rotation_late`."""
    sleeping.ask("sessions.delete", id=sleeping.say("hello")["id"])
    sleeping.refuse("keyring/keyring.db", "UPDATE ON rotation")
    sleeping.time.sleep(25 * HOUR)
    assert 0 != sleeping.run("retention", "run").returncode
    assert (200, [], ["rotation"]) == sleeping.readiness()

    def late() -> bool:
        sleeping.time.sleep(HOUR // 4)
        sleeping.run("retention", "run")  # the other steps go on
        return any(HOUR == body["bound"] for _, body in sleeping.entered("watch.late"))

    until(late)
    sleeping.says_everywhere("rotation_late", "rotation")
    sleeping.allow("keyring/keyring.db")
    assert 0 == sleeping.run("retention", "run").returncode
    until(lambda: (200, [], []) == sleeping.readiness())
    states = [one["states"] for one in sleeping.ask("retention.receipts")]
    assert states and all("backups_unrecoverable" in one for one in states)
    _, errors = sleeping.end()
    assert "not ready (rotation_late)" in errors

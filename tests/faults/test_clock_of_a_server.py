"""The clock of a running server is set, by hours and days, forward and back; sweeps meet; a sweep
can't succeed. Real processes, whose time a library that is preloaded says.
"""

from __future__ import annotations

import json
import sqlite3
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bailee.home import Home
from bailee.testing.upstream import ScriptedUpstream, Text
from support.browsers.browsing import Visitor
from support.clients import processes
from support.clients.asking import ask_server
from support.clients.programs import Bailee, message
from support.homes.set_time import SetTime

STEPS = ("+2h", "+3d", "-2h", "-3d")
MONTH = timedelta(days=30)


class Served(Bailee):
    """A server whose time a test sets."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.time = SetTime(folder)

    def start(self, upstream: ScriptedUpstream) -> None:
        """Start it, at the time that is set."""
        self.up("--upstream", upstream.url, env=self.time.environment)

    def starts(self, upstream: ScriptedUpstream) -> None:
        """Start it where the last one was, and do not wait until it is ready."""
        places = {name: urlsplit(self.ready[name]).netloc for name in ("gateway", "console_api")}
        self._process = self.spawn(
            *("--upstream", upstream.url, "--gateway", places["gateway"]),
            *("--console", places["console_api"]),
            env=self.time.environment,
        )

    def readiness(self) -> tuple[int, list[str], list[str]] | None:
        """What both listeners say of it: status, reasons, steps that fail. None: not the same, or
        nothing.
        """
        said = [_readiness(self.ready[name]) for name in ("gateway", "console_api")]
        return said[0] if said[0] == said[1] else None

    def ask(self, operation: str, **arguments: object) -> Any:
        """What a command asks of the server, without a process for it."""
        return ask_server(Home(self.home), operation, arguments)

    def say(self, text: str, key: str | None = None) -> dict[str, Any]:
        """A conversation with one exchange; what is listed of it."""
        before = {one["id"] for one in self.listed()}
        message(self.ready, text, key)
        while not (made := [one for one in self.listed() if one["id"] not in before]):
            time.sleep(0.05)  # it is not sealed yet
        return dict(made[0])

    def listed(self) -> list[dict[str, Any]]:
        """What a person is shown."""
        return list(self.ask("sessions.list"))

    def entered(self, *kinds: str) -> list[Any]:
        """What the audit record has of these kinds, oldest first: kinds and bodies."""
        found = [(one["kind"], one["body"]) for one in self.ask("audit.list")]
        return [one for one in found[::-1] if one[0] in kinds]


def _readiness(at: str) -> tuple[int, list[str], list[str]] | None:
    try:
        with urllib.request.urlopen(at + "/readyz", timeout=30) as response:
            status, body = response.status, response.read()
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read()
    except OSError:
        return None
    said = json.loads(body)
    return status, said["reasons"], said["failing"]


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Served, ScriptedUpstream]]:
    """A server that is not started yet, and its upstream."""
    served = Served(folder)
    with ScriptedUpstream(tools_only=False, after=Text("ok")) as upstream:
        try:
            yield served, upstream
        finally:
            served.close()


def moment(text: str) -> datetime:
    """A moment as commands print it."""
    return datetime.fromisoformat(text)


def until(there: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def stepping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose wall clock alone is set."""
    with serving(tmp_path_factory.mktemp("stepping")) as (served, upstream):
        served.start(upstream)
        yield served


def _overview(served: Served) -> str:
    """The console's first page, as the operator has it."""
    return Visitor(served.ready["console"]).get(served.ask("console.sign_in")["sign_in"]).text


@pytest.mark.row("R1", "R5")
def test_a_step_is_held_entered_and_shown(stepping: Served) -> None:
    """Two hours, three days, forward and back: nothing is destroyed or kept longer by it, the audit
    record, `clock show`, the report and standard error have it; set right, all is as it was.
    """
    first = stepping.say("before every step")
    for step in STEPS:
        stepping.time.set(step)
        shown = stepping.run("clock", "show")
        assert "The machine's clock is" in shown.stdout
        meanwhile = stepping.say(f"at {step}")
        now = datetime.now(UTC)
        assert abs(moment(meanwhile["kept_until"]) - now - MONTH) < timedelta(minutes=1)
        swept = stepping.ask("retention.run")
        assert (0, 0, []) == (swept["sessions"], swept["keks"], swept["failed"])
        assert "Mind the clock" in stepping.run("retention", "report").stdout
        assert "bailee clock confirm" in _overview(stepping)
        stepping.time.set("+0")
        assert None is stepping.ask("clock.show")["step"]
    (kept,) = (one for one in stepping.listed() if one["id"] == first["id"])
    assert first == kept
    assert "bailee clock confirm" not in _overview(stepping)
    assert 1 + len(STEPS) == len(stepping.listed())
    seconds = (7200, 259200, -7200, -259200)
    assert [
        (kind, {"seconds": by}) for by in seconds for kind in ("clock.stepped", "clock.set_right")
    ] == stepping.entered("clock.stepped", "clock.set_right", "clock.followed")


@pytest.mark.row("R1", "R5")
def test_what_a_wrong_clock_makes_due_is_shown_to_nobody_and_stays(stepping: Served) -> None:
    """Forty days ahead: nothing is listed, nothing destroyed, and all is there afterwards."""
    stepping.say("before the leap")
    before = stepping.listed()
    stepping.time.set("+40d")
    assert [] == stepping.listed()
    assert 0 == stepping.ask("retention.run")["sessions"]
    stepping.time.set("+0")
    assert before == stepping.listed()
    assert [] == stepping.entered("vault.key_destroyed", "clock.followed")


@pytest.mark.row("T2", "T4")
def test_choices_count_in_their_order_whatever_the_clock_says(stepping: Served) -> None:
    """Allowed with the clock ahead, then refused with it back: what was said in between and what
    comes afterwards is not trained on, and goes after 30 days.
    """
    made = stepping.json("key", "create", "--plan", "pro", "--name", "ada")
    key = made["key"]
    stepping.time.set("+3d")
    choose(stepping, key, "allowed")
    allowed = stepping.say("said when it was allowed", key)
    assert ("allow", "P5Y") == (allowed["training"]["effect"], allowed["retention"]["period"])
    stepping.time.set("-2h")
    choose(stepping, key, "refused")
    refused = stepping.say("said when it was refused", key)
    stepping.time.set("+0")
    stepping.ask("retention.run")
    found = {one["id"]: one for one in stepping.listed() if one["account"] == made["account"]}
    assert {allowed["id"], refused["id"]} == set(found)
    for one in found.values():
        assert ("deny", "P30D") == (one["training"]["effect"], one["retention"]["period"])
    choose(stepping, key, "allowed")
    stepping.time.set("-3d")
    assert "allow" == stepping.say("allowed again", key)["training"]["effect"]
    stepping.time.set("+0")
    effects = {one["id"]: one["training"]["effect"] for one in stepping.listed()}
    assert "deny" == effects[refused["id"]]


@pytest.mark.row("R5")
def test_what_is_confirmed_is_followed_and_said(stepping: Served) -> None:
    """At somebody's word the home goes by the new time; what a step was is on standard error."""
    stepping.time.set("+40d")
    assert 0 == stepping.run("clock", "confirm").returncode
    assert 0 < stepping.ask("retention.run")["sessions"]
    said = stepping.say("after the leap")
    now = datetime.now(UTC) + timedelta(days=40)
    assert abs(moment(said["kept_until"]) - now - MONTH) < timedelta(minutes=1)
    status, errors = stepping.end()
    assert 0 == status
    for words in ("2 hours ahead", "3 days ahead", "2 hours behind", "3 days behind"):
        assert f"the machine's clock is {words}" in errors


def choose(served: Served, key: str, choice: str) -> None:
    """A person's choice about training."""
    request = urllib.request.Request(
        served.ready["console_api"] + "/api/v1/privacy/training",
        json.dumps({"choice": choice}).encode(),
        {"x-api-key": key, "content-type": "application/json"},
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=30).close()


@pytest.mark.row("R5")
def test_sweeps_of_several_processes_meet(tmp_path: Path) -> None:
    """Many `retention run`s at once, on a server that sweeps too and without one: none fails, and
    each state of each receipt is entered once.
    """
    with serving(tmp_path) as (served, upstream):
        served.up("--upstream", upstream.url, "--test-clock")
        for days, runs in ((31, True), (63, False)):
            for text in ("one", "two"):
                message(served.ready, text)
            if not runs:
                served.end()
            assert 2 == at_once(served, 4 if runs else 2, later(days=days))
        served.up("--upstream", upstream.url, "--test-clock")
        once_each(served)


@pytest.mark.row("R5", "R6")
def test_the_clock_is_set_back_on_what_is_held(tmp_path: Path) -> None:
    """A month has passed, and the clock is set back by ten days while no server runs: what is held
    and past its time is shown by no earlier time, is intact, and goes when its hold does.
    """
    with serving(tmp_path) as (served, upstream):
        served.start(upstream)
        held, deleted = (served.say(what)["id"] for what in ("held", "deleted"))
        holds = [
            served.ask("hold.place", session=one, reason="x")["hold"] for one in (held, deleted)
        ]
        served.ask("sessions.delete", id=deleted)
        served.time.set("+31d")
        served.ask("clock.confirm")
        served.ask("retention.run")
        kept = served.say("kept")["id"]
        served.end()

        served.time.set("+21d")
        served.start(upstream)
        assert [kept] == [one["id"] for one in served.listed()]
        assert served.ask("clock.show")["step"]["seconds"] < -9 * 86400
        served.ask("clock.confirm")
        served.ask("retention.run")
        assert [kept] == [one["id"] for one in served.listed()]
        assert ["placed", "placed"] == [one["state"] for one in served.ask("hold.list")]
        assert [] == served.ask("verify")["damaged"]
        for hold in holds:
            assert "released" == served.ask("hold.release", id=hold)["state"]
        served.ask("retention.run")
        assert {held, deleted} <= once_each(served)
        for one in served.ask("retention.receipts"):
            assert "key_destroyed" in one["states"]
        assert [kept] == [one["id"] for one in served.listed()]
        assert [] == served.ask("verify")["damaged"]


def later(**by: float) -> str:
    """An ISO moment, counted from now."""
    return (datetime.now(UTC) + timedelta(**by)).isoformat()


def at_once(served: Served, number: int, now: str) -> int:
    """So many processes sweep at the same time; how many sessions they removed together. Who waited
    in vain for the others to let the home go is refused.
    """
    running = [
        processes.start("retention", "run", "--json", env=served.environment(now))
        for _ in range(number)
    ]
    said = [one.communicate(timeout=120) for one in running]
    done = [json.loads(out) for out, errors in said if "is in use by process" not in errors]
    assert [[]] * len(done) == [one["failed"] for one in done]
    return sum(one["sessions"] for one in done)


def once_each(served: Served) -> set[str]:
    """No two receipts are about the same, and each state of one has one entry; what they are
    about.
    """
    about = Counter(one["subject"] for one in served.ask("retention.receipts"))
    entered = Counter(
        (one["kind"], one["body"]["receipt"])
        for one in served.ask("audit.list")
        if "receipt" in one["body"]
    )
    assert ({1}, {1}) == (set(about.values()), set(entered.values()))
    return set(about)


@pytest.mark.row("R5")
def test_a_sweep_that_can_not_succeed_is_said_everywhere(tmp_path: Path) -> None:
    """Keys can't be destroyed: who asks for it is told, the step is named, and no start says that
    it is ready. Standard error, the console, the report and `/readyz` say why; mended, it is ready.
    """
    with serving(tmp_path) as (served, upstream):
        served.start(upstream)
        served.say("hello")
        receipts_are_refused(served.home)
        served.time.set("+31d")
        served.ask("clock.confirm")
        failed = served.run("retention", "run")
        assert 0 != failed.returncode
        assert "the sweep's step 'keys' failed" in failed.stderr
        assert (200, [], ["keys"]) == served.readiness()
        served.end()

        served.starts(upstream)
        until(lambda: (503, ["starting"], ["keys"]) == served.readiness())
        said = served.run("retention", "report").stderr
        assert "warning: the server is not ready: starting" in said
        assert "the sweep's step 'keys' failed" in said
        operator = Visitor(served.ready["console"])
        assert "starting" in operator.get(served.run("sign-in").stdout.strip()).text

        receipts_are_refused(served.home, False)
        assert 0 == served.run("retention", "run").returncode
        until(lambda: (200, [], []) == served.readiness())
        _, errors = served.end()
        assert "bailee: the sweep's step 'keys' fails" in errors


def receipts_are_refused(home: Path, refused: bool = True) -> None:
    """No receipt can be written, as on a disk that refuses it: so nothing is destroyed."""
    with closing(sqlite3.connect(home / "data" / "data.db", timeout=30)) as connection:
        connection.execute(
            "CREATE TRIGGER refused BEFORE INSERT ON receipts BEGIN SELECT RAISE(ABORT, 'x'); END"
            if refused
            else "DROP TRIGGER refused"
        )

"""A machine opened for work: what is announced before it is forgotten, and whose key is whose."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bailee.client.keeping import KeptSessions
from bailee.client.machine import ClientMachine
from bailee.client.payloads import Payload
from bailee.client.settings import from_environment, merge, parse
from bailee.errors import InputError, IntegrityError
from bailee.policy import load
from bailee.steady import MachineClocks
from bailee.testing import FakeClock

POLICY = load()
PAYLOAD = Payload("metrics", "/v1/metrics", "application/json", b"{}")


def machine(
    folder: Path, clock: FakeClock, settings: bytes = b"{}", **environment: str
) -> ClientMachine:
    """A machine with these settings and this environment alone."""
    merged = merge(
        [from_environment(environment), parse("user", "/settings.json", settings)],
        switches=frozenset(POLICY.document.switches),
        private=frozenset({"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"}),
        most_days=30,
    )
    return ClientMachine(
        POLICY, merged, folder, folder / "data", environment=environment, clock=clock
    )


@pytest.fixture
def clock() -> FakeClock:
    """A clock that the test moves."""
    return FakeClock(datetime(2026, 3, 1, 12, tzinfo=UTC))


@pytest.mark.row("R3")
def test_it_is_announced_before_the_first_deletion(tmp_path: Path, clock: FakeClock) -> None:
    """Nothing to say while nothing is near its end; a week ahead a line; then it goes, unsaid."""
    here = machine(tmp_path, clock)
    here.transcripts().append("s1", {"type": "prompt", "content": "a"})
    assert here.tidy() is None
    clock.advance(timedelta(days=24))
    said = here.tidy()
    assert said is not None
    assert "30 days" in said
    assert here.tidy() is None
    clock.advance(timedelta(days=6))
    assert here.tidy() is None
    assert [] == list((tmp_path / "data" / "transcripts").iterdir())


@pytest.mark.row("R3")
def test_after_a_long_absence_the_first_start_deletes_nothing(
    tmp_path: Path, clock: FakeClock
) -> None:
    """It says how many; they can't be resumed meanwhile; the next start deletes them."""
    here = machine(tmp_path, clock)
    here.transcripts().append("s1", {"type": "prompt", "content": "a"})
    clock.advance(timedelta(days=99))
    said = here.tidy()

    assert said is not None
    assert said.startswith("1 session ")
    assert (1, []) == (len(here.transcripts().due()), list(here.transcripts().list()))
    here.tidy()
    assert 0 == len(here.transcripts().due())


@pytest.mark.row("R3")
def test_a_shorter_period_is_announced_anew(tmp_path: Path, clock: FakeClock) -> None:
    """What was said of 30 days says nothing of 7."""
    here = machine(tmp_path, clock)
    here.transcripts().append("s1", {"type": "prompt", "content": "a"})
    clock.advance(timedelta(days=24))
    here.tidy()

    shorter = machine(tmp_path, clock, b'{"cleanupPeriodDays": 7}')
    said = shorter.tidy()
    assert said is not None
    assert "7 days" in said
    assert 1 == len(shorter.transcripts().due())


def test_a_typing_error_keeps_nothing_new_and_deletes_nothing(
    tmp_path: Path, clock: FakeClock
) -> None:
    """The private choice for what is to come; the default for what is there."""
    here = machine(tmp_path, clock, b'{"cleanupPeriodDays": "7"}')
    here.transcripts().append("s1", {"type": "prompt", "content": "a"})

    assert (0, 30) == (here.keep_days, here.lifetimes.own.days)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"ANTHROPIC_API_KEY": "sk-ant-mine"}, None),
        ({"ANTHROPIC_AUTH_TOKEN": "bl_a"}, "bl_a"),
        ({"BAILEE_API_KEY": "bl_b", "ANTHROPIC_AUTH_TOKEN": "bl_a"}, "bl_b"),
    ],
)
def test_only_a_key_of_bailees_is_shown_to_bailee(
    tmp_path: Path, clock: FakeClock, environment: dict[str, Any], expected: str | None
) -> None:
    """A vendor's key is not sent to bailee's ingest."""
    assert expected == machine(tmp_path, clock, **environment).credential


def test_what_is_off_is_not_queued(tmp_path: Path, clock: FakeClock) -> None:
    """A payload of a flow that is off gets no place in the outbox."""
    assert machine(tmp_path, clock, DISABLE_TELEMETRY="0").queue(PAYLOAD) is None
    assert machine(tmp_path, clock).queue(PAYLOAD) is not None


# -- a clock in doubt, days of a project, what is kept --------------------------------------------


class Clocks:
    """A machine's clocks: a wall clock that can be set, and one that nobody sets."""

    def __init__(self, wall: FakeClock) -> None:
        self.wall, self.unset, self.boot = wall, 1000.0, "one"

    def passes(self, span: timedelta) -> None:
        """Time goes by."""
        self.wall.advance(span)
        self.unset += span.total_seconds()

    def on(self, here: ClientMachine) -> ClientMachine:
        """The machine, minding them."""
        return replace(here, clocks=MachineClocks(self.wall, lambda: self.unset, self.boot))


def of_s1(folder: Path, clock: FakeClock) -> ClientMachine:
    """A machine with one session, of which it has been told that it goes."""
    here = machine(folder, clock)
    here.transcripts().append("s1", {"type": "prompt", "content": "a"})
    return here


YEARS = timedelta(days=3650)


@pytest.mark.row("R3")
@pytest.mark.parametrize("by", [YEARS, timedelta(days=2), -timedelta(days=2)])
def test_a_clock_that_jumps_destroys_nothing_until_it_is_confirmed(
    tmp_path: Path, clock: FakeClock, by: timedelta
) -> None:
    """Forward and back, in one start of the machine: it is said at each start of ours, whatever
    has been told of before, and is over when the clock is right again.
    """
    clocks = Clocks(clock)
    here = clocks.on(of_s1(tmp_path, clock))
    assert here.tidy() is None
    clocks.passes(timedelta(days=29, hours=12))
    assert "1 session will be forgotten" in str(here.tidy())  # told of: it may go from now on
    clocks.passes(timedelta(hours=11))
    clock.advance(by)

    for _ in range(2):
        said = here.tidy()
        if by > timedelta() or said is not None:
            assert said is not None
            assert "Nothing is deleted by time" in said
        assert 1 == len(here.transcripts().due())
    clock.advance(-by)
    assert here.tidy() is None
    clocks.passes(timedelta(hours=2))
    here.tidy()
    assert 0 == len(here.transcripts().due())


@pytest.mark.row("R3")
def test_after_a_restart_an_absence_is_asked_about_where_something_would_go(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Nobody can say whether the machine was off or its clock set. Where nothing would go by it,
    nobody is asked.
    """
    clocks = Clocks(clock)
    here = clocks.on(of_s1(tmp_path, clock))
    here.tidy()
    clocks.passes(timedelta(days=3))
    clocks.boot, clocks.unset = "two", 1.0
    assert clocks.on(here).tidy() is None
    clocks.passes(timedelta(days=60))
    clocks.boot, clocks.unset = "three", 1.0
    again = clocks.on(here)

    assert "bailee was last used here 60 days ago" in str(again.tidy())
    again.confirm_clock()
    assert "1 session not used for 30 days" in str(again.tidy())
    again.tidy()
    assert 0 == len(again.transcripts().due())


@pytest.mark.row("R3", "S6")
def test_a_projects_days_are_for_its_own_sessions(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clone with 0 days loses what was done in it, at the start after the one that tells of it;
    the sessions of every other project stay, and can be gone on with from there.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    mine, cloned = tmp_path / "mine", tmp_path / "cloned"
    for folder in (mine, cloned):
        (folder / ".git").mkdir(parents=True)
    here = replace(machine(mine, clock), data=tmp_path / "data")
    for name, folder in (("s1", mine), ("s2", cloned / "sub")):
        here.transcripts().append(name, {"type": "session", "folder": str(folder)})
    settings = cloned / ".bailee/settings.json"
    settings.parent.mkdir()
    settings.write_text('{"cleanupPeriodDays": 0}')

    for folder in (cloned, mine):  # from wherever it is started
        there = replace(machine(folder, clock), data=tmp_path / "data")
        assert ["s1"] == [one.session for one in there.transcripts().list()]
        assert there.transcripts().load("s1")
    assert "not used for 0 days" in str(there.tidy())
    assert 2 == len(there.transcripts().due())
    assert there.tidy() is None
    assert ["s1"] == [one.session for one in there.transcripts().due()]


@pytest.mark.row("O7")
def test_a_person_is_told_and_keeps_one_by_their_own_act(tmp_path: Path, clock: FakeClock) -> None:
    """Told of once, a week ahead; kept until their day by its own clause, with a record; then it is
    told of again, and goes. What they take back goes by its own time.
    """
    here = of_s1(tmp_path, clock)
    here.transcripts().append("s2", {"type": "prompt", "content": "b"})
    clock.advance(timedelta(days=24))
    assert "2 sessions will be forgotten" in str(here.tidy())
    kept = here.keep("bailee", "s1", clock() + timedelta(days=60))
    assert "retain.local-transcript-kept" == kept.clause
    assert (POLICY.sha256, clock()) == (kept.document, kept.since)
    clock.advance(timedelta(days=7))
    here.tidy()

    (one,) = here.transcripts().list()
    assert ("s1", kept.until.isoformat()) == (one.session, one.kept_until)
    clock.advance(timedelta(days=50))
    assert "1 session will be forgotten" in str(here.tidy())
    clock.advance(timedelta(days=4))
    here.tidy()
    assert [] == here.transcripts().due()
    with pytest.raises(InputError, match="at most"):
        here.keep("bailee", "s3", clock() + timedelta(days=400))
    here.transcripts().append("s3", {"type": "prompt", "content": "c"})
    by_itself = here.keep("bailee", "s3", None)
    assert timedelta(days=90) == by_itself.until - by_itself.since
    assert KeptSessions(here.data).release("bailee", "s3", clock())
    assert {} == here.kept("bailee")
    assert [("s1", None), ("s3", clock())] == [
        (one.session, one.released) for one in KeptSessions(here.data).all()
    ]


@pytest.mark.row("O7", "S6")
def test_managed_days_are_stronger_and_a_damaged_note_stops_deleting(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Who manages the machine says how long; what can't be read loses nothing."""
    here = of_s1(tmp_path, clock)
    here.keep("bailee", "s1", None)
    managed = merge(
        [parse("managed", "/m.json", b'{"cleanupPeriodDays": 7}')],
        switches=frozenset(POLICY.document.switches), private=frozenset(), most_days=30,
    )  # fmt: skip
    theirs = replace(here, settings=managed)
    assert {} == theirs.kept("bailee")
    with pytest.raises(InputError, match=r"/m\.json"):
        theirs.keep("bailee", "s1", None)

    (here.data / "kept.json").write_text('[{"of": "bailee"}]')
    clock.advance(timedelta(days=99))
    with pytest.raises(IntegrityError, match="none is deleted"):
        here.tidy()
    assert (here.data / "transcripts/s1.log").exists()

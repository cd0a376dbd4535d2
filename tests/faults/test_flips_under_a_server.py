"""Bits flip while nothing runs, and `bailee up` starts over them. What each costs is the table's
(`test_damaged_home`); here a server says it, and goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bailee.testing.upstream import ScriptedUpstream, Text
from support.clients.programs import SECONDS, Bailee, message
from support.homes.damaged_home import BOBS, HELD, LATE, LONG, SHIPPED, Original, flip, row_at
from support.homes.set_time import SetTime

DATA, KEYS = "data/data.db", "keyring/keyring.db"
NOW = "2026-01-01 12:10:00"  # soon after what the home holds was said


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    """A home with everything in it."""
    return Original(tmp_path_factory.mktemp("home"))


@pytest.fixture
def bailee(tmp_path: Path, original: Original) -> Iterator[Bailee]:
    """`bailee` on a copy of it."""
    made = Bailee(tmp_path)
    original.copy(made.home, folded=True)
    yield made
    made.close()


def end_of(file: Path) -> int:
    """Where what is written in a file ends; a little before that."""
    return int(len(file.read_bytes().rstrip(b"\0")) * 0.97)


@pytest.mark.row("R1", "R5", "R6", "D4")
def test_what_is_damaged_is_named_and_all_else_is_served(bailee: Bailee, tmp_path: Path) -> None:
    """A session's row, another's key, a row of a hold, the open segment: said at the start and by
    `verify`, shown to nobody; what is whole is listed, a new exchange kept, and the server ready.
    """
    data, keys = bailee.home / DATA, bailee.home / KEYS
    flip(data, row_at(data, "sessions", f"id = '{LONG}'")[1] + 9)
    flip(data, row_at(data, "holds")[1] - 3)
    flip(keys, row_at(keys, "deks", f"subject = 'session:{SHIPPED}'")[1] + 40)
    time = SetTime(tmp_path)
    time.set(NOW)
    with ScriptedUpstream(tools_only=False, after=Text("ok")) as upstream:
        ready = bailee.up("--upstream", upstream.url, env=time.environment)
        assert "message" == message(ready, "hello")["type"]
        listed = {one["id"] for one in bailee.json("sessions", "list")}
        assert {BOBS, LATE, HELD} < listed
        assert LONG not in listed
        for session in (LONG, SHIPPED):
            shown = bailee.run("sessions", "show", session)
            assert 0 != shown.returncode and "Traceback" not in shown.stderr
        assert 0 == bailee.run("sessions", "show", BOBS).returncode
        assert 0 == bailee.run("retention", "run").returncode
        found = bailee.run("verify")
        assert 5 == found.returncode
        for what in ("session", "hold", f"key session:{SHIPPED}"):
            assert what in found.stdout + found.stderr
        status, said = bailee.end()
        assert 0 == status
        assert "damaged:" in said and "Traceback" not in said


@pytest.mark.row("R5", "D4")
@pytest.mark.parametrize("file", ["root/root.json", "vault/home.json", DATA])
def test_a_start_that_can_not_be_is_refused_by_name(
    bailee: Bailee, tmp_path: Path, file: str
) -> None:
    """The root, the mark, the first page of the data: refused with what to do, nothing is changed;
    put back, it starts.
    """
    damaged = bailee.home / file
    whole = damaged.read_bytes()
    flip(damaged, 0 if file == DATA else end_of(damaged) // 2)
    changed = damaged.read_bytes()
    time = SetTime(tmp_path)
    time.set(NOW)
    with ScriptedUpstream(tools_only=False, after=Text("ok")) as upstream:
        process = bailee.spawn("--upstream", upstream.url, env=time.environment)
        out, said = process.communicate(timeout=SECONDS)
        assert (True, "") == (process.returncode in (5, 6), out)
        assert "hint:" in said and "Traceback" not in said
        assert changed == damaged.read_bytes()
        damaged.write_bytes(whole)
        bailee.up("--upstream", upstream.url, env=time.environment)
        assert {BOBS, LATE} < {one["id"] for one in bailee.json("sessions", "list")}
        status, said = bailee.end()
        assert 0 == status and "damaged" not in said

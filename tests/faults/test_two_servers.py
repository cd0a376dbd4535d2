"""Two servers on one home's databases: one was stopped, or cut off, and another took its place."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bailee.db.fencing import TABLE
from bailee.testing.upstream import ScriptedUpstream, Text
from support.clients.programs import SECONDS, Bailee, message
from support.servers import postgres


@pytest.fixture
def databases() -> dict[str, str]:
    """The settings that name two databases of nobody's."""
    server = postgres.shared()
    return {"BAILEE_DATABASE_URL": server.new(), "BAILEE_KEYRING_DATABASE_URL": server.new()}


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[Bailee, Bailee]]:
    """Two, each with a folder for the home."""
    with ExitStack() as closing:
        made = []
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            made.append(Bailee(tmp_path / name))
            closing.callback(made[-1].close)
        yield made[0], made[1]


@pytest.mark.row("O6", "R5", "D4")
def test_a_server_that_was_stopped_finds_another_in_its_place(
    machines: tuple[Bailee, Bailee], databases: dict[str, str]
) -> None:
    """The home's volume goes to another machine while the first server stands still. As long as
    its lease is good the second is refused; then it serves all that was kept. The first ends by
    itself when it wakes, says why, and has written nothing; so the home is whole.
    """
    first, second = machines
    with ScriptedUpstream(tools_only=False, after=Text("ok")) as upstream:
        arguments = ("--upstream", upstream.url)
        ready = first.up(*arguments, env=databases)
        message(ready, "medlar")
        process = first._process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        shutil.copytree(first.home, second.home, ignore=shutil.ignore_patterns("*.sock"))

        early = second.spawn(*arguments, env=databases)
        _, said = early.communicate(timeout=SECONDS)
        assert early.wait() != 0
        assert "another process has the database that database.url names" in said

        for address in databases.values():
            past = f"UPDATE {TABLE} SET until = clock_timestamp() - interval '1 second'"
            postgres.shared().do(past, at=address.rpartition("/")[2])
        later = second.up(*arguments, env=databases)
        message(later, "quince")
        assert 2 == len(second.sessions(2))

        status, said = first.end(signal.SIGCONT)
        assert 6 == status
        assert "another process has taken this home over" in said
        assert [] == [line for line in said.splitlines() if "Traceback" in line]

        message(later, "sloe")
        assert 3 == len(second.sessions(3))
        checked = second.run("verify")
        assert 0 == checked.returncode, checked.stdout
        assert 0 == second.stop()
        again = second.up(*arguments, env=databases)  # given back: nobody waits
        message(again, "pear")
        assert 4 == len(second.sessions(4))
        assert 0 == second.stop()


def in_a_network_of_its_own(program: str, folder: Path) -> Any:
    """What a program beside this file has seen there, in a folder."""
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")
    ours = str(Path("/proc/self/ns/net").readlink())
    done = subprocess.run(
        ["unshare", "--net", sys.executable, Path(__file__).with_name(program), ours],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
        cwd=folder,
    )
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


@pytest.mark.row("O6", "R5")
def test_a_holder_that_is_cut_off_is_outlived(tmp_path: Path) -> None:
    """A network that swallows everything lies between a holder and its database, by the kernel's
    own means. Another is refused until the holder's moment has passed by the database's clock, and
    then has the lease; the holder can't write, neither then nor when the network is back, and is
    told.
    """
    late = "refused: another process has taken this home over; nothing of this one's is written any"
    said = in_a_network_of_its_own("partition_process.py", tmp_path)
    assert ["written", "failed", "written", "told", f"{late} more."] == said["seen"]
    assert ["pear", "quince"] == said["notes"]
    assert said["refused early"]


@pytest.mark.row("O6", "P1", "O1")
def test_a_server_that_is_cut_off_goes_on_for_as_long_as_the_document_says(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Another has its place, revokes a key and deletes a session. The first can't know, and lets
    the key in for ten minutes, one of which nothing is kept for ten hours. Then it refuses
    everybody until it is told, and ends. It shows nothing meanwhile.
    """
    said = in_a_network_of_its_own("cut_off_process.py", tmp_path)
    assert {
        "before": 200,
        "at the other": 401,
        "at once": [200, 200],
        "deleted": [6, False],
        "after ten minutes": [503, 200],
        "after ten hours": [503, 503],
        "ended": [6, True],
        "verified": 0,
    } == said
    record_property(
        "seen",
        "a revoked key let in for the ten minutes that the document says, no longer; a session "
        "that was deleted elsewhere not shown",
    )

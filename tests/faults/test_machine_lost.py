"""A server's machine is lost with its folder; the next one begins with an empty one, and has all
that a client saw complete: PostgreSQL, SeaweedFS and OpenBao, each its own server.
"""

from __future__ import annotations

import itertools
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bailee.testing.upstream import ScriptedUpstream, Text
from support.clients.programs import Bailee, message
from support.roots.places import RootPlaces
from support.servers import postgres
from support.servers.buckets import BUCKET, environment

pytestmark = pytest.mark.row("O6", "R5", "G1")

_SESSION = "6a1f0e6e-1111-4222-8333-4444555566"
_numbers = itertools.count()


@pytest.fixture
def elsewhere(tmp_path: Path, bucket_server: str) -> Iterator[dict[str, str]]:
    """The settings of a home that has nothing to itself."""
    places = RootPlaces(tmp_path)
    root, server = places.make("transit"), postgres.shared()
    yield {
        **environment(bucket_server),
        **root.environment,
        "BAILEE_KEYRING_ROOT": root.where,
        "BAILEE_DATABASE_URL": server.new(),
        "BAILEE_KEYRING_DATABASE_URL": server.new(),
        "BAILEE_OBJECTS_URL": f"s3://{BUCKET}/lost/{next(_numbers)}",
        "BAILEE_SPOOL_DURABILITY": "database",
    }
    places.close()


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[list[Bailee]]:
    """Three, each with a folder for the home."""
    with ExitStack() as closing:
        made = []
        for number in range(3):
            (tmp_path / f"machine{number}").mkdir()
            made.append(Bailee(tmp_path / f"machine{number}"))
            closing.callback(made[-1].close)
        yield made


def lose(machine: Bailee) -> None:
    """It is killed, and its disk is gone."""
    machine.end(signal.SIGKILL)
    shutil.rmtree(machine.home)


def test_nothing_that_was_seen_complete_is_lost(
    machines: list[Bailee], elsewhere: dict[str, str]
) -> None:
    """Two machines are lost, one after the other, each in the middle of being asked. The third has
    every answer that was complete, with the same keys and accounts; its record checks, and what is
    deleted is gone.
    """
    with ScriptedUpstream(tools_only=False, after=Text("ok")) as upstream:
        arguments = ("--upstream", upstream.url)
        seen: list[str] = []
        key = None
        for machine in machines[:2]:
            ready = machine.up(*arguments, env=elsewhere)
            key = key or ready["key"]
            for number in range(4):
                word = f"medlar{len(seen)}"
                message(ready, word, key, session=f"{_SESSION}{len(seen):02}")
                seen.append(word)
                if number == 2:
                    machine.sessions(len(seen))
            lose(machine)
        last = machines[2]
        last.up(*arguments, env=elsewhere)
        found = last.sessions(len(seen))
        assert len(seen) == len(found)
        said = {str(last.json("sessions", "show", one["id"])) for one in found}
        assert all(any(word in one for one in said) for word in seen)
        checked = last.run("verify")
        assert 0 == checked.returncode, checked.stdout
        assert 0 == last.run("sessions", "delete", found[0]["id"]).returncode
        assert len(seen) - 1 == len(last.json("sessions", "list"))
        assert 0 == last.stop()


def test_without_the_setting_a_folder_that_is_gone_is_missed(
    machines: list[Bailee], elsewhere: dict[str, str]
) -> None:
    """What was durable on the machine alone is lost with it, so that the next start does not go on
    as if nothing were.
    """
    local = {**elsewhere, "BAILEE_SPOOL_DURABILITY": "local"}
    with ScriptedUpstream(tools_only=False, after=Text("ok")) as upstream:
        first, second = machines[:2]
        message(first.up("--upstream", upstream.url, env=local), "quince")
        lose(first)
        for settings in (local, elsewhere):
            process = second.spawn("--upstream", upstream.url, env=settings)
            _, said = process.communicate(timeout=60)
            assert 0 != process.wait()
            assert "vault/ of this home is not there, and the rest of it is" in said

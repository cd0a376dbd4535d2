"""Backups by the command line: made while a server runs, and restored when it is gone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree

import pytest

from bailee.testing import FakeClock
from support.clients.programs import Bailee, message
from support.homes.backed_up import BackedUp
from support.servers import postgres

Serve = Callable[..., Bailee]


@pytest.mark.row("R5", "R6")
def test_a_home_is_backed_up_lost_and_restored(served: Serve, tmp_path: Path) -> None:
    """What was deleted since does not come back; what lives is served again, to the same keys; the
    commands say what they did, and refuse with what to do.
    """
    bailee = served()
    made = bailee.json("key", "create", "--plan", "pro", "--name", "ada")
    for text in ("medlars are ripe", "quinces are not"):
        message(bailee.ready, text, key=made["key"])
    first, second = (one["id"] for one in bailee.sessions(2))
    data, keys, log = (str(tmp_path / name) for name in ("data", "keys", "log"))

    refused = bailee.run("backup", "create", data, "--keys", data)
    assert 2 == refused.returncode and "same place" in refused.stderr
    done = bailee.json("backup", "create", data, "--keys", keys)
    assert done["data"]["bytes"] == done["data"]["copied"] > 0
    assert done["keys"]["place"].startswith(keys)
    assert [] == bailee.json("backup", "verify", data)["wrong"]
    assert done["keys"]["id"] == bailee.json("backup", "list")["keys"][0]["id"]
    assert "A snapshot of the keys lives" in bailee.run("retention", "report").stdout

    bailee.json("sessions", "delete", second)
    bailee.stop()
    new = str(tmp_path / "new")
    restore = ("backup", "restore", data, "--keys", keys, "--home", new)
    refused = bailee.run(*restore)
    assert 2 == refused.returncode and "no log was named" in refused.stderr
    copytree(bailee.home / "ledger", log)
    done = bailee.json(*restore, "--ledger", log)
    assert 1 <= done["undone"] and new == done["home"]

    bailee.home = tmp_path / "new"
    served()
    assert [first] == [one["id"] for one in bailee.json("sessions", "list")]
    message(bailee.ready, "plums are over", key=made["key"])
    assert 2 == len(bailee.sessions(2))


@pytest.mark.row("R5", "O6")
def test_a_home_moves_to_postgresql_and_back(served: Serve, tmp_path: Path) -> None:
    """By a backup and a restore each way, as the guide has it: the same keys are let in, the same
    sessions listed, what was deleted before the last start stays away; and what was said on the
    way is there.
    """
    server = postgres.shared()
    there = {
        "BAILEE_DATABASE_URL": server.new(),
        "BAILEE_KEYRING_DATABASE_URL": server.new(),
    }
    bailee = served()
    made = bailee.json("key", "create", "--plan", "pro", "--name", "ada")
    for text in ("medlars are ripe", "quinces are not"):
        message(bailee.ready, text, key=made["key"])
    stays, goes = (one["id"] for one in bailee.sessions(2))
    for name, env in (("there", there), ("back", {})):
        data, keys = (str(tmp_path / f"{name}-{one}") for one in ("data", "keys"))
        bailee.json("backup", "create", data, "--keys", keys)
        if name == "there":
            bailee.json("sessions", "delete", goes)
        bailee.stop()
        new = tmp_path / name
        restore = ("backup", "restore", data, "--keys", keys, "--home", str(new))
        bailee.json(*restore, "--ledger", str(bailee.home), env=env)
        bailee.home = new
        served(env=env)
        assert bool(env) is not (new / "data" / "data.db").exists()
        listed = [one["id"] for one in bailee.sessions()]
        assert stays in listed and goes not in listed
        message(bailee.ready, f"plums are over, {name}", key=made["key"])
        assert len(listed) + 1 == len(bailee.sessions(len(listed) + 1))
        assert [] == bailee.json("audit", "verify")["damaged"]
        assert [] == bailee.json("verify")["damaged"]


@pytest.mark.row("R5")
def test_a_sweep_that_rotates_says_that_a_snapshot_of_the_keys_lives(tmp_path: Path) -> None:
    """Older copies of the keyring open nothing then, and the snapshot with a backup does."""
    yesterday = datetime.now(UTC) - timedelta(hours=25)  # so a rotation is due
    place = BackedUp(tmp_path, clock=FakeClock(yesterday))
    session = place.say(place.person("ann@example.com")["account"], "medlar")
    place.back_up()
    place.ask("sessions.delete", id=session)
    place.node.close()
    bailee = Bailee(tmp_path)  # on the same home
    assert place.home.path == bailee.home
    done = bailee.run("retention", "run")
    said = done.stdout + done.stderr
    assert "older copies of the keyring open none of it" in said
    assert "A snapshot of the keys lives until" in said

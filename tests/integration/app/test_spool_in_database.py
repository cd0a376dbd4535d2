"""A home whose answers are durable in the database, by its settings."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bailee import config
from bailee.app.doctor import examine
from bailee.app.doctor_findings import ExaminedHome, Fitness
from bailee.db.members import HomeMember
from bailee.errors import InputError
from bailee.home import Home
from bailee.node import databases as node_databases
from bailee.node.node import Node
from support.homes import databases
from support.homes.backed_up import BackedUp
from support.servers import postgres
from support.servers.buckets import BUCKET, BucketRelay, environment

pytestmark = pytest.mark.row("O6", "R5")

_numbers = itertools.count()


@pytest.fixture
def elsewhere(relay: BucketRelay) -> dict[str, str]:
    """What is set for such a home."""
    return {
        **environment(relay.url),
        "BAILEE_DATABASE_URL": databases.new("data"),
        "BAILEE_KEYRING_DATABASE_URL": databases.new("keys"),
        "BAILEE_OBJECTS_URL": f"s3://{BUCKET}/durable/{next(_numbers)}",
        "BAILEE_SPOOL_DURABILITY": "database",
    }


@pytest.fixture
def home(elsewhere: dict[str, str], tmp_path: Path) -> Iterator[BackedUp]:
    """Such a home, open."""
    made = BackedUp(tmp_path, environment=elsewhere)
    yield made
    made.node.close()


def test_it_is_refused_where_it_would_not_hold(tmp_path: Path) -> None:
    """With databases in files, with objects in folders, and where it says something else; before
    anything is made.
    """
    server = postgres.shared()
    there = {
        "BAILEE_DATABASE_URL": server.address("none"),
        "BAILEE_KEYRING_DATABASE_URL": server.address("none_too"),
    }
    refused = (
        ({"BAILEE_SPOOL_DURABILITY": "database"}, "the databases are files of this machine"),
        ({"BAILEE_SPOOL_DURABILITY": "database", **there}, "sealed sessions lie in a folder"),
        ({"BAILEE_SPOOL_DURABILITY": "disk"}, "spool.durability is neither local nor database"),
    )
    made = Home(tmp_path / "home")
    for given, said in refused:
        with pytest.raises(InputError, match=said) as found:
            Node.open(made, environment=given)
        assert "configuration" == found.value.code
        assert found.value.hint
    assert not made.exists


def test_it_goes_on_where_it_was(home: BackedUp) -> None:
    """Nothing of the spool lies in the folder, and all is there after a new start."""
    account = str(home.person("ola@x.example")["account"])
    home.say(account, "quince")
    assert not [*(home.home.vault / "spool").rglob("*")]
    home.node.close()
    home.open()
    home.say(account, "pear")
    found = home.node.vault.sessions(home.clock())
    assert 2 == len(found)


def test_the_doctor_says_what_it_rests_on(home: BackedUp, elsewhere: dict[str, str]) -> None:
    """One server of PostgreSQL, and a root key in the folder."""
    settings = config.load(home.home.settings_file, elsewhere, {})
    found = [
        (one.health, one.said)
        for one in examine(ExaminedHome(home.home, settings, elsewhere))
        if one.check in ("spool", "keyring") and one.health is not Fitness.WELL
    ]
    assert [(Fitness.DOUBT, "keyring_file"), (Fitness.DOUBT, "spool_one_copy")] == found


def test_the_doctor_says_who_records_beside(home: BackedUp, elsewhere: dict[str, str]) -> None:
    """Who is there; and, while no server runs, who has been silent and was ended by none."""
    settings = config.load(home.home.settings_file, elsewhere, {})

    def found() -> tuple[Fitness, str, object]:
        it = ExaminedHome(home.home, settings, elsewhere)
        (one,) = (one for one in examine(it) if one.check == "members")
        return one.health, one.said, one.values["present"]

    assert (Fitness.WELL, "members_there", 0) == found()
    home.node.close()
    with ExitStack() as closing:
        member = HomeMember(*node_databases.connect_member(settings, closing), "gateway")
        member.join()
        assert (Fitness.WELL, "members_there", 1) == found()
        postgres.shared().do(
            "UPDATE bailee_members SET until = clock_timestamp() - interval '1 second'",
            at=elsewhere["BAILEE_DATABASE_URL"].rpartition("/")[2],
        )
        assert (Fitness.DOUBT, "members_silent", 0) == found()
    home.open()

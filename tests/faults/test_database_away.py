"""PostgreSQL is away from a server that runs, and comes back."""

from __future__ import annotations

import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults.test_clock_of_a_server import serving, until
from support.clients.programs import message
from support.servers.postgres import PostgresServer

MONTH, HOUR = 30 * 24 * 3600, 3600


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One that nobody else has."""
    made = PostgresServer()
    yield made
    made.end()


@pytest.mark.row("O6", "R5", "R1", "P1")
def test_a_server_outlives_its_database(
    tmp_path: Path, server: PostgresServer, record_property: Callable[[str, object], None]
) -> None:
    """It answers whom it knows for as long as the document says, and changes nothing. A session
    comes to its end meanwhile. When the database is back, nobody starts anything: what was answered
    is there, of a key with zero retention nothing is, and what is past its time goes.
    """
    databases = {"BAILEE_DATABASE_URL": server.new(), "BAILEE_KEYRING_DATABASE_URL": server.new()}
    with serving(tmp_path) as (served, upstream):
        environment = {**served.time.environment, **databases}
        served.declare(upstream.url)  # else it gets nothing of a key with zero retention
        ready = served.up(env=environment)
        forgets = ("key", "create", "--plan", "api", "--zero-retention", "--name", "forgets")
        unkept = served.json(*forgets)["key"]
        revoked = served.json("key", "create", "--plan", "pro", "--name", "lost")
        assert 0 == served.run("key", "revoke", revoked["key_id"]).returncode
        old = served.say("medlar")

        def answered(text: str, key: str | None = None) -> str:
            """Nothing, or with what it is refused."""
            try:
                message(ready, text, key)
            except urllib.error.HTTPError as error:
                with error:
                    return f"{error.code} {error.read().decode()}"
            return ""

        served.time.sleep(MONTH - HOUR // 2)
        until(lambda: not answered("quince"))  # who has slept asks the database first
        server.stop("immediate")

        assert ["", ""] == [answered("sloe"), answered("pear", unkept)]
        turned_away = [answered("never", key) for key in (revoked["key"], "bl_nobodys")]
        assert ["401", "401"] == [one[:3] for one in turned_away]
        assert 6 == served.run("key", "create", "--plan", "pro", "--name", "late").returncode
        until(lambda: 503 == (served.readiness() or [0])[0])
        served.time.sleep(HOUR)
        late = [answered("never"), answered("never", unkept)]
        assert ["503", "503"] == [one[:3] for one in late]
        assert all("(clause without_database)" in one for one in late)

        server.start()
        until(lambda: not answered("plum"))
        until(lambda: 3 == len(served.listed()))
        assert 0 == served.run("retention", "run").returncode
        until(lambda: 200 == (served.readiness() or [0])[0])
        assert old["id"] not in {one["id"] for one in served.listed()}
        assert 0 != served.run("sessions", "export", old["id"]).returncode
        assert [] != served.ask("retention.receipts")
        assert 0 == served.run("verify").returncode
        served.end()
    record_property(
        "seen",
        "3 of 3 kept exchanges there, none of 1 that is not kept; 2 strangers turned away, and "
        "everybody after an hour; 1 session gone that was due meanwhile",
    )

"""PostgreSQL is away from a server that runs, and comes back."""

from __future__ import annotations

import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults.test_clock_of_a_server import serving, until
from support.clients.programs import message
from support.servers.postgres import PostgresServer

MONTH = 31 * 24 * 3600


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One that nobody else has."""
    made = PostgresServer()
    yield made
    made.end()


@pytest.mark.row("O6", "R5", "R1")
def test_a_server_outlives_its_database(
    tmp_path: Path, server: PostgresServer, record_property: Callable[[str, object], None]
) -> None:
    """It answers whom it knows, says that it is not ready, and changes nothing. A month passes in
    which nothing can be destroyed. When the database is back, nobody starts anything: what was
    answered is there, of a key with zero retention nothing is, and what is past its time goes.
    """
    databases = {"BAILEE_DATABASE_URL": server.new(), "BAILEE_KEYRING_DATABASE_URL": server.new()}
    with serving(tmp_path) as (served, upstream):
        environment = {**served.time.environment, **databases}
        ready = served.up("--upstream", upstream.url, env=environment)
        forgets = ("key", "create", "--plan", "api", "--zero-retention", "--name", "forgets")
        unkept = served.json(*forgets)["key"]
        revoked = served.json("key", "create", "--plan", "pro", "--name", "lost")
        assert 0 == served.run("key", "revoke", revoked["key_id"]).returncode
        old = served.say("medlar")
        server.stop("immediate")

        served.time.sleep(MONTH)
        for text in ("quince", "sloe"):
            message(ready, text)
        message(ready, "pear", unkept)
        for key in (revoked["key"], "bl_nobodys"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                message(ready, "never", key)
            refused.value.close()
            assert 401 == refused.value.code
        made = served.run("key", "create", "--plan", "pro", "--name", "late")
        assert 6 == made.returncode
        until(lambda: 503 == (served.readiness() or [0])[0])

        server.start()
        until(lambda: 2 == len(served.listed()))
        assert 0 == served.run("retention", "run").returncode
        until(lambda: 200 == (served.readiness() or [0])[0])
        assert old["id"] not in {one["id"] for one in served.listed()}
        assert 0 != served.run("sessions", "export", old["id"]).returncode
        assert [] != served.ask("retention.receipts")
        assert 0 == served.run("verify").returncode
        served.end()
    record_property("seen", "2 of 2 kept exchanges there, none of 1 that is not kept; 3 refused")

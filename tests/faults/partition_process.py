"""A holder of a database's lease is cut off from it, and another takes the lease: for a network of
its own, which the process that starts this makes.

The server's address there is the loopback interface's, which is taken down; the other comes by the
server's socket. What was seen is said at the end, as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import psycopg
from sqlalchemy import Engine, text

from bailee.db.leases import Lease
from bailee.db.postgresql import open_postgresql
from bailee.errors import BaileeError, StorageError
from support.servers.postgres import PostgresServer

LONG = 180.0


def link(how: str) -> None:
    """Take the network up, or down."""
    subprocess.run(["ip", "link", "set", "lo", how], check=True)


def written(engine: Engine, said: str) -> str:
    """What came of writing a note: `written`, or the class of the error."""
    try:
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO notes VALUES (:said)"), {"said": said})
    except Exception as error:
        return f"refused: {error.message}" if isinstance(error, BaileeError) else "failed"
    return "written"


def main(server: PostgresServer) -> None:
    """See the module."""
    address = server.new()
    name = address.rpartition("/")[2]
    server.do("CREATE TABLE notes (said text)", at=name)
    engine = open_postgresql(address, "database.url")
    lease = Lease(engine, "database.url")
    told = threading.Event()
    lease.when_lost(told.set)
    lease.take()
    lease.number()
    seen = [written(engine, "pear")]
    link("down")
    near = f"host={server.folder}&port={server.port}"
    other = open_postgresql(f"postgresql://bailee@/{name}?{near}", "database.url")
    until = time.monotonic() + LONG
    early = 0
    while True:
        taking = Lease(other, "database.url")
        try:
            taking.take()
            break
        except StorageError:
            early += 1
            assert time.monotonic() < until
            time.sleep(0.5)
    seen += [written(engine, "cut off"), written(other, "quince")]
    link("up")
    seen.append("told" if told.wait(LONG) else "not told")
    seen.append(written(engine, "late"))
    with psycopg.connect(server.address(name)) as connection:
        notes = [said for (said,) in connection.execute("SELECT said FROM notes ORDER BY said")]
    taking.give_back()
    lease.give_back()
    engine.dispose()
    other.dispose()
    print(json.dumps({"seen": seen, "notes": notes, "refused early": early > 0}))


if __name__ == "__main__":
    assert sys.argv[1] != str(Path("/proc/self/ns/net").readlink()), "this is everybody's network"
    link("up")
    running = PostgresServer()
    try:
        main(running)
    finally:
        with suppress(subprocess.CalledProcessError):
            link("up")
        running.end()

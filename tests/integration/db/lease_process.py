"""A process that holds the lease of a database: `lease_process.py ADDRESS [SECONDS]`.

It takes the lease, and then does what each line on its standard input says; of each it says what
came of it. `SECONDS`: by how much its own clock is wrong.
"""

from __future__ import annotations

import sys
import time

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bailee.db.leases import Lease
from bailee.db.postgresql import open_postgresql
from bailee.errors import StorageError

WRITTEN = text("INSERT INTO notes VALUES (:said)")


def main(address: str, wrong: float) -> None:
    """See the module."""
    seconds = time.time
    time.time = lambda: seconds() + wrong
    engine = open_postgresql(address, "database.url")
    lease = Lease(engine, "database.url")
    lease.when_lost(lambda: print("told", flush=True))
    lease.take()
    lease.number()
    print("has it", flush=True)
    for line in sys.stdin:
        said = line.strip()
        if said == "give back":
            lease.give_back()
            print("gave it back", flush=True)
            continue
        try:
            with engine.begin() as connection:
                connection.execute(WRITTEN, {"said": said})
                if said.startswith("slowly"):
                    print("writes", flush=True)
                    sys.stdin.readline()
            print("wrote", flush=True)
        except StorageError as error:
            print(f"refused: {error.message}", flush=True)
        except DBAPIError as error:
            print(f"failed: {type(error.orig).__name__}", flush=True)
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)

"""A process that appends to an audit record and sequences it, without end.

    python ledger_process.py HOME POINT COUNT WHEN

It prints how many leaves each checkpoint has, once that is signed, and dies by SIGKILL when `POINT`
is called for the `COUNT`th time, `WHEN` = "before" or "after" its work.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bailee.clock import system_clock
from bailee.db.engine import open_sqlite
from bailee.db.migrate import upgrade
from bailee.ledger import Folder, Ledger, Sequencer, signing
from bailee.testing.sealing import SealingInMemory


def main() -> None:
    """Work until the end."""
    home = Path(sys.argv[1])
    from killing import die_at  # beside this file, which a test imports from elsewhere

    die_at(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    engine = open_sqlite(home / "data.db")
    upgrade(engine, "data")
    sealing = SealingInMemory()
    ledger = Ledger(engine, system_clock, sealing)
    signers = signing.signers("test", lambda _name: bytes(range(32)))
    sequencer = Sequencer(engine, sealing, Folder(home / "ledger"), lambda: signers)
    while True:
        some = [(f"file:{number}", {"files": number}) for number in range(100)]
        ledger.append_all("telemetry.undelivered", some)
        os.write(1, f"{sequencer.run()}\n".encode())


if __name__ == "__main__":
    main()

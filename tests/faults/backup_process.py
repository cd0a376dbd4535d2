"""A process that backs a home up, or restores one.

    python backup_process.py create|restore FOLDER POINT COUNT WHEN NOW

It dies by SIGKILL when `POINT` is called for the `COUNT`th time, `WHEN` = "before" or "after" its
work. `FOLDER` is that of a `support.homes.backed_up.BackedUp`.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from bailee.accounts import OPERATOR
from bailee.backup.places import FolderPlace
from bailee.backup.restoring import restore
from bailee.home import Home
from bailee.node import Node
from bailee.operations import table
from bailee.testing import FakeClock


def main() -> None:
    """Do it once."""
    what, place = sys.argv[1], Path(sys.argv[2])
    from killing import die_at  # beside this file, which a test imports from elsewhere

    clock = FakeClock(datetime.fromisoformat(sys.argv[6]))
    if what == "create":
        with Node.open(Home(place / "home"), clock=clock) as node:
            die_at(sys.argv[3], int(sys.argv[4]), sys.argv[5])
            given = {"folder": str(place / "data"), "keys": str(place / "keys")}
            for _ in table.perform(node, "backup.create", given, by=OPERATOR):
                pass
    else:
        die_at(sys.argv[3], int(sys.argv[4]), sys.argv[5])
        new = Home(place / "restored")
        of = (FolderPlace(place / "data"), place / "keys", new, place / "log")
        for _ in restore(*of, environment={}, clock=clock):
            pass


if __name__ == "__main__":
    main()

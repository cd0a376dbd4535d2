"""A process that opens a home, carries out one operation, and is killed on the way.

    python home_process.py HOME NOW OPERATION ARGUMENTS [POINT COUNT WHEN]

It dies by SIGKILL when `POINT` (a method, "module:Class.method") is called for the `COUNT`th time,
`WHEN` = "before" or "after" its work. `ARGUMENTS` are JSON, `NOW` an ISO moment.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path

from killing import die_at

from bailee.home import Home, HomeLock
from bailee.node.node import Node
from bailee.operations.asks import at_terminal
from bailee.operations.table import perform
from bailee.testing import FakeClock
from bailee.vault import erasing


def main() -> None:
    """Open, arrange the end, do it."""
    path, now, operation, arguments, *point = sys.argv[1:]
    home = Home(Path(path))
    with HomeLock(home), Node.open(home, clock=FakeClock(datetime.fromisoformat(now))) as node:
        erasing._PORTION = 2  # so that there is more than one portion
        if point:
            die_at(point[0], int(point[1]), point[2])
        values = json.loads(arguments)
        perform(node, operation, values, by=at_terminal(node, values))


if __name__ == "__main__":
    main()

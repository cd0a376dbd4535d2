"""A process that carries out a training export, in shards of five sessions, with two workers.

    python export_process.py HOME FOLDER NOW [POINT COUNT WHEN]

It dies by SIGKILL when `POINT` is called for the `COUNT`th time, `WHEN` = "before" or "after" its
work. It says each shard that is done on a line, and waits for a line before it goes on.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from bailee.home import Home, HomeLock
from bailee.node import Node
from bailee.operations import training
from bailee.testing import FakeClock
from bailee.training.pool import LocalEngine


def main() -> None:
    """Go on with the export into the folder, or begin it."""
    home, folder = Home(Path(sys.argv[1])), sys.argv[2]
    clock = FakeClock(datetime.fromisoformat(sys.argv[3]))
    if sys.argv[4:]:
        from killing import die_at  # beside this file, which a test imports from elsewhere

        die_at(sys.argv[4], int(sys.argv[5]), sys.argv[6])
    with HomeLock(home), Node.open(home, clock=clock, environment={}) as node:
        begun = node.exports.at(folder) or node.exports.begin(
            place=folder,
            format="parquet",
            by="operator",
            reason="a test of faults",
            whose="nobody",
            since=None,
            now=clock(),
        )
        for item in training.carry_out(node, begun, LocalEngine(2), shard=5):
            print(item, flush=True)
            sys.stdin.readline()


if __name__ == "__main__":
    main()

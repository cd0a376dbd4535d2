"""A process beside the one that has a home: `reader_process.py HOME EVERY BOUND`.

It says what it finds of each line on its standard input: `key` and a key; `policy`; `step` and so
many days, by which its own wall clock is wrong from then on. `EVERY`, `BOUND`: seconds, as
`HomeReader` takes them.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bailee.errors import BaileeError
from bailee.home import Home
from bailee.node.reader import HomeReader
from bailee.steady import MachineClocks, this_machine

wrong = timedelta()


def wall() -> datetime:
    """The machine's time, but for what it is told to be wrong by."""
    return datetime.now(UTC) + wrong


def said(reader: HomeReader, line: str) -> str:
    """What it finds."""
    global wrong  # noqa: PLW0603 - it is this process's clock
    what, _, value = line.partition(" ")
    if what == "step":
        wrong += timedelta(days=float(value))
        return "done"
    if what == "policy":
        return reader.holding.policy.sha256
    found = reader.accounts.authenticate(value.encode())
    return "nobody" if found is None else f"{found[1].account_id} {found[1].training_choice}"


def main(home: str, every: float, bound: float) -> None:
    """See the module."""
    machine = this_machine()
    clocks = MachineClocks(wall, machine.unset, machine.boot)
    reader = HomeReader(Home(Path(home)), clock=clocks, every=every, bound=bound)
    print("follows", flush=True)
    for line in sys.stdin:
        try:
            answer = said(reader, line.strip())
        except BaileeError as error:
            answer = f"refused {error.code}"
        print(answer, flush=True)
    reader.close()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))

"""The page of what may happen to the files of a home, from the table that the tests hold it to."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

FAULTS: Sequence[Any] = importlib.import_module("support.homes.fault_table").FAULTS

_HEAD = """# Damage, and what it costs

Generated from the faults that `tests/faults/test_damaged_home.py` does to a home, one after the
other. Each line holds for every place that is tried: nothing is served that is not what was
written, what was forgotten stays so, and what the line does not name is as it was.

`bailee verify` reads everything and names what is damaged. A start that is refused changes nothing
that is not said here. "..." stands for a name.

| what | what happens to it | said | what is lost | what to do |
|---|---|---|---|---|
"""

_TAIL = """
Tested elsewhere:

| what | what happens to it | said | what is lost | what to do | test |
|---|---|---|---|---|---|
| `work/dbos.db` | damaged, or cut | it is set aside, which is said and entered | nothing: it \
is made anew from the sessions | nothing | `tests/integration/app/test_durable.py` |
| a disk | full | the disk is full | nothing; deleting goes on | delete, or make room \
| `tests/integration/app/test_full_disk.py` |
| the clock | set | the clock has stepped | nothing | `bailee clock confirm` \
| `tests/integration/app/test_minding.py` |
| the schedule | fails | the server is not ready | nothing | see `bailee retention report` \
| `tests/integration/app/test_schedule.py` |
| the time that was noted | a byte changed | the row is not what was written | nothing: the \
machine's time is taken | nothing | `tests/integration/app/test_damage_that_destroys.py` |
| a KEK's epoch, of any class | it became another one | what it says was not what was written \
| nothing: it goes at its time | nothing | `tests/integration/app/test_damage_that_destroys.py` |
| where an open segment ends | a byte changed | nothing | nothing: no record is cut off | nothing \
| `tests/integration/app/test_damage_that_destroys.py` |
| what the keyring says of its keys | one value changed | what it says was not what was written \
| nothing: the next sweep or rotation puts it right | nothing \
| `tests/integration/keyring/test_said_of_keys.py` |
| a row that has indexes | a bit flipped on the disk | the row is not what was written | that row: \
what is due goes all the same | nothing | `tests/integration/app/test_damage_that_destroys.py` |
| what is used of a limit | a window's row changed | the row is not what was written | nothing: it \
is counted anew | nothing | `tests/integration/usage/test_limits_shared.py` |
| a session | all its rows are gone | more was filed than is in the index; its key is there | that \
session | restore it from a backup | `tests/integration/app/test_damage_that_destroys.py` |

Not noticed: a log that was cut short behind the last act, and held recorded exchanges alone; that
all parts of a home were put back from the same older copy.
"""


def render() -> str:
    """The page's text."""
    return _HEAD + "".join(map(_line, FAULTS)) + _TAIL


def _line(fault: Any) -> str:
    said = fault.said.rstrip(".") or "nothing"
    where = "the start is refused: " if fault.refused else ""
    if fault.said:
        said = f"{where}*...{_nameless(said)}...*"
    if fault.or_said:
        said += f", or *...{fault.or_said}...*"
    return f"| {fault.what} | {fault.fault} | {said} | {fault.lost} | {fault.do} |\n"


def _nameless(said: str) -> str:
    """Without the ids of the test's home."""
    return " ".join(
        "..." if word.strip(":,").count("-") == 4 else word
        for word in said.replace("session:", "session: ").split()
    )

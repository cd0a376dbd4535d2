"""Something happens to a file of a home: it is said, nothing false is served, all else goes on.

The faults are those of `fault_table`, which the page of the docs is made from too.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.homes.damaged_home import DELETED, ERASED, Original, Seen
from support.homes.fault_table import FAULTS, Fault


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Original, Original]:
    """A home with everything in it, and another one."""
    made = [Original(tmp_path_factory.mktemp("home")) for _ in range(2)]
    return made[0], made[1]


def missed(seen: Seen, whole: Seen) -> set[str]:
    """What there was and is not shown."""
    gone = {one for one in whole.shown if one not in seen.shown}
    gone |= {f"key of {one}" for one in whole.keys - seen.keys}
    gone |= {"hold"} if whole.held - seen.held - gone else set()
    named = {"metrics": "figures", "report": "report", "people": "people"}
    return gone | {n for n, at in named.items() if getattr(seen, at) != getattr(whole, at)}


def content(home: Path) -> dict[str, bytes]:
    """What is in a home's files, but for the databases: opening one may fold its log in."""
    files = {str(path.relative_to(home)): path for path in home.rglob("*") if path.is_file()}
    databases = (".db", "-shm", "-wal", "reserve")
    return {
        name: path.read_bytes()
        for name, path in files.items()
        if not name.startswith("run/") and not name.endswith(databases)
    }


@pytest.mark.row("R1", "R5", "R6", "D4")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.what}, {fault.fault}")
def test_a_damaged_file_is_said_and_costs_what_the_table_says(
    fault: Fault, homes: tuple[Original, Original], tmp_path: Path
) -> None:
    """Each place: the start is refused with nothing changed, or all is served as it was but for
    what the table says; who must act is told.
    """
    original, other = homes
    for number, damage in enumerate(fault.damages):
        home = original.copy(tmp_path / str(number), folded=fault.folded)
        damage(home, other.folder)
        before = content(home)
        seen = original.see(home)
        assert fault.refused in (None, seen.refused is not None), seen.words()
        said = seen.words()
        assert fault.said in said or (fault.or_said and fault.or_said in said)
        if seen.refused is not None:
            assert seen.hinted
            if seen.before_writing:
                assert before == content(home)
        else:
            serves_nothing_false(seen, original.whole)
            assert missed(seen, original.whole) <= fault.loses, seen.words()
        shutil.rmtree(home)


def serves_nothing_false(seen: Seen, whole: Seen) -> None:
    """What is shown is what was said, by whom and until when; what was forgotten stays so; what
    was refused is not trained on.
    """
    for session, shown in seen.shown.items():
        assert whole.shown[session] == shown
    for session, listed in seen.listed.items():
        assert whole.listed[session] == listed
    assert not {DELETED, ERASED} & (seen.shown.keys() | seen.listed.keys())
    assert set() == seen.trained


def test_a_home_that_nothing_happened_to_is_whole(homes: tuple[Original, Original]) -> None:
    """So what the others find was damaged by them."""
    whole = homes[0].whole
    assert (None, {}, [], []) == (whole.refused, whole.errors, whole.said, whole.known)
    assert 6 == len(whole.shown)
    assert 2 == len(whole.held)

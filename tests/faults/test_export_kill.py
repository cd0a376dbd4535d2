"""A training export whose driver or worker is killed goes on, with no row twice and none lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.clients import processes
from support.clients.programs import clean_environment
from support.homes.backed_up import BackedUp
from support.homes.exporting import rows_of

PROCESS = Path(__file__).with_name("export_process.py")
SESSIONS = 25
POINTS = [
    ("bailee.training.exports:Exports.commit", 2, "before"),
    ("bailee.training.exports:Exports.commit", 2, "after"),
    ("bailee.training.finishing:put", 1, "after"),  # the manifest, not signed
    ("bailee.training.exports:Exports.sign", 1, "after"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> BackedUp:
    """A home with a person who allows training, and their sessions; closed."""
    made = BackedUp(tmp_path_factory.mktemp("home"))
    person = made.person("ola@x.example")
    made.ask("privacy.choose", key=person["key"], choice="allowed")
    for number in range(SESSIONS):
        made.say(str(person["account"]), f"word {number}")
    made.node.close()
    return made


@contextmanager
def _exporting(place: BackedUp, folder: Path, *dies: str) -> Iterator[processes.Process]:
    process = processes.start(
        *(str(place.home.path), str(folder), place.clock().isoformat(), *dies),
        env=clean_environment(folder.parent),
        program=PROCESS,
        given=True,
        stderr=2,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _next(process: processes.Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _go_on(process: processes.Process) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def _finish(process: processes.Process) -> None:
    while line := _next(process):
        _go_on(process)
        if line.startswith("Finished"):
            break
    assert process.wait(60) == 0


def _workers(process: processes.Process) -> list[int]:
    children = Path(f"/proc/{process.pid}/task").glob("*/children")
    found = {int(pid) for path in children for pid in path.read_text().split()}
    return [one for one in found if "training.working" in _command(one)]


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def _check(place: BackedUp, folder: Path) -> None:
    rows = rows_of(folder)
    said = [one["messages"][0]["content"] for one in rows]
    assert sorted(f"word {number}" for number in range(SESSIONS)) == sorted(said)
    assert len({one["id"] for one in rows}) == SESSIONS
    assert not (folder / ".bailee-export").exists()
    assert {"data", "manifest.json", "manifest.proof", "manifest.sig", "sessions.jsonl"} <= {
        one.name for one in folder.iterdir()
    }


@pytest.mark.row("T8")
@pytest.mark.parametrize(("point", "count", "when"), POINTS)
def test_a_driver_that_is_killed_is_gone_on_with(
    place: BackedUp, tmp_path: Path, point: str, count: int, when: str
) -> None:
    """Wherever it had come to; what was committed is not done again."""
    folder = tmp_path / "dataset"
    with _exporting(place, folder, point, str(count), when) as process:
        while _next(process):
            _go_on(process)
        assert process.wait(60) == -signal.SIGKILL
    with _exporting(place, folder) as process:
        if point.endswith("commit"):
            assert f"done={count - (when == 'before')}," in _next(process)
            _go_on(process)
        _finish(process)
    _check(place, folder)


@pytest.mark.row("T8")
def test_a_worker_that_is_killed_costs_its_shard_alone(place: BackedUp, tmp_path: Path) -> None:
    """It is done again by another; nothing is twice or lost."""
    folder = tmp_path / "dataset"
    with _exporting(place, folder) as process:
        _next(process)
        _go_on(process)
        _next(process)
        killed = _workers(process)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        _go_on(process)
        _finish(process)
    assert killed
    _check(place, folder)

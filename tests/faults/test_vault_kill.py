"""kill -9 at any point: what was acknowledged is there exactly once, and nothing is there twice."""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
import signal
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support.clients import processes
from support.clients.programs import clean_environment

PROCESS = Path(__file__).with_name("vault_process.py")
_spec = importlib.util.spec_from_file_location("vault_process", PROCESS)
assert _spec is not None
assert _spec.loader is not None
vault_process: ModuleType = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(vault_process)

POINTS = [
    ("bailee.vault.files:Files.write", 25),
    ("bailee.vault.files:Files.sync", 9),
    ("bailee.vault.files:Files.put", 9),
    ("bailee.vault.files:Files.make", 4),
    ("bailee.vault.spool_writing:SpoolWriter._close_file", 3),
    ("bailee.vault.sealer:Sealer._seal", 8),
    ("bailee.vault.sealer:Sealer._commit", 8),
    ("bailee.vault.sealer:Sealer._release", 2),
    ("bailee.vault.sealing_queue:SealingQueue.done", 5),
    ("bailee.vault.batch:Batch.put_rows", 9),
    ("bailee.vault.segments:Segments.write", 9),
    ("bailee.vault.segments:Segments.committed", 7),
    ("bailee.vault.segments:Segments._drop", 1),
    ("bailee.vault.objects:FolderObjects.put", 1),
    ("bailee.vault.spool_reading:SpoolReader.release", 1),
    ("bailee.keyring.keyring:Keyring.destroy", 1),
    ("bailee.keyring.rotation:_begin", 1),
    ("bailee.keyring.rotation:_move_portion", 1),
    ("bailee.keyring.rotation:_rewrap_keks", 1),
    ("bailee.keyring.rotation:_rewrap_secrets", 1),
    ("bailee.keyring.roots.file:FileRoot.add", 2),
    ("bailee.keyring.roots.file:FileRoot.destroy", 1),
    ("bailee.keyring.keyring:Keyring.many", 6),
]


def killed(home: str | Path, first: int, *point: str, after: int | None = None) -> set[int]:
    """Run the process to its end; the numbers that it acknowledged. `after` so many of them it is
    killed from outside, in the middle of whatever it does then.
    """
    folder = Path(str(home).partition(",")[0])
    process = processes.start(
        *(str(home), str(first), *point), env=clean_environment(folder), program=PROCESS
    )
    assert process.stdout is not None and process.stderr is not None
    before = "".join(process.stdout.readline() for _ in range(after or 0))
    if after is not None:
        process.send_signal(signal.SIGKILL)
    out, said = process.stdout.read(), process.stderr.read()
    assert -signal.SIGKILL == process.wait(60), said
    return {int(line) for line in (before + out).split("\n")[:-1]}


def verify(home: Path, acknowledged: set[int]) -> None:
    """Open the vault as the next process would, and compare; its sums are of its rows."""
    vault, _ = vault_process.open_vault(home)
    report = vault.recover()
    assert not vault.sum_up()
    assert [] == [damage for damage in report.damaged if not damage.torn]
    found: Counter[int] = Counter()
    for row in vault.sessions(vault_process.system_clock()):
        shown = vault.show(row.id)
        assert row.exchanges == len(shown.exchanges)
        for exchange in shown.exchanges:
            number = int(exchange.exchange_id)
            found[number] += 1
            expected: Any = json.loads(vault_process.exchange(number).request)
            assert expected == exchange.request
        numbers = [int(exchange.exchange_id) for exchange in shown.exchanges]
        assert sorted(numbers) == numbers
    vault.close()
    assert set() == acknowledged - found.keys()
    assert [] == [number for number, times in found.items() if times != 1]
    open_files = {path.name for path in (home / "vault" / "spool").iterdir()}
    assert set() == open_files


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with empty databases."""
    home = tmp_path_factory.mktemp("empty") / "home"
    vault, _ = vault_process.open_vault(home)
    vault.close()
    return home


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("point", "count"), POINTS)
def test_at_a_point(empty: Path, tmp_path: Path, point: str, count: int, when: str) -> None:
    """Killed before or after any step of keeping, sealing, shipping or rotating."""
    home = shutil.copytree(empty, tmp_path / "home")
    acknowledged = killed(home, 0, point, str(count), when)
    verify(home, acknowledged)


def test_at_random_moments(tmp_path: Path) -> None:
    """Killed again and again at random moments, on one home."""
    chance = random.Random(7)
    acknowledged: set[int] = set()
    for start in range(6):
        acknowledged |= killed(tmp_path, start * 100_000, after=chance.randint(25, 150))
    assert len(acknowledged) > 100
    verify(tmp_path, acknowledged)

"""What a backup and a restore of a home take, against `cp` of its folder on the same disk.

A home of sessions whose records do not compress, shipped in segments. A backup reads each file
once, with its hash, and syncs it; a second one finds that nothing is new. A restore reads all
twice: to check it before anything is written, and to copy it; besides, it opens the home, does
again what was decided since, and rotates the root, however little there is. Best of three, by the
clock and by the processor: a machine that others use gives `cp` and us a share of it, and we need
more.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import insert

from bailee.accounts import OPERATOR
from bailee.backup.creating import Creating
from bailee.backup.keys import take_keys
from bailee.backup.places import FolderPlace
from bailee.backup.restoring import restore
from bailee.db.vault import exchanges, segments, sessions
from bailee.home import Home
from bailee.keyring import Want
from bailee.node import Node
from bench.result import Line
from bench.retention import session_row

SEGMENTS = 48
SEGMENT_BYTES = 8 << 20
TIMES = 3


def main() -> list[Line]:
    """Measure and print; the lines of the closing table."""
    with tempfile.TemporaryDirectory(prefix="bailee-bench-") as name:
        folder = Path(name)
        home = Home(folder / "home")
        with Node.open(home) as node:
            for _ in Creating(node, FolderPlace(folder / "empty"), OPERATOR.name).run():
                pass
            empty = _restored(node, folder, "empty")
            _fill(node)
            size = sum(one.stat().st_size for one in home.vault.rglob("*") if one.is_file()) / 1e6

            def back_up() -> None:
                for _ in Creating(node, FolderPlace(folder / "data"), OPERATOR.name).run():
                    pass

            made = _best(back_up, lambda: shutil.rmtree(folder / "data", ignore_errors=True))
            again = _best(back_up, lambda: None)
            restored = _restored(node, folder, "data")
        copied = _best(lambda: _copy(home.path, folder / "cp"), lambda: _remove(folder / "cp"))
    against = f"cp -r and sync {_rate(size, copied)}"
    return [
        (f"backup of {size:,.0f} MB", _rate(size, made), against),
        ("the same once more, nothing new", f"{again[0]:.2f} s", f"{made[0]:.2f} s"),
        ("restore, all checked before", _rate(size, restored), against),
        ("of that, what a home of no sessions takes", f"{empty[0]:.2f} s", f"{restored[0]:.2f} s"),
    ]


def _restored(node: Node, folder: Path, data: str) -> tuple[float, float]:
    """What a restore of the backup in a folder takes."""
    new = folder / "new"
    take_keys(node, folder / f"keys-of-{data}", 1)
    node.sequencer.run()
    of = (FolderPlace(folder / data), folder / f"keys-of-{data}", Home(new), node.home.path)

    def bring_back() -> None:
        for _ in restore(*of, environment={}):
            pass

    return _best(bring_back, lambda: shutil.rmtree(new, ignore_errors=True))


def _rate(size: float, took: tuple[float, float]) -> str:
    by_clock, of_processor = took
    return f"{size / by_clock:,.0f} MB/s ({of_processor:.1f} s of processor)"


def _fill(node: Node) -> None:
    """Segments of random bytes as the index has them, each of one session: else a restore would
    remove them again, since nothing is in them.
    """
    now = node.clock()
    day = f"{now:%Y-%m-%d}"
    rows = [session_row(number, now) for number in range(SEGMENTS)]
    node.keyring.many(Want(f"session:{r['id']}", "transcript", r["expires_at"]) for r in rows)
    with Path("/dev/urandom").open("rb") as random, node.data.begin() as connection:
        connection.execute(insert(sessions), rows)
        for number, row in enumerate(rows):
            place = node.home.vault / "segments" / "transcript" / day / f"bench-{number}"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(random.read(SEGMENT_BYTES))
            segment = (place.name, "transcript", day, now, SEGMENT_BYTES, "shipped")
            connection.execute(insert(segments).values(segment))
            record = (f"rec-{number}", row["id"], 0, place.name, 0, SEGMENT_BYTES)
            about = (f"exc-{number}", now.timestamp(), now.timestamp(), "complete", 200)
            connection.execute(insert(exchanges).values((*record, *about, None)))


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", str(source), str(target)], check=True)
    subprocess.run(["sync", "-f", str(target)], check=True)


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)


def _best(work: Callable[[], None], before: Callable[[], None]) -> tuple[float, float]:
    """The least seconds of a few times, by the clock and of the processor, children included."""
    took, busy = [], []
    for _ in range(TIMES):
        before()
        began, was = time.perf_counter(), sum(os.times()[:4])
        work()
        took.append(time.perf_counter() - began)
        busy.append(sum(os.times()[:4]) - was)
    return min(took), min(busy)

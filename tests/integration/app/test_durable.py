"""The queue of cloud sessions: started when needed, and made anew when its file is damaged."""

from __future__ import annotations

import random
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bailee.app.durable import CloudQueue, DurableQueue
from bailee.errors import StorageError
from bailee.testing import FakeClock

pytestmark = pytest.mark.row("C1", "R5")


class Bench:
    """A queue in a folder, what it ran, said and entered."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "dbos.db"
        self.ran: list[str] = []
        self.said: list[str] = []
        self.entered: list[tuple[str, str]] = []
        self.done = threading.Event()
        self.queue = self.make()

    def make(self) -> DurableQueue:
        """Another queue on the same file, as the next process would."""

        async def run(session: str) -> str:
            self.ran.append(session)
            self.done.set()
            return "done"

        return DurableQueue(
            self.file,
            CloudQueue(run, 2),
            clock=FakeClock(),
            record=lambda kind, subject, _body, **_: self.entered.append((kind, subject)),
            say=self.said.append,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A queue that has not begun."""
    made = Bench(tmp_path)
    yield made
    made.queue.stop()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a queue through which a session went."""
    bench = Bench(tmp_path_factory.mktemp("written"))
    bench.queue.check()
    assert not bench.file.exists()  # nothing is started before it is needed
    bench.queue.enqueue("cs-1")
    assert bench.done.wait(30)
    bench.queue.stop()
    assert (["cs-1"], [], []) == (bench.ran, bench.said, bench.entered)
    return bench.file


def rubbish(content: bytes) -> bytes:
    """Nothing of it is left."""
    return random.Random(1).randbytes(len(content))


def cut(content: bytes) -> bytes:
    """The end is missing."""
    return content[: len(content) // 2 + 100]


def flipped(content: bytes) -> bytes:
    """Some pages are not what was written."""
    middle = len(content) // 4096 // 2 * 4096
    return content[:middle] + rubbish(content[middle : middle + 8192]) + content[middle + 8192 :]


@pytest.mark.parametrize("damage", [rubbish, cut, flipped])
def test_a_damaged_file_is_set_aside_and_begun_anew(
    bench: Bench, written: Path, damage: Callable[[bytes], bytes]
) -> None:
    """It is kept under another name, which is said and entered; sessions run all the same."""
    content = damage(written.read_bytes())
    bench.file.write_bytes(content)
    bench.queue.check()
    (aside,) = bench.file.parent.glob("dbos.db.damaged-*")
    assert content == aside.read_bytes()
    assert [("work.set_aside", "work")] == bench.entered
    assert aside.name in bench.said[0]
    assert "Traceback" not in bench.said[0]
    bench.queue.enqueue("cs-2")
    assert bench.done.wait(30)
    assert ["cs-2"] == bench.ran


def test_a_file_that_is_whole_and_not_ours_is_set_aside_when_it_is_needed(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """What passes for a database, and has other tables, is set aside, without a traceback."""
    with closing(sqlite3.connect(bench.file)) as connection:
        connection.execute("CREATE TABLE workflow_status (other INTEGER)")
    bench.queue.check()
    bench.queue.enqueue("cs-3")
    assert bench.done.wait(30)
    assert [("work.set_aside", "work")] == bench.entered
    assert "Traceback" not in capsys.readouterr().err


def test_what_can_not_be_opened_refuses_the_start(bench: Bench) -> None:
    """With what to do; nothing is set aside."""
    bench.file.mkdir()
    with pytest.raises(StorageError) as refused:
        bench.queue.check()
    assert "moved away" in str(refused.value.hint)
    assert bench.file.is_dir()
    assert ([], []) == (bench.said, bench.entered)


def test_a_session_of_an_earlier_process_is_led_once(bench: Bench, written: Path) -> None:
    """What went through stays so, whoever asks again."""
    shutil.copy(written, bench.file)
    bench.queue.check()
    bench.queue.enqueue("cs-1")
    bench.queue.enqueue("cs-4")
    assert bench.done.wait(30)
    assert ["cs-4"] == bench.ran

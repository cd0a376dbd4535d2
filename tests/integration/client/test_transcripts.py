"""Local transcripts on a real disk: sealed, durable, forgotten by the time of their records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bailee.client import frames
from bailee.client.local_key import machine_key
from bailee.client.transcripts import LocalTranscripts
from bailee.errors import BaileeError, InputError, IntegrityError
from bailee.testing import FakeClock

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
Opened = Callable[..., LocalTranscripts]


@pytest.fixture
def clock() -> FakeClock:
    """A clock that the test moves."""
    return FakeClock(START)


@pytest.fixture
def opened(tmp_path: Path, clock: FakeClock) -> Opened:
    """Opens the store of one folder, as another process would."""

    def open_(days: int = 30) -> LocalTranscripts:
        return LocalTranscripts(
            tmp_path / "transcripts",
            lambda: machine_key(tmp_path, lambda: None),
            days=days,
            clock=clock,
        )

    return open_


def prompt(text: str) -> dict[str, Any]:
    """A person's message."""
    return {"type": "prompt", "content": [{"type": "text", "text": text}]}


@pytest.mark.row("R3", "D4")
def test_what_is_kept_is_read_back_and_nowhere_in_the_clear(opened: Opened, tmp_path: Path) -> None:
    """Two processes append; a third reads all of it; no file has a word of it, or is for others."""
    first = opened()
    first.append("s1", {"type": "session", "folder": "/home/ann/orchard"})
    first.append("s1", prompt("count the quince trees"))
    first.close()
    second = opened()
    second.append("s1", prompt("梨 \u2028 trees too"))
    second.close()

    (kept,) = opened().list()
    assert ("s1", "/home/ann/orchard", "count the quince trees", 3) == (
        kept.session, kept.folder, kept.title, kept.records,
    )  # fmt: skip
    assert (START + timedelta(days=30)).isoformat() == kept.forgotten_at
    assert ["session", "prompt", "prompt"] == [r["type"] for r in opened().load("s1")]
    assert prompt("梨 \u2028 trees too") == opened().load("s1")[2]
    for path in tmp_path.rglob("*"):
        assert 0 == path.stat().st_mode & 0o077
        if path.is_file():
            assert b"quince" not in path.read_bytes()
            assert b"orchard" not in path.read_bytes()


@pytest.mark.row("R3")
def test_forgotten_by_the_time_of_the_last_record(
    opened: Opened, clock: FakeClock, tmp_path: Path
) -> None:
    """Touching the file changes nothing; a new record does; at the very moment it is gone."""
    store = opened()
    store.append("old", prompt("a"))
    store.append("resumed", prompt("b"))
    clock.advance(timedelta(days=20))
    store.append("resumed", prompt("c"))
    store.close()
    for path in (tmp_path / "transcripts").iterdir():
        os.utime(path, None)
    clock.advance(timedelta(days=10, microseconds=-1))
    assert {"old", "resumed"} == {k.session for k in opened().list()}

    clock.advance(timedelta(microseconds=1))

    # Past its time it can't be read, though nothing has cleaned up yet.
    assert ([], ["resumed"]) == (opened().load("old"), [k.session for k in opened().list()])
    assert ["old"] == [one.session for one in opened().forget()]
    assert {"resumed.key", "resumed.log"} == {p.name for p in (tmp_path / "transcripts").iterdir()}


@pytest.mark.row("R3")
def test_zero_days_keeps_none(opened: Opened, tmp_path: Path) -> None:
    """With 0 nothing is written, not even a key; what was there before is past its time."""
    opened(0).append("s1", prompt("a"))
    assert [] == list(tmp_path.rglob("*"))

    opened(30).append("s1", prompt("a"))
    assert ([], []) == (opened(0).list(), opened(0).load("s1"))
    assert ["s1"] == [one.session for one in opened(0).forget()]


def test_deleting_wipes_the_key(opened: Opened, tmp_path: Path) -> None:
    """A copy of the log that somebody made before opens nothing afterwards."""
    store = opened()
    store.append("s1", prompt("a"))
    log = tmp_path / "transcripts" / "s1.log"
    copy = log.read_bytes()

    assert (True, False) == (store.delete("s1"), store.delete("s1"))

    log.write_bytes(copy)
    with pytest.raises(IntegrityError) as gone:
        opened().load("s1")
    assert "key_destroyed" == gone.value.code


def test_one_process_writes_a_session(opened: Opened) -> None:
    """A second one is told so, and nothing is mixed up."""
    first = opened()
    first.append("s1", prompt("a"))

    with pytest.raises(InputError, match="Another process"):
        opened().append("s1", prompt("b"))

    first.append("s1", prompt("c"))
    assert ["a", "c"] == [r["content"][0]["text"] for r in opened().load("s1")]


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".key", "a\n", "x" * 200])
def test_a_session_is_no_path(opened: Opened, name: str) -> None:
    """A name that could be a path is refused everywhere."""
    for act in (
        lambda: opened().append(name, {}),
        lambda: opened().load(name),
        lambda: opened().delete(name),
    ):
        with pytest.raises(InputError):
            act()


def test_whatever_is_cut_off_the_rest_is_read_and_goes_on(opened: Opened, tmp_path: Path) -> None:
    """At every byte at which a crash can end the file: whole records, and room for the next."""
    store = opened()
    for number in range(3):
        store.append("s1", prompt(str(number)))
    store.close()
    log = tmp_path / "transcripts" / "s1.log"
    whole = log.read_bytes()
    ends = [f.start + f.length for f in frames.layout(whole).frames]

    for cut in range(len(whole) + 1):
        log.write_bytes(whole[:cut])
        expected = [prompt(str(n)) for n, end in enumerate(ends) if end <= cut]
        assert expected == opened().load("s1")
        if cut % 7 == 0:
            again = opened()
            again.append("s1", prompt("next"))
            again.close()
            assert [*expected, prompt("next")] == opened().load("s1")
            if not expected:  # it began anew, with a new key: the copies are of the old one
                break_key = tmp_path / "transcripts" / "s1.key"
                break_key.unlink()
                log.unlink()
                store = opened()
                for number in range(3):
                    store.append("s1", prompt(str(number)))
                store.close()
                whole = log.read_bytes()
                ends = [f.start + f.length for f in frames.layout(whole).frames]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_changed_byte_goes_unseen(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    """Change any one byte: what is read is a beginning of what was written, or an error."""
    folder = tmp_path_factory.mktemp("changed")
    store = LocalTranscripts(
        folder / "t", lambda: machine_key(folder, lambda: None), days=30, clock=lambda: START
    )
    written = [prompt(str(number)) for number in range(3)]
    for record in written:
        store.append("s1", record)
    store.close()
    log = folder / "t" / "s1.log"
    content = bytearray(log.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    log.write_bytes(bytes(content))

    try:
        read = store.load("s1")
    except IntegrityError:
        return
    assert read == written[: len(read)]
    assert len(read) < 3


@pytest.mark.row("R3")
def test_kill_loses_no_record_that_append_returned_for(tmp_path: Path) -> None:
    """Killed with -9 in the middle of writing: every record that was reported is there."""
    program = (
        "import sys, pathlib\n"
        "from bailee.client.local_key import machine_key\n"
        "from bailee.client.transcripts import LocalTranscripts\n"
        "home = pathlib.Path(sys.argv[1])\n"
        "store = LocalTranscripts(home / 't', lambda: machine_key(home, lambda: None), days=30)\n"
        "n = 0\n"
        "while True:\n"
        "    store.append('s1', {'n': n, 'pad': 'x' * (n * 37 % 5000)})\n"
        "    print(n, flush=True)\n"
        "    n += 1\n"
    )
    for round_ in range(4):
        home = tmp_path / str(round_)
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(home)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(20 + 17 * round_):
            process.stdout.readline()
        process.kill()
        reported = len(process.stdout.read().split()) + 20 + 17 * round_
        process.wait()
        store = LocalTranscripts(home / "t", lambda h=home: machine_key(h, lambda: None), days=30)
        numbers = [record["n"] for record in store.load("s1")]
        assert list(range(len(numbers))) == numbers
        assert len(numbers) >= reported
        store.append("s1", {"n": len(numbers)})
        assert len(numbers) + 1 == len(store.load("s1"))


def test_the_key_is_in_the_keyring_when_there_is_one(tmp_path: Path) -> None:
    """Then the file holds no key; without the keyring nothing opens, and it is said why."""
    held: dict[tuple[str, str], str] = {}

    class Ring:
        def get_password(self, service: str, name: str) -> str | None:
            return held.get((service, name))

        def set_password(self, service: str, name: str, password: str) -> None:
            held[service, name] = password

    key = machine_key(tmp_path, Ring)

    assert "keyring" == (tmp_path / "key").read_text()
    assert key == machine_key(tmp_path, Ring)
    with pytest.raises(InputError, match="keyring"):
        machine_key(tmp_path, lambda: None)


def test_a_keyring_that_fails_is_not_relied_on(tmp_path: Path) -> None:
    """One that takes a secret and does not give it back: the key is in the file."""

    class Broken:
        def get_password(self, service: str, name: str) -> str | None:
            return None

        def set_password(self, service: str, name: str, password: str) -> None:
            raise RuntimeError

    key = machine_key(tmp_path, Broken)

    assert key == machine_key(tmp_path, lambda: None)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Its mode is part of what keeps it; a lax one is named."""
    machine_key(tmp_path, lambda: None)
    (tmp_path / "key").chmod(0o644)

    with pytest.raises(InputError, match="Others may read"):
        machine_key(tmp_path, lambda: None)


def test_what_can_not_be_opened_is_listed_and_can_be_deleted(
    opened: Opened, tmp_path: Path
) -> None:
    """Damage to one session hides no other, and stays deletable."""
    store = opened()
    store.append("good", prompt("a"))
    store.append("bad", prompt("b"))
    store.close()
    (tmp_path / "transcripts" / "bad.key").write_bytes(b"x" * 60)

    titles = {k.session: k.title for k in opened().list()}
    assert {"good": "a", "bad": "(can't be opened)"} == titles
    with pytest.raises(BaileeError):
        opened().load("bad")
    assert opened().delete("bad")
    assert ["good"] == [k.session for k in opened().list()]


def test_records_are_json(opened: Opened) -> None:
    """Anything that JSON can hold comes back as it was."""
    record = {"a": [1, 2.5, None, True, "\ud7ff😀"], "b": {"c": {}}}
    opened().append("s1", record)

    assert [json.loads(json.dumps(record))] == opened().load("s1")


def test_a_long_torn_record_leaves_no_rest_behind_a_short_one(
    opened: Opened, tmp_path: Path
) -> None:
    """What a crash left of a large record is cut off, not written over in part."""
    store = opened()
    store.append("s1", prompt("a"))
    store.append("s1", prompt("pears " * 1000))
    store.close()
    log = tmp_path / "transcripts" / "s1.log"
    log.write_bytes(log.read_bytes()[:-10])
    again = opened()
    again.append("s1", prompt("b"))
    again.close()

    assert [prompt("a"), prompt("b")] == opened().load("s1")
    assert frames.layout(log.read_bytes()).end == log.stat().st_size


def test_a_start_waits_for_the_disk_three_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record that begins a session waits for the next; with that the key is durable, then the
    records, then both names. Each further record waits once, and so does whoever goes on.
    """
    synced: list[str] = []
    for name in ("fsync", "fdatasync"):
        sync = getattr(os, name)

        def noted(file: int, sync: Callable[[int], None] = sync) -> None:
            sync(file)
            synced.append(Path(f"/proc/self/fd/{file}").readlink().name.partition(".")[0])

        monkeypatch.setattr(os, name, noted)
    store = LocalTranscripts(tmp_path / "t", lambda: bytes(32), days=30)
    store.append("s", {"type": "session", "folder": "/x"})
    assert [""] == synced  # `.s.key.…`, before it has its name
    store.append("s", {"type": "prompt"})
    assert ["", "s", "t"] == synced
    store.append("s", {"type": "answer"})
    store.close()
    store.append("s", {"type": "prompt"})
    assert ["", "s", "t", "s", "s"] == synced

    other = LocalTranscripts(tmp_path / "t", lambda: bytes(32), days=30)
    other.append("o", {"type": "session", "folder": "/x"})
    other.close()
    synced.clear()
    other.append("o", {"type": "prompt"})  # by whom it was begun: its name may not be durable
    assert ["o", "t"] == synced

"""A workbench in a process of its own: the same answers, and an end that is its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bailee.apis.reading import interpret
from bailee.errors import StorageError
from bailee.gateway.taking_apart import COMMAND
from bailee.vault.bounds import Beyond
from bailee.vault.workbench import Bench, DigestKeys, How, Missing, PackingOrder, Workbench
from bailee.vault.workbench_process import WorkbenchProcess, WorkerEnded

Home = Any

PROGRAM = Path(__file__).parents[2] / "faults" / "workbench_program.py"
KEYS = DigestKeys(b"k" * 32, b"t" * 32)
SESSIONS = [f"{digit * 8}-32a5-4d0c-8f0b-0d7c3d1c1a11" for digit in "1234"]


@pytest.fixture
def process() -> Iterator[WorkbenchProcess]:
    """The process that `bailee up` has."""
    made = WorkbenchProcess(COMMAND, KEYS)
    yield made
    made.close()


@pytest.fixture
def breaking(make: Callable[..., Home]) -> Home:
    """A vault whose workbench goes wrong where it is asked to."""
    bench: Home = make(
        bench=partial(WorkbenchProcess, (sys.executable, str(PROGRAM)), patience=5.0)
    )
    return bench


def turn(text: str) -> dict[str, str]:
    """A user's message."""
    return {"role": "user", "content": text}


def test_it_holds_no_more_than_it_needs() -> None:
    """No database, no keyring and no server is so much as imported: half of what it would take."""
    program = "import sys, bailee.gateway.taking_apart; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, check=True)
    modules = set(done.stdout.decode().split())
    assert {"bailee.apis.reading", "bailee.vault.workbench"} <= modules
    foreign = {"asyncio", "bailee.db", "bailee.gateway.server", "bailee.keyring", "cryptography"}
    assert set() == modules & {*foreign, "sqlalchemy", "ssl"}


def test_it_answers_as_one_in_this_process(process: WorkbenchProcess, bench: Home) -> None:
    """What is taken apart, what is missing, and what is packed, are the same to the last byte."""
    history = [turn("a \ud800 lone half"), turn("x" * 500), turn("é")]
    exchanges = [
        bench.exchange(history[:1], system=[{"text": "s" * 500}], big=2**80),
        bench.exchange(history, {"role": "assistant", "content": "y"}),
        bench.exchange(request=b"\xff not JSON"),
        bench.exchange(history, headers=(("x-claude-code-session-id", "ümläut"),)),
    ]
    here: Bench = Workbench(interpret, KEYS)
    for how in How:
        assert here.take_apart(exchanges, how) == process.take_apart(exchanges, how)
        asks = [
            PackingOrder(n, session, 3, b"d" * 32, new=n == 1)
            for n, session in enumerate(f"{how}/{session}" for session in SESSIONS)
        ]
        missing = here.pack(asks)
        assert missing == process.pack(asks)
        if isinstance(missing, Missing):
            assert missing.sessions
            places = {
                session: {bytes([n]) * 16: (1, n) for n in range(2)} for session in missing.sessions
            }
            assert here.pack(asks, places) == process.pack(asks, places)


def test_what_it_is_given(process: WorkbenchProcess, bench: Home) -> None:
    """A socket and three files that lead nowhere; no variable but those that start Python."""
    os.environ["BAILEE_ROOT_KEY_FOR_THIS_TEST"] = "secret"
    try:
        other = WorkbenchProcess(COMMAND, KEYS)
    finally:
        del os.environ["BAILEE_ROOT_KEY_FOR_THIS_TEST"]
    try:
        other.take_apart([bench.exchange([turn("x")])], How.WHOLE)
        folder = Path(f"/proc/{other.pid}")
        assert b"secret" not in (folder / "environ").read_bytes()
        opened = {str(file.readlink()).partition(":")[0] for file in (folder / "fd").iterdir()}
        assert opened <= {"socket", "/dev/null"}
        assert b"Max core file size        0 " in (folder / "limits").read_bytes()
        assert os.getpriority(os.PRIO_PROCESS, other.pid or 0) >= 5
    finally:
        other.close()
    assert not folder.exists()


@pytest.mark.row("G1")
@pytest.mark.parametrize("wrong", ["end", "hang"])
def test_what_ends_it_is_kept_as_bytes(breaking: Home, wrong: str) -> None:
    """And reported; those beside it are kept whole, and so is what comes after."""
    breaking.submit(
        breaking.exchange([turn("one")], session=SESSIONS[0]),
        breaking.exchange([turn("bad")], session=SESSIONS[1], headers=(("wrong", wrong),)),
        breaking.exchange([turn("two")], session=SESSIONS[2]),
    )
    breaking.vault.flush()
    breaking.keep(breaking.exchange([turn("three")], session=SESSIONS[3]))

    kept = {
        exchange.exchange_id: exchange
        for row in breaking.vault.sessions(breaking.clock())
        for exchange in breaking.vault.show(row.id).exchanges
    }
    whole = [one.messages for one in kept.values() if one.beyond is None]
    (bad,) = [one for one in kept.values() if one.beyond is not None]
    assert [[turn("one")], [turn("three")], [turn("two")]] == sorted(whole, key=str)
    assert Beyond.ENDED == bad.beyond
    assert b"bad" in (bad.raw_request or b"")
    assert ["vault.kept_as_bytes"] == [kind for kind, _, _ in breaking.leaves]


@pytest.mark.row("G1")
def test_what_takes_too_much_memory_is_kept_as_bytes(breaking: Home) -> None:
    """The process has a limit of its own, and goes on."""
    breaking.keep(breaking.exchange([turn("x")], session="a", headers=(("wrong", "memory"),)))
    (row,) = breaking.vault.sessions(breaking.clock())
    (one,) = breaking.vault.show(row.id).exchanges
    assert b'"x"' in (one.raw_request or b"")


def test_it_is_started_again(breaking: Home) -> None:
    """Killed between two exchanges of a conversation, which goes on where it was."""
    history = [turn("one " * 100)]
    breaking.keep(breaking.exchange(history, session=SESSIONS[0]))
    before = breaking.vault._sealer._bench.pid
    os.kill(before, 9)
    history.append(turn("two"))
    breaking.keep(breaking.exchange(history, session=SESSIONS[0]))

    (row,) = breaking.vault.sessions(breaking.clock())
    assert 2 == row.exchanges
    assert history == breaking.vault.show(row.id).exchanges[-1].messages
    assert before != breaking.vault._sealer._bench.pid


def test_one_that_cant_be_started_is_no_exchanges_fault(bench: Home) -> None:
    """It says so, as a store does that fails: what is recorded waits."""
    for command in (["/nowhere/at/all"], ["/bin/false"]):
        absent = WorkbenchProcess(command, KEYS)
        with pytest.raises(StorageError, match="can't be started"):
            absent.take_apart([bench.exchange([turn("x")])], How.WHOLE)


def test_what_makes_no_sense_ends_it(bench: Home, tmp_path: Path) -> None:
    """An answer is data, with lengths that are checked before anything is taken."""
    for answer in (b"\xff" * 8, b"\x00" * 8, b"\x00\x00\x00\x03\x00\x00\x00\x00o{}"):
        program = tmp_path / "program.py"
        program.write_text(
            "import socket\nc = socket.socket(fileno=0)\nc.recv(64)\nc.sendall(b'ready')\n"
            f"c.recv(1)\nc.sendall({answer!r})\nc.recv(1 << 20)\n"
        )
        process = WorkbenchProcess([sys.executable, str(program)], KEYS)
        with pytest.raises(WorkerEnded):
            process.take_apart([bench.exchange([turn("x")])], How.WHOLE)
        assert process.pid is None

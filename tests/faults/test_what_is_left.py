"""What a process left in the spool: a start does not wait for it, and does not fall over it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from bailee.clock import system_clock
from bailee.home import Home, HomeLock
from bailee.node.node import Node
from bailee.testing.upstream import ScriptedUpstream, Text
from bailee.vault.exchange import Terms
from bailee.vault.spool_store import FolderSpool
from bailee.vault.spool_writing import SpoolWriter
from support.clients.programs import Bailee, message
from support.homes.captured import captured

POISONED = Path(__file__).with_name("poisoned_process.py")
MIB = 1 << 20


def poisoned(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process that one exchange ends."""
    return subprocess.run(
        [sys.executable, str(POISONED), str(home), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.row("G1", "D4")
def test_what_ended_the_process_is_not_tried_again(tmp_path: Path) -> None:
    """It ends the process where it was sealed, and three more where it is tried alone; then it
    is kept as the bytes that came, and reported. The others are kept as always.
    """
    for arguments in (["fill"], [], [], []):
        assert -signal.SIGKILL == poisoned(tmp_path, *arguments).returncode
    done = poisoned(tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    found = json.loads(done.stdout)
    assert ["vault.kept_as_bytes"] == found["reported"]
    assert {"0": None, "1": None, "2": "ended_the_process", "3": None, "4": None} == found["kept"]
    assert [] == list((tmp_path / "vault" / "spool").iterdir())
    assert [] == json.loads(poisoned(tmp_path).stdout)["reported"]


def fill(home: Path, mebibytes: int) -> None:
    """Write so much into the spool of a home, as a server does that is killed before it seals."""
    lock = HomeLock(Home(home))
    lock.acquire()
    with Node.open(Home(home), environment={}) as node:
        first = node.accounts.first()
        assert first is not None
        writer = SpoolWriter(
            FolderSpool(home / "vault" / "spool", home / "vault" / "quarantine"),
            node.keyring,
            system_clock,
            closed=lambda _file: None,
            file_bytes=16 * MIB,
        )
        text = os.urandom(4 * MIB).hex().encode()
        for _ in range(mebibytes // 8):
            session = str(uuid.uuid4())
            start = b'{"model":"m","messages":[{"role":"user","content":"' + session.encode()
            request = start + text + b'"}]}'
            terms = Terms("P30D", "c", "d")
            writer.write(
                [
                    captured(
                        session,
                        request,
                        system_clock(),
                        owner=first.account_id,
                        terms=terms,
                        exchange_id=session,
                    )
                ]
            )
        writer.roll(None)
        writer.close()
    lock.release()


def spooled(home: Path) -> int:
    """Files in the spool."""
    return sum(1 for _ in (home / "vault" / "spool").iterdir())


@pytest.mark.row("G1")
def test_a_start_with_a_gigabyte_in_the_spool(tmp_path: Path) -> None:
    """Killed with a gigabyte in the spool: the next start is ready with most of it still to be
    sealed, serves, lists, says that more is being filed, and holds a fraction of it in memory.
    """
    bailee = Bailee(tmp_path, fresh=True)
    with (
        ScriptedUpstream(tools_only=False, after=Text("ok")) as upstream,
        contextlib.closing(bailee),
    ):
        bailee.up("--upstream", upstream.url)
        bailee.stop()
        fill(bailee.home, 1024)
        files = spooled(bailee.home)
        assert files > 60
        for _ in range(2):
            ready = bailee.up("--upstream", upstream.url)  # a key is for this run
            assert spooled(bailee.home) > files // 2
            assert "message" == message(ready, "hello")["type"]
            assert "an earlier run left" in bailee.run("sessions", "list").stdout
            status = Path(f"/proc/{ready['pid']}/status").read_text()
            peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
            assert int(peak.split()[1]) < 600 * 1024
            bailee.stop(signal.SIGKILL)

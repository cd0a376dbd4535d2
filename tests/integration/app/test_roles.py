"""What a process of one role needs is opened without the rest of the home."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bailee.app.access import GatewayPolicyAccess
from bailee.errors import StorageError
from bailee.home import Home
from bailee.node import Node
from bailee.node.wiring import Wiring
from bailee.testing import FakeClock
from bailee.vault.exchange import Terms
from support.homes.captured import captured, end

SESSION = "0b6d7a52-1111-4222-8333-444455556666"


class Kept:
    """A home with an account in it, closed. `block` puts a file in the place of each folder that a
    role must not open: who opens the store there fails.
    """

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder)
        self.clock = FakeClock()
        with Node.open(self.home, clock=self.clock, environment={}) as node:
            account, _, self.key = node.accounts.create(plan="pro", name="ada")
            self.account = account.account_id

    def block(self, *names: str) -> None:
        """Of the vault's folders these."""
        for name in names:
            shutil.rmtree(self.home.vault / name, ignore_errors=True)
            (self.home.vault / name).write_bytes(b"closed")

    def parts(self) -> Wiring:
        """The home's parts, none of them open yet."""
        return Wiring(self.home, clock=self.clock, environment={})


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    """A home that was used before."""
    yield Kept(tmp_path / "home")


def test_accounts_are_read_without_a_vault(kept: Kept) -> None:
    """Who reads accounts opens the databases; no folder in which content lies."""
    kept.block("spool", "open", "segments", "reports", "telemetry")
    with closing(kept.parts()) as parts:
        assert "ada" == parts.registry.accounts.get(kept.account).name
    with pytest.raises(StorageError):
        Node.open(kept.home, clock=kept.clock, environment={})


def test_a_gateway_records_without_telemetry_and_reports(kept: Kept) -> None:
    """It has a caller's terms from accounts and policy, and a spool; the rest stays closed."""
    kept.block("reports", "telemetry")
    with closing(kept.parts()) as parts:
        record(kept, parts)
        (row,) = parts.vault.sessions(kept.clock())
        assert kept.account == row.owner
    with pytest.raises(StorageError):
        Node.open(kept.home, clock=kept.clock, environment={})


@pytest.mark.row("R5")
def test_a_sweep_destroys_without_what_a_server_has(kept: Kept) -> None:
    """What is due is destroyed by the stores alone: no queue of work, no socket, none of a server's
    threads.
    """
    with closing(kept.parts()) as parts:
        record(kept, parts)
    kept.home.work_database.mkdir()
    kept.clock.advance(timedelta(days=31))
    before = {*threading.enumerate()}
    with closing(kept.parts()) as parts:
        done = parts.sweeping.sweep(kept.clock())
        names = {thread.name for thread in {*threading.enumerate()} - before}
    assert (True, {}) == (done.kept, dict(done.failures))
    assert 0 < done.sessions.keks
    assert set() == names & {"cloud", "mover", "sweep", "watch", "webhook"}
    assert [] == [path.name for path in (kept.home.path / "run").iterdir() if path.is_socket()]


def record(kept: Kept, parts: Wiring) -> None:
    """Record an exchange as a gateway does, and wait until it is in the index."""
    access = GatewayPolicyAccess(parts.registry.accounts, parts.ground.holding)
    caller = access.authenticate(kept.key.encode())
    assert caller is not None
    terms = caller.terms("api")
    assert isinstance(terms, Terms)
    exchange = captured(
        SESSION,
        b'{"model":"m","messages":[{"role":"user","content":"hello"}]}',
        kept.clock(),
        owner=caller.owner,
        terms=terms,
        exchange_id="1",
    )
    gateway: Any = SimpleNamespace(clock=kept.clock, vault=parts.vault)
    end(gateway, exchange)
    parts.vault.flush()

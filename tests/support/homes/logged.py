"""An audit record with its tree, without a home around it."""

from __future__ import annotations

from pathlib import Path

from bailee.db.migrate import upgrade
from bailee.ledger import Folder, Ledger, Sequencer
from bailee.ledger.signing import signers, trusting
from bailee.ledger.verifying import Check, CheckedLog
from bailee.testing import FakeClock
from bailee.testing.sealing import SealingInMemory
from support.homes.databases import opened


class Logged:
    """An audit record, its tree's files and its sequencer, which can be opened anew."""

    def __init__(self, folder: Path, sealing: SealingInMemory | None = None) -> None:
        self.clock = FakeClock()
        self.engine = opened(folder / "data.db")
        upgrade(self.engine, "data")
        self.sealing = sealing or SealingInMemory()
        self.folder = Folder(folder / "ledger")
        self.signers = signers("test", lambda _name: bytes(range(32)))
        self.trust = trusting([one.key for one in self.signers])
        self.ledger = Ledger(self.engine, self.clock, self.sealing)
        self.sequencer = self.reopened()

    def reopened(self, folder: Folder | None = None) -> Sequencer:
        """The sequencer as a new process would make it."""
        return Sequencer(self.engine, self.sealing, folder or self.folder, lambda: self.signers)

    def append(self, count: int) -> None:
        """Add entries that are nobody's."""
        some = [(f"file:{n}", {"files": n}) for n in range(count)]
        self.ledger.append_all("telemetry.undelivered", some)

    def checked(self, remembered: bytes | None = None, *, keys: bool = True) -> CheckedLog:
        """What a check finds; without `keys`, as somebody elsewhere does it with a copy."""
        sealing = self.sealing if keys else None
        return Check(self.folder, self.trust, remembered, self.engine, sealing).run()

    def files(self) -> dict[str, bytes]:
        """Every file of the tree."""
        return {name: self.folder.read(name) or b"" for name in self.folder.names()}

"""A vault alone, in a folder: with a keyring, and without anything of a server around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bailee.clock import Clock, system_clock
from bailee.db.engine import open_sqlite
from bailee.db.migrate import upgrade
from bailee.keeping.holds import Holds
from bailee.keeping.receipts import Receipts
from bailee.keyring import FileRoot, Keyring
from bailee.vault.vault import Vault
from bailee.vault.workbench import Interpret


@contextmanager
def keyring_in(folder: Path, clock: Clock = system_clock) -> Iterator[Keyring]:
    """A keyring of its own."""
    keys = open_sqlite(folder / "keyring" / "keyring.db")
    upgrade(keys, "keys")
    try:
        yield Keyring.open(keys, FileRoot(folder / "keyring" / "root.json"), clock)
    finally:
        keys.dispose()


@contextmanager
def vault_in(
    folder: Path, interpret: Interpret, clock: Clock = system_clock, **options: Any
) -> Iterator[tuple[Vault, Keyring]]:
    """A vault, indexed in `data.db` of the folder, that records nothing. `options`: of `Vault`."""

    def record(_kind: str, _subject: str, _body: object) -> None:
        pass

    with keyring_in(folder, clock) as keyring:
        engine = open_sqlite(folder / "data.db")
        upgrade(engine, "data")
        vault = Vault(
            engine,
            folder / "vault",
            keyring=keyring,
            clock=clock,
            interpret=interpret,
            record=record,
            holds=Holds(engine, keyring=keyring, record=record),
            receipts=Receipts(engine, lambda _kind, _entries, _within: None, keyring.generation),
            **options,
        )
        try:
            yield vault, keyring
        finally:
            vault.close()
            engine.dispose()

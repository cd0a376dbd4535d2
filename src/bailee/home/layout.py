"""Where things lie in a home.

```
bailee.toml          settings, written by people
home.json            the home's id; data, keyring and vault carry it too
data/data.db         accounts, audit record, the vault's index
keyring/keyring.db   keys, in a store of their own
root/root.json       the root key (mode 0600), sealed if `keyring.root` says so
vault/               spool, open segments, sealed segments, reports
ledger/              the audit record's tree and its checkpoint; made again from data/. A restore
                     needs a newer copy of it than the backup (`bailee.backup`)
work/dbos.db         the queue of cloud sessions, once there was one
work/datasets/       training exports on their way to a bucket, while somebody works on them
run/                 lock, control socket; nothing to keep
console-name         the console's own name on this machine, not for others to know
databases.json       present only in a home whose databases are on PostgreSQL
commits              how many transactions were committed there, so that older ones are known
data/reserve         room kept for deleting (`reserve`), on each file system of the stores
test-clock           present only in a home whose time a test may set
```

A backup takes `data/` and `vault/` together, and keys apart from them, under a root of their own.

Folders are made for a wholly new home alone. In one that keeps something, a folder that isn't there
may be a volume that isn't mounted: only what holds nothing to keep is made again. What ledger/
holds is made again from data/.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bailee.errors import InputError, StorageError
from bailee.home import guarding

_FOLDERS: Final = ("data", "keyring", "root", "vault", "ledger", "work", "run")
_MADE_AGAIN: Final = ("ledger", "work", "run")


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one home. Nothing is touched by making it."""

    path: Path

    @property
    def settings_file(self) -> Path:
        """Settings, written by people."""
        return self.path / "bailee.toml"

    @property
    def identity_file(self) -> Path:
        """The home's id, and how far it is with being made."""
        return self.path / "home.json"

    @property
    def elsewhere_file(self) -> Path:
        """Says that the databases are on PostgreSQL; where, the settings say."""
        return self.path / "databases.json"

    @property
    def commits_file(self) -> Path:
        """How many transactions were committed to the databases on PostgreSQL (`commits`)."""
        return self.path / "commits"

    @property
    def vault_mark_file(self) -> Path:
        """Which home the vault is of, and its mark."""
        return self.vault / "home.json"

    @property
    def objects_file(self) -> Path:
        """There if segments and reports are in a bucket, and says in which."""
        return self.vault / "objects.json"

    @property
    def data_database(self) -> Path:
        """Accounts, audit record, the vault's index."""
        return self.path / "data" / "data.db"

    @property
    def keyring_database(self) -> Path:
        """The keyring's own store."""
        return self.path / "keyring" / "keyring.db"

    @property
    def root_key_file(self) -> Path:
        """The root key, unless `keyring.root` says it is elsewhere."""
        return self.path / "root" / "root.json"

    @property
    def vault(self) -> Path:
        """Spool and segments."""
        return self.path / "vault"

    @property
    def ledger(self) -> Path:
        """The audit record's tree, in files that anyone may have."""
        return self.path / "ledger"

    @property
    def work_database(self) -> Path:
        """Durable work."""
        return self.path / "work" / "dbos.db"

    @property
    def datasets(self) -> Path:
        """Training exports on their way to a bucket."""
        return self.path / "work" / "datasets"

    @property
    def console_name_file(self) -> Path:
        """The console's own name on this machine."""
        return self.path / "console-name"

    @property
    def lock_file(self) -> Path:
        """Held by the process that owns the home."""
        return self.path / "run" / "lock"

    @property
    def control_socket(self) -> Path:
        """Where a running server takes operations from the command line."""
        return self.path / "run" / "control.sock"

    @property
    def gateway_socket(self) -> Path:
        """Where a running server's gateway takes cloud sessions' model calls."""
        return self.path / "run" / "gateway.sock"

    @property
    def runner_socket(self) -> Path:
        """Where a running server takes the runners of cloud sessions."""
        return self.path / "run" / "runners.sock"

    @property
    def stores(self) -> tuple[Path, ...]:
        """The folders that grow: on the file system of each, room is kept for deleting."""
        return tuple(self.path / name for name in ("data", "keyring", "vault", "work"))

    @property
    def exists(self) -> bool:
        """Whether anything was ever kept here, as far as its parts are there."""
        traces = (
            self.identity_file,
            self.data_database,
            self.keyring_database,
            self.root_key_file,
            self.vault_mark_file,
        )
        return any(path.exists() for path in traces)

    @property
    def has_test_clock(self) -> bool:
        """Whether `BAILEE_NOW` may set the time here."""
        return (self.path / "test-clock").exists()

    def check(self) -> None:
        """Whether the home is ours alone, as far as it is there. See `guarding`.

        Raises:
            InputError: code `configuration`, somebody else can put things in it, or has.
            StorageError: it can't be looked at.
        """
        settings = self.settings_file.name
        guarding.check_home(self.path, _FOLDERS, settings, guarding.standing())

    def make(self, *, test_clock: bool = False) -> None:
        """Make the folders of a new home, for their owner's eyes only; of one that keeps something,
        only those that hold nothing to keep. A test clock is only for a new home.

        Raises:
            InputError: a test clock is asked for in a home that already keeps data; or somebody
                else can put things in it (`check`).
            StorageError: a folder can't be made.
        """
        if test_clock and self.exists and not self.has_test_clock:
            raise InputError(
                f"{self.path} already holds data under the real clock.",
                code="configuration",
                hint="use --test-clock with a new --home",
            )
        guarding.check_way(self.path, guarding.standing(), mend=True)
        try:
            missing = [one for one in (self.path, *self.path.parents) if not one.exists()]
            for one in reversed(missing):
                one.mkdir(exist_ok=True, mode=0o700)
            for folder in _MADE_AGAIN if self.exists else _FOLDERS:
                (self.path / folder).mkdir(exist_ok=True, mode=0o700)
            if test_clock:
                (self.path / "test-clock").touch(mode=0o600)
        except OSError as error:
            raise StorageError(
                f"the home {self.path} can't be made ({error.strerror}).",
                hint="choose another with --home or BAILEE_HOME",
            ) from error
        self.check()


def find(given: Path | None, environment: Mapping[str, str] = os.environ) -> Home:
    """The home: `given`, else `BAILEE_HOME`, else the platform's folder for a user's data. It is
    ours alone, as far as it is there (`Home.check`).

    Raises:
        InputError: code `configuration`, somebody else can put things in it, or has.
        StorageError: it can't be looked at.
    """
    variable = environment.get("BAILEE_HOME")
    if given is not None:
        found = Home(given.absolute())
    elif variable:
        found = Home(Path(variable).absolute())
    else:
        from platformdirs import user_data_path

        found = Home(user_data_path("bailee", appauthor=False))
    found.check()
    return found

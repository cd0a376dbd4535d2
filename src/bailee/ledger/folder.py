"""The files of the tree: each written whole or not at all, and durable before the next step.

They are laid out as C2SP tlog-tiles says, so that the folder can be served, copied and read by
others as it is. An object of its own so that a test can put one in its place that fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from bailee.errors import IntegrityError, StorageError
from bailee.ledger.signing import trusting
from bailee.ledger.tlog import notes
from bailee.ledger.tlog.checkpoints import Checkpoint
from bailee.ledger.tlog.notes import Note
from bailee.ledger.tlog.tiles import ENTRIES, Tile
from bailee.ledger.tlog.tree import HASH_SIZE
from bailee.ledger.tlog.trust import Trust
from bailee.syncing import sync_folder

CHECKPOINT: Final = "checkpoint"
WITNESSED: Final = "checkpoint.witnessed"
"""The latest checkpoint that a quorum of witnesses has cosigned."""
PUT_BACK: Final = (
    "put ledger/ back from a copy; where data/ is as it was last, ledger/ may be removed, and is "
    "made again"
)
ENTRY_BYTES: Final = 2 + HASH_SIZE
"""What an entry takes in a bundle: its length, and a commitment."""
BEING_WRITTEN: Final = "being-written"


class LogFiles(Protocol):
    """A log's files, wherever they are: read on one thread. Errors as those of `Folder`."""

    def read(self, name: str) -> bytes | None:
        """A file; None: there is none."""

    def fetch(self, wanted: Sequence[Tile]) -> list[bytes]:
        """Tiles and bundles, in the order asked."""
        ...

    def names(self) -> Iterable[str]:
        """Every file that is known to be there."""
        ...


def believed(files: LogFiles, trust: Trust) -> Iterator[tuple[Note, Checkpoint]]:
    """The checkpoints that are there and that `trust` believes, the latest first.

    Raises:
        IntegrityError: one is there that the log has not signed, or that was changed.
        StorageError: one can't be read.
    """
    for name in (CHECKPOINT, WITNESSED):
        data = files.read(name)
        if data is not None:
            note = notes.read(data)
            checkpoint = trusting(trust.logs).opened(note).checkpoint
            if trust.believes(note):
                yield note, checkpoint


def tile_from(read: Callable[[str], bytes | None], tile: Tile) -> bytes:
    """A tile or bundle, cut from the full one where that has taken its place.

    Raises:
        IntegrityError: it is not there; it is named.
    """
    found = read(tile.path)
    if found is None and (full := read(tile.full_path)) is not None:
        found = full[: tile.width * (ENTRY_BYTES if tile.level == ENTRIES else HASH_SIZE)]
    if found is None:
        raise IntegrityError(f"{tile.path} is not there.", hint=PUT_BACK)
    return found


class Folder:
    """A folder of tiles and a checkpoint. The sequencer alone writes; who serves or verifies reads,
    on any thread. Names are paths below it, made by `tlog.tiles`: never what somebody sent.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, name: str) -> bytes | None:
        """A file; None: there is none.

        Raises:
            StorageError: it can't be read.
        """
        try:
            return (self.path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _failed(name, "read", error) from error

    def fetch(self, wanted: Sequence[Tile]) -> list[bytes]:
        """Tiles and bundles, in the order asked (`tlog.tiles.Fetch`).

        Raises:
            IntegrityError: one is not there; it is named.
            StorageError: one can't be read.
        """
        return [tile_from(self.read, one) for one in wanted]

    def names(self) -> Iterator[str]:
        """Every file that is there."""
        for folder, _, files in os.walk(self.path):
            for name in files:
                yield str((Path(folder) / name).relative_to(self.path))

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files, each in the place of the one before, for their owner's eyes only. All are
        durable when this returns; if it fails, each is there whole or not at all.

        Raises:
            StorageError: one can't be written; call again.
        """
        changed: set[Path] = set()
        for name, content in files.items():
            path = self.path / name
            beside = self.path / BEING_WRITTEN
            try:
                for folder in reversed(path.relative_to(self.path).parents):
                    if not (made := self.path / folder).is_dir():
                        made.mkdir(mode=0o700)
                        changed.add(made.parent)
                how = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                with os.fdopen(os.open(beside, how, 0o600), "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fdatasync(file.fileno())
                beside.replace(path)
            except OSError as error:
                raise _failed(name, "written", error) from error
            changed.add(path.parent)
        for folder in changed:
            try:
                sync_folder(folder)
            except OSError as error:
                raise _failed(str(folder.relative_to(self.path)), "written", error) from error

    def remove_all(self, name: str) -> None:
        """Remove a folder of files, if it is there. What can't be removed stays: it says nothing
        wrong.
        """
        with suppress(OSError):
            for path in (self.path / name).iterdir():
                path.unlink()
            (self.path / name).rmdir()


def _failed(name: str, what: str, error: OSError) -> StorageError:
    return StorageError(
        f"the ledger's {name} can't be {what} ({error.strerror}).",
        hint="check the disk's free space and the folder's permissions",
    )

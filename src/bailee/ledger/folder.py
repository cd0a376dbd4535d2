"""The files of the tree: each written whole or not at all, and durable before the next step.

They are laid out as C2SP tlog-tiles says, so that the folder can be served, copied and read by
others as it is. An object of its own so that a test can put one in its place that fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
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
"""What names of files begin with that are not there yet."""
_AT_ONCE: Final = 128  # more than a batch of the sequencer makes
_MORE: Final = 1 << 16
_THREADS: Final = 16
_FEW: Final = 2  # so many are synced one after the other


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
        self._tidy = False  # whether what a kill left is gone

    def read(self, name: str) -> bytes | None:
        """A file; None: there is none.

        Raises:
            StorageError: it can't be read.
        """
        try:
            return _content(f"{self.path}/{name}")
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
        self._remove_left()
        changed, names = set[str](), [*files]
        for start in range(0, len(names), _AT_ONCE):
            self._put({name: files[name] for name in names[start : start + _AT_ONCE]}, changed)
        for folder in changed:
            with _named(folder):
                sync_folder(self.path / folder)

    def _put(self, files: Mapping[str, bytes], changed: set[str]) -> None:
        """Write some, and add the folders that are to be synced after it. They are synced together:
        a disk takes many at once in the time of one.
        """
        with ExitStack() as all_:
            opened = []
            for place, (name, content) in enumerate(files.items()):
                with _named(name):
                    self._make_folder(name.rpartition("/")[0], changed)
                    how = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                    beside = os.open(self._beside(place), how, 0o600)
                    file = all_.enter_context(os.fdopen(beside, "wb"))
                    file.write(content)
                    file.flush()
                    opened.append((name, file.fileno()))
            threads = min(len(opened), _THREADS)
            if threads > _FEW:
                pool = all_.enter_context(ThreadPoolExecutor(threads))
                for _ in pool.map(_synced, opened):
                    pass
            else:
                for one in opened:
                    _synced(one)
        for place, name in enumerate(files):
            with _named(name):
                self._beside(place).replace(self.path / name)

    def _make_folder(self, folder: str, changed: set[str]) -> None:
        """Have a folder below the path, and those above it; all that has another entry after it is
        added to `changed`.
        """
        if folder in changed:
            return
        changed.add(folder)
        if not (made := self.path / folder).is_dir():
            if folder:
                self._make_folder(folder.rpartition("/")[0], changed)
            else:
                changed.add("..")
            made.mkdir(mode=0o700)

    def _beside(self, place: int) -> Path:
        return self.path / f"{BEING_WRITTEN}.{place}"

    def _remove_left(self) -> None:
        """Remove, once, what a kill left half written."""
        if self._tidy or not self.path.is_dir():
            return
        with _named(BEING_WRITTEN):
            for path in self.path.glob(f"{BEING_WRITTEN}*"):
                path.unlink()
        self._tidy = True

    def remove_all(self, name: str) -> None:
        """Remove a folder of files, if it is there. What can't be removed stays: it says nothing
        wrong.
        """
        with suppress(OSError):
            for path in (self.path / name).iterdir():
                path.unlink()
            (self.path / name).rmdir()


def _content(path: str) -> bytes:
    """A file's bytes. By the system's own calls: a proof reads few bytes of several files, and to
    make a file object takes longer than to read them.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = [os.read(descriptor, os.fstat(descriptor).st_size + 1)]
        while parts[-1]:
            parts.append(os.read(descriptor, _MORE))
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _synced(one: tuple[str, int]) -> None:
    name, descriptor = one
    with _named(name):
        os.fdatasync(descriptor)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Raise as a `StorageError` what fails while a file is written."""
    try:
        yield
    except OSError as error:
        raise _failed(name or "folder", "written", error) from error


def _failed(name: str, what: str, error: OSError) -> StorageError:
    return StorageError(
        f"the ledger's {name} can't be {what} ({error.strerror}).",
        hint="check the disk's free space and the folder's permissions",
    )

"""Where a dataset lies: a folder, or a bucket, whose files are fetched one at a time.

A file of a bucket is in a file without a name while it is looked at, in the home's folder for what
is on its way: it is gone when it is closed, and with the process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from bailee.errors import InputError
from bailee.outbound.bucket import Bucket
from bailee.training.finishing import put


class DatasetPlace(Protocol):
    """The files of one dataset. `named`: as the home has it on record."""

    named: str

    def open(self, name: str) -> BinaryIO:
        """A file, from its beginning.

        Raises:
            FileNotFoundError: it is not there.
            OSError: it can't be read.
            StorageError: the bucket can't be asked.
        """
        ...

    def names(self, folder: str) -> Iterator[str]:
        """What is in a folder of it, by path."""
        ...

    def put(self, name: str, content: bytes) -> str:
        """Write a file; where it is. Raises: OSError, StorageError."""
        ...


class DatasetFolder:
    """A folder of this machine. See `DatasetPlace`."""

    def __init__(self, folder: Path) -> None:
        """Raises: InputError, the folder is not named from the root."""
        if not folder.is_absolute():
            raise InputError("a dataset's folder is named from the root of the file system.")
        self._folder = folder
        self.named = str(folder)

    def open(self, name: str) -> BinaryIO:
        """See `DatasetPlace`."""
        return (self._folder / name).open("rb")

    def names(self, folder: str) -> Iterator[str]:
        """See `DatasetPlace`."""
        for path in sorted((self._folder / folder).glob("*")):
            yield f"{folder}/{path.name}"

    def put(self, name: str, content: bytes) -> str:
        """See `DatasetPlace`."""
        put(self._folder / name, content)
        return str(self._folder / name)


class DatasetBucket:
    """A prefix of a bucket. See `DatasetPlace`."""

    def __init__(self, bucket: Bucket, work: Path) -> None:
        """`work`: the folder in which a file is while it is looked at."""
        self._bucket = bucket
        self._work = work
        self.named = bucket.named

    def open(self, name: str) -> BinaryIO:
        """See `DatasetPlace`."""
        self._work.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = tempfile.TemporaryFile(dir=self._work)  # noqa: SIM115 (whoever asked closes it)
        try:
            for piece in self._bucket.pieces(name):
                file.write(piece)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    def names(self, folder: str) -> Iterator[str]:
        """See `DatasetPlace`."""
        yield from sorted(one for one in self._bucket.names() if one.startswith(f"{folder}/"))

    def put(self, name: str, content: bytes) -> str:
        """See `DatasetPlace`."""
        self._bucket.write(name, content)
        return f"{self.named}/{name}"

"""Rows as one file of Parquet (zstd) or of JSON lines.

Rules kept here:

* The same rows give the same bytes: nothing of the time, the machine or chance is in a file.
* A file is there whole or not at all: written under another name, synced, renamed, the folder
  synced. What a crash left under the other name is written over.
* Memory is that of one group of rows, however many there are, and of the largest row.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from bailee.errors import StorageError
from bailee.plain_arrow import look_for_no_pandas
from bailee.syncing import sync_folder
from bailee.training.dataset import Columns, Row, columns

if TYPE_CHECKING:  # it takes a tenth of a second to import
    import pyarrow as pa

_GROUP_BYTES: Final = 8 << 20
_GROUP_ROWS: Final = 1_000


class Format(StrEnum):
    """How rows lie in a file."""

    PARQUET = "parquet"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """What was written: its SHA-256 in hexadecimal, how many rows and bytes."""

    sha256: str
    rows: int
    bytes: int


def name(number: int, of: int, form: Format) -> str:
    """The name of a file, as loaders expect it: `train-00000-of-00012.parquet`."""
    return f"train-{number:05}-of-{of:05}.{form.value}"


def write(path: Path, rows: Iterable[Row], form: Format) -> WrittenFile:
    """Write the rows to `path`, in their order, in place of what is there.

    Raises:
        StorageError: the file can't be written. What was at `path` is as it was.
    """
    try:
        with whole(path) as file:
            return write_into(file, rows, form)
    except OSError as error:
        raise StorageError(
            f"a file of the dataset can't be written: {error.strerror or type(error).__name__}.",
            hint=f"nothing was changed at {path}; is there room, and may the folder be written to?",
        ) from error


def write_into(file: BinaryIO, rows: Iterable[Row], form: Format) -> WrittenFile:
    """Write the rows into an open file that is empty. Raises: OSError."""
    counted = _Counted(file)
    number = (_parquet if form is Format.PARQUET else _lines)(counted, rows)
    return WrittenFile(counted.digest.hexdigest(), number, counted.size)


@contextlib.contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to be written, which takes the place of what is at `path` when all of it is durable.

    Raises:
        OSError: it can't be written; what was at `path` is as it was.
    """
    other = path.with_name(f".{path.name}.part")
    try:
        with other.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        other.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            other.unlink()
        raise
    sync_folder(path.parent)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises: OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Counted:
    """A file that is digested while it is written. Nothing is read or sought in it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        """Append the bytes."""
        self.digest.update(data)
        self.size += len(data)
        self._file.write(data)
        return len(data)

    def tell(self) -> int:
        """How much has been written."""
        return self.size

    def flush(self) -> None:
        """The file is flushed by who opened it."""

    def close(self) -> None:
        """The file is closed by who opened it."""

    def readable(self) -> bool:
        """Never."""
        return False

    def writable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Never."""
        return False


def _lines(file: _Counted, rows: Iterable[Row]) -> int:
    number = 0
    for row in rows:
        line = json.dumps(columns(row), ensure_ascii=False, separators=(",", ":"))
        file.write(line.encode() + b"\n")
        number += 1
    return number


def _parquet(file: _Counted, rows: Iterable[Row]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    look_for_no_pandas()
    held = schema()
    number = 0
    with pq.ParquetWriter(
        pa.PythonFile(file, mode="w"), held, compression="zstd", compression_level=6
    ) as writer:
        for group in _groups(rows):
            writer.write_table(pa.Table.from_pylist(group, schema=held), row_group_size=len(group))
            number += len(group)
    return number


def _groups(rows: Iterable[Row]) -> Iterator[list[Columns]]:
    """Rows in groups of bounded size; a row that is larger is a group of its own."""
    group: list[Columns] = []
    size = 0
    for row in rows:
        # The same text is in `messages` and in `blocks`.
        weight = 2 * (len(row.blocks) + len(row.tools))
        if group and (size + weight > _GROUP_BYTES or len(group) == _GROUP_ROWS):
            yield group
            group, size = [], 0
        group.append(columns(row))
        size += weight
    if group:
        yield group


def schema() -> pa.Schema:
    """The columns of a file of Parquet."""
    import pyarrow as pa

    text: Callable[[str], pa.Field] = lambda name: pa.field(name, pa.string(), nullable=False)  # noqa: E731
    maybe: Callable[[str], pa.Field] = lambda name: pa.field(name, pa.string())  # noqa: E731
    function = pa.struct([text("name"), text("arguments")])
    call = pa.struct([text("id"), text("type"), pa.field("function", function)])
    message = pa.struct(
        [
            *(text("role"), text("content"), maybe("thinking")),
            pa.field("tool_calls", pa.list_(call)),
            *(maybe("tool_call_id"), maybe("name")),
        ]
    )
    masked = pa.struct([text("rule"), pa.field("count", pa.int64(), nullable=False)])
    return pa.schema(
        [
            *(text("id"), text("session"), maybe("parent"), text("day"), text("plan")),
            *(text("channel"), text("model"), text("language"), text("clause")),
            *(text("document"), text("consent")),
            pa.field("messages", pa.list_(message)),
            *(text("tools"), text("blocks")),
            pa.field("masked", pa.list_(masked)),
            maybe("near_duplicate_of"),
        ]
    )

"""A file of rows written once more: without what was taken out, near duplicates marked.

It reads what `files` wrote, a group of rows at a time, and writes it as that does, so that equal
rows are equal bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

import orjson

from bailee.errors import IntegrityError
from bailee.training import files
from bailee.training.dataset import Columns, MaskCount, MessageColumns, Row, RowMessage, ToolCall
from bailee.training.files import Format, WrittenFile

_BATCH: Final = 64


def rewrite(
    source: Path,
    target: Path,
    format: Format,  # noqa: A002
    only: Collection[str],
    marks: Mapping[str, str],
) -> WrittenFile:
    """Write the rows of `source` to `target`, which may be the same. `only`: whose, sessions as
    commitments; `marks`: by a row's id that of the first that it is nearly the same as.

    Raises:
        IntegrityError: the source is no such file.
        StorageError: a file can't be read or written.
    """
    kept = (
        replace(row, near_duplicate_of=marks.get(row.id, ""))
        for row in read(source, format)
        if row.session in only
    )
    return files.write(target, kept, format)


def read(path: Path, format: Format) -> Iterator[Row]:  # noqa: A002
    """The rows of a file.

    Raises:
        IntegrityError: it is no such file.
    """
    try:
        for columns in _columns(path, format):
            yield _row(columns)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise IntegrityError(
            f"{path.name} is not a file of rows as it was written.",
            hint="remove the folder and export again; the home was not changed",
        ) from error


def _columns(path: Path, format: Format) -> Iterator[Columns]:  # noqa: A002
    if format is Format.JSONL:
        with path.open("rb") as lines:
            for line in lines:
                yield cast(Columns, orjson.loads(line))
        return
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH):
            yield from cast(list[Columns], batch.to_pylist())


def _row(said: Columns) -> Row:
    return Row(
        id=said["id"],
        session=said["session"],
        parent=said["parent"] or "",
        day=said["day"],
        plan=said["plan"],
        channel=said["channel"],
        model=said["model"],
        language=said["language"],
        clause=said["clause"],
        document=said["document"],
        consent=said["consent"],
        messages=tuple(_message(one) for one in said["messages"]),
        tools=said["tools"],
        blocks=said["blocks"],
        masked=tuple(MaskCount(one["rule"], one["count"]) for one in said["masked"] or ()),
        near_duplicate_of=said["near_duplicate_of"] or "",
    )


def _message(said: MessageColumns) -> RowMessage:
    calls = said["tool_calls"] or ()
    return RowMessage(
        said["role"],
        said["content"],
        said["thinking"] or "",
        tuple(
            ToolCall(one["id"], one["function"]["name"], one["function"]["arguments"])
            for one in calls
        ),
        said["tool_call_id"] or "",
        said["name"] or "",
    )

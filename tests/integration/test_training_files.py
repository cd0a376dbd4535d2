"""Files of a dataset: the same bytes for the same rows, whole or not at all, in bounded memory."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bailee.training import files
from bailee.training.dataset import MaskCount, Row, RowMessage, ToolCall, columns
from bailee.training.files import Format


def row(number: int, size: int = 20) -> Row:
    """A row with a call, a result and a count."""
    said = f"{number} " + "word " * size
    messages = (
        RowMessage("user", said),
        RowMessage("assistant", "", "I look.", (ToolCall("t1", "Bash", '{"command":"ls"}'),)),
        RowMessage("tool", "a.py", tool_call_id="t1", name="Bash"),
        RowMessage("assistant", "One."),
    )
    return Row(
        *(f"c-{number}", "c", "", "2026-11-29", "pro", "api", "model-1", "en", "t1", "d", "k"),
        *(messages, "[]", json.dumps({"messages": [said]}), (MaskCount("AWS key", 2),)),
    )


@pytest.mark.row("T7")
@pytest.mark.parametrize("form", Format)
def test_the_same_rows_give_the_same_bytes(tmp_path: Path, form: Format) -> None:
    """Written twice, into two folders, with more rows than one group: one digest."""
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    name = files.name(0, 1, form)

    written = files.write(first / name, map(row, range(1_500)), form)
    again = files.write(second / name, map(row, range(1_500)), form)

    assert written == again
    assert (first / name).read_bytes() == (second / name).read_bytes()
    assert (1_500, (first / name).stat().st_size) == (written.rows, written.bytes)
    assert [name] == [one.name for one in first.iterdir()]


@pytest.mark.row("T7")
@pytest.mark.parametrize("form", Format)
def test_what_is_read_is_what_was_written(tmp_path: Path, form: Format) -> None:
    """Every column comes back, by a reader that knows nothing of bailee."""
    path = tmp_path / files.name(0, 1, form)
    files.write(path, [row(1), row(2)], form)

    if form is Format.PARQUET:
        read = pq.read_table(path).to_pylist()
    else:
        read = [json.loads(line) for line in path.read_text().splitlines()]

    assert [columns(row(1)), columns(row(2))] == read


@pytest.mark.row("T7")
@pytest.mark.parametrize("form", Format)
def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path, form: Format) -> None:
    """Where the rows break off, what was there is as it was, and nothing lies about."""
    path = tmp_path / files.name(0, 1, form)
    files.write(path, [row(1)], form)
    before = path.read_bytes()

    def broken() -> Iterator[Row]:
        yield row(2)
        raise LookupError

    with pytest.raises(LookupError):
        files.write(path, broken(), form)

    assert before == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.row("T7")
def test_an_empty_shard_is_a_file_that_can_be_read(tmp_path: Path) -> None:
    """Of a shard whose sessions have all withdrawn there is a file without rows."""
    path = tmp_path / "train-00000-of-00001.parquet"
    assert 0 == files.write(path, [], Format.PARQUET).rows
    assert 0 == pq.read_table(path).num_rows


@pytest.mark.row("T7")
@pytest.mark.parametrize("form", Format)
def test_memory_does_not_grow_with_the_number_of_rows(tmp_path: Path, form: Format) -> None:
    """In a process of its own: ten times the rows take no more memory than a group of them."""
    taken = []
    for number in (1_000, 10_000):
        child = os.fork()
        if not child:
            code = 1
            try:
                written = (row(one, 2_000) for one in range(number))
                files.write(tmp_path / f"{number}", written, form)
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                (tmp_path / f"{number}.peak").write_text(str(peak))
                code = 0
            finally:
                os._exit(code)
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        taken.append(int((tmp_path / f"{number}.peak").read_text()) >> 10)

    assert taken[1] < taken[0] + 40, f"{taken} MB"

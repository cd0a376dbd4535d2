"""A little is written and made durable in one call, where the system has one."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from bailee.vault.files import Files

CONTENT = bytes(range(256)) * 9


def _put(path: Path) -> bytes:
    files = Files()
    descriptor = files.make(path, 1 << 16)
    files.put(descriptor, CONTENT, 100)
    os.close(descriptor)
    found = path.read_bytes()
    assert not any(found[:100] + found[100 + len(CONTENT) :])
    return found[100:][: len(CONTENT)]


def test_all_of_it_is_there(tmp_path: Path) -> None:
    """Where it was to be, and nowhere else."""
    assert CONTENT == _put(tmp_path / "f")


@pytest.mark.parametrize("error", [errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_the_system_can_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """It is written, and then synced."""
    synced: list[int] = []
    inner = os.fdatasync

    def refused(*_given: object) -> int:
        raise OSError(error, os.strerror(error))

    def sync(descriptor: int) -> None:
        synced.append(descriptor)
        inner(descriptor)

    monkeypatch.setattr(os, "pwritev", refused)
    monkeypatch.setattr(os, "fdatasync", sync)
    assert CONTENT == _put(tmp_path / "f")
    assert 1 == len(synced)


def test_what_was_written_in_part_is_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest comes behind it, and is synced."""
    inner = os.pwritev

    def short(descriptor: int, buffers: Sequence[bytes], offset: int, flags: int) -> int:
        return inner(descriptor, [buffers[0][:1000]], offset, flags)

    monkeypatch.setattr(os, "pwritev", short)
    assert CONTENT == _put(tmp_path / "f")


def test_what_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is not taken for a system that can't."""

    def full(*_given: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwritev", full)
    with pytest.raises(OSError, match="No space"):
        _put(tmp_path / "f")

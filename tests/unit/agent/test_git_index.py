"""Indexes: what real git writes is fine; names that git would not take are not, however written."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.agent.git_index import is_fine

FILE, LINK, FOLDER = 0o100644, 0o120000, 0o040000


def index(
    *names: bytes,
    version: int = 2,
    mode: int = FILE,
    hashing: str = "sha1",
    said: int | None = None,
    after: bytes = b"",
) -> bytes:
    """An index of these names, with a mode of the first; `said`: the length that flags say."""
    size = hashlib.new(hashing).digest_size
    made = b"DIRC" + struct.pack(">II", version, len(names))
    before = b""
    for number, name in enumerate(names):
        flags = min(len(name), 0xFFF) if said is None else said
        entry = struct.pack(">24xI12x", FILE if number else mode) + bytes(size)
        entry += struct.pack(">H", flags)
        if version == 4:
            kept = len(before) // 2  # any cut will do
            kept = kept if name.startswith(before[:kept]) else 0
            cut = len(before) - kept
            coded = bytes([cut]) if cut < 128 else bytes([128 | ((cut >> 7) - 1), cut & 127])
            made += entry + coded + name[kept:] + b"\0"
        else:
            entry += name
            made += entry + bytes(8 - len(entry) % 8)
        before = name
    made += after
    return made + hashlib.new(hashing, made).digest()


@pytest.mark.parametrize("version", [2, 4])
@pytest.mark.parametrize("hashing", ["sha1", "sha256"])
def test_names_of_files_are_fine(version: int, hashing: str) -> None:
    """Also those that begin or end like what is refused, or are longer than flags can say."""
    names = (b".gitignore", b"a/.github/x", b"a/...", b"b.git/c", b"d/git~x", b"e" * 5000, b"f g")

    assert is_fine(index(*names, version=version, hashing=hashing))
    assert is_fine(index(b"x/", mode=FOLDER, version=version, hashing=hashing))
    assert is_fine(index(b"l", b"m/n", mode=LINK, version=version, hashing=hashing))


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize(
    "name",
    [
        *(
            b".git/hooks/pre-commit",
            b"a/.GIT/config",
            b"../x",
            b"a/../x",
            b"/etc/x",
            b"a//b",
            b"./a",
        ),
        *(
            b".git",
            b".git ./x",
            b"GIT~1/config",
            b"a/.git::$INDEX_ALLOCATION/x",
            b"a/.",
            b".git\\x",
        ),
    ],
)
def test_names_that_lead_elsewhere_are_not(name: bytes, version: int) -> None:
    """Alone, and behind another that they share a beginning with."""
    assert not is_fine(index(name, version=version))
    assert not is_fine(index(b".gi", b"a", name, version=version))


def test_nothing_lies_below_a_link() -> None:
    """Neither directly nor further down, whatever stands between."""
    assert not is_fine(index(b"l", b"l-x", b"l/hooks/a", mode=LINK))


def test_what_git_would_read_otherwise_is_refused() -> None:
    """Lengths that differ from the names, an end that is no hash, bytes in between."""
    fine = index(b"a")

    assert is_fine(fine)
    assert is_fine(fine[:-20] + bytes(20))
    assert not is_fine(index(b"abc", said=2))
    assert not is_fine(index(b"abc", said=0xFFF))
    assert not is_fine(fine[:-1] + b"\0")
    assert not is_fine(index(b"a", after=b"TREE"))
    assert is_fine(index(b"a", after=b"TREE" + struct.pack(">I", 2) + b"xy"))
    assert not is_fine(index(b"a", version=5))


@given(st.binary(max_size=300))
def test_anything_else_is_refused(junk: bytes) -> None:
    """And never ends in an error."""
    assert not is_fine(junk)
    assert not is_fine(index(b"a", after=b"\0" + junk)) or len(junk) > 6

"""Commits read from packs: made by hand here, by the real git in the integration tests."""

from __future__ import annotations

import contextlib
import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.cloud.git.packs import NotAPack, PackReader


def commit(*parents: str, message: str = "text") -> bytes:
    """The text of a commit."""
    lines = [f"tree {'a' * 40}", *(f"parent {p}" for p in parents)]
    return "\n".join([*lines, "author A <a@b> 0 +0000", "", message]).encode()


def name(text: bytes) -> str:
    """Its name."""
    return hashlib.sha1(b"commit %d\0%b" % (len(text), text)).hexdigest()


def size(kind: int, length: int) -> bytes:
    """The head of an object in a pack."""
    out = [(kind << 4) | (length & 15)]
    length >>= 4
    while length:
        out[-1] |= 0x80
        out.append(length & 0x7F)
        length >>= 7
    return bytes(out)


def pack(*objects: bytes) -> bytes:
    """Objects as a pack."""
    body = b"PACK" + (2).to_bytes(4, "big") + len(objects).to_bytes(4, "big") + b"".join(objects)
    return body + hashlib.sha1(body).digest()


def plain(kind: int, text: bytes) -> bytes:
    """An object as it is."""
    return size(kind, len(text)) + zlib.compress(text)


def read(data: bytes, piece: int = 7) -> PackReader:
    """A pack that was read in pieces."""
    reader = PackReader()
    for at in range(0, len(data), piece):
        reader.feed(data[at : at + piece])
    reader.end()
    return reader


OLD = "1" * 40


@pytest.mark.parametrize("length", [65_535, 65_536, 65_537, 131_072, 5_000_000])
@pytest.mark.parametrize("piece", [7, 4096, 65_536])
def test_what_compresses_well_is_read_to_its_end(length: int, piece: int) -> None:
    """A commit behind an object that inflates to many times its size is found."""
    last = commit(OLD)
    assert read(pack(plain(3, bytes(length)), plain(1, last)), piece).adds(OLD, name(last))


@given(st.integers(1, 300), st.lists(st.binary(max_size=200), max_size=4))
def test_a_way_back_is_found(piece: int, blobs: list[bytes]) -> None:
    """A commit whose ancestors in the pack lead to the old tip adds to it; another does not."""
    first, other = commit(OLD), commit("2" * 40)
    last = commit("3" * 40, name(first))
    reader = read(
        pack(*(plain(3, b) for b in blobs), *(plain(1, c) for c in (last, first, other))),
        piece,
    )
    assert reader.adds(OLD, name(last))
    assert not reader.adds(OLD, name(other))
    assert not reader.adds(OLD, "4" * 40)
    assert reader.adds(OLD, OLD)


def test_a_commit_as_a_delta() -> None:
    """Commits that come as deltas of others in the pack are read."""
    base = commit(OLD, message="one")
    after = base[:-3] + b"two"
    copy = bytes([0x80 | 0x10 | 0x20, (len(base) - 3) & 0xFF, (len(base) - 3) >> 8])
    delta = bytes([len(base) & 0x7F | 0x80, len(base) >> 7] * 2) + copy + b"\x03two"
    by_name = size(7, len(delta)) + bytes.fromhex(name(base)) + zlib.compress(delta)
    assert read(pack(plain(1, base), by_name)).adds(OLD, name(after))
    first = plain(1, base)
    back = len(first)
    assert back < 128 or back < 16384
    offset = bytes([back]) if back < 128 else bytes([0x80 | ((back >> 7) - 1), back & 0x7F])
    by_offset = size(6, len(delta)) + offset + zlib.compress(delta)
    assert read(pack(first, by_offset)).adds(OLD, name(after))


@pytest.mark.parametrize(
    "text",
    [
        f"tree {'a' * 40}\nauthor parent {OLD}\n\nx",
        f"tree {'a' * 40}\nencoding parent {OLD}\nparent {OLD}\n\nx",
        f"tree {'a' * 40}\nauthor A\n\nparent {OLD}\n",
        f"tree {'a' * 40}\nmergetag x\n parent {OLD}\n\nx",
        f"parent {OLD}\ntree {'a' * 40}\n\nx",
    ],
)
def test_a_parent_is_only_where_parents_stand(text: str) -> None:
    """A line like a parent's elsewhere in a commit makes no ancestor."""
    made = text.encode()
    assert not read(pack(plain(1, made))).adds(OLD, name(made))


def test_a_ring_ends() -> None:
    """Commits that name no way back end the search."""
    lines = [commit(str(n) * 40) for n in range(5)]
    assert not read(pack(*(plain(1, c) for c in lines))).adds(OLD, name(lines[0]))


WHOLE = pack(plain(1, commit(OLD)), plain(3, b"x" * 500))


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_damage_is_refused_or_changes_no_verdict_for_the_better(place: int, byte: int) -> None:
    """With any byte changed, a pack shows no way from a commit that is not in it."""
    data = bytearray(WHOLE)
    data[place] = byte
    try:
        reader = read(bytes(data))
    except NotAPack:
        return
    assert not reader.adds(OLD, "5" * 40)


@pytest.mark.parametrize("cut", [0, 5, 12, 40, len(WHOLE) - 1])
def test_a_pack_that_ends_early(cut: int) -> None:
    """A pack is whole or it is none."""
    with pytest.raises(NotAPack):
        read(WHOLE[:cut])


def test_an_object_that_inflates_beyond_what_it_says() -> None:
    """An object that grows past its size is refused while it grows."""
    with pytest.raises(NotAPack, match="larger"):
        read(pack(size(3, 10) + zlib.compress(bytes(50_000_000))), 65536)


def test_a_pack_that_inflates_beyond_measure() -> None:
    """A small pack of what becomes very large is refused while it grows, though its sizes hold."""
    bomb = plain(3, bytes(50 << 20))
    with pytest.raises(NotAPack, match="beyond measure"):
        read(pack(*[bomb] * 8), 65536)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Any bytes are a pack, or refused."""
    with contextlib.suppress(NotAPack):
        read(b"PACK\0\0\0\2" + data)


def test_where_the_way_leaves_the_pack() -> None:
    """What the commits of a pack lead to, and is not in it, is named; nothing else is."""
    first, other = commit(OLD, "2" * 40), commit("3" * 40)
    last = commit(name(first))
    reader = read(pack(*(plain(1, text) for text in (last, first, other))))
    assert [OLD, "2" * 40] == reader.beyond(name(last))
    assert ["4" * 40] == reader.beyond("4" * 40)

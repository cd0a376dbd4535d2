"""What a git server is asked about commits that it has, and what is believed of the answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.cloud.git.packs import NotAPack, PackReader
from bailee.cloud.git.pktlines import Marker, NotAPacket, Packet, encode
from bailee.cloud.git.ways_back import FetchedPack, GitFeatures, commits_request

from .test_packs import OLD, commit, name, pack, plain

pytestmark = pytest.mark.row("C2")


def packets(*parts: Packet) -> bytes:
    """Packets as they are sent."""
    return b"".join(map(encode, parts))


def fed(reader: FetchedPack | GitFeatures, data: bytes, piece: int) -> None:
    """Bytes in pieces of a length."""
    for at in range(0, len(data), piece):
        reader.feed(data[at : at + piece])


@pytest.mark.parametrize("digits", [40, 64])
def test_the_request(digits: int) -> None:
    """It names the kind of names where they are not the usual ones, and leaves out contents."""
    new, old = "a" * digits, "b" * digits
    kind = [b"object-format=sha256"] if digits == 64 else []
    assert packets(
        b"command=fetch",
        *kind,
        Marker.DELIMITER,
        *(b"ofs-delta", b"no-progress", b"filter tree:0"),
        *(b"want " + new.encode(), b"have " + old.encode(), b"done"),
        Marker.FLUSH,
    ) == commits_request([new], old, filters=True)
    assert b"filter" not in commits_request([new], old, filters=False)


@given(st.integers(1, 100))
def test_an_answer_in_any_pieces(piece: int) -> None:
    """What comes before the pack, and progress within it, is passed over."""
    last = commit(OLD)
    data = pack(plain(1, last))
    answer = packets(
        *(b"shallow-info\n", b"shallow " + b"c" * 40, Marker.DELIMITER, b"packfile\n"),
        *(b"\x01" + data[:9], b"\x02 30%\n", b"\x01" + data[9:], Marker.FLUSH),
    )
    reader = PackReader()
    fed(FetchedPack(reader), answer, piece)
    reader.end()
    assert reader.adds(OLD, "5" * 40, name(last))
    assert not reader.adds(OLD, "5" * 40)


@pytest.mark.parametrize(
    "answer",
    [
        packets(b"ERR upload-pack: not our ref"),
        packets(b"packfile\n", b"\x03fatal"),
        packets(b"packfile\n", b"\x01GARBAGE BEYOND"),
        b"HTTP",
    ],
)
def test_an_answer_that_is_none(answer: bytes) -> None:
    """An error of the server's, and what is no pack, show nothing."""
    with pytest.raises((NotAPack, NotAPacket)):
        FetchedPack(PackReader()).feed(answer)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((b"version 2\n", b"agent=x\n", b"fetch=shallow filter\n"), (True, True)),
        ((b"version 2\n", b"fetch=shallow\n"), (True, False)),
        ((b"a" * 40 + b" HEAD\0multi_ack filter\n",), (False, False)),
    ],
)
def test_what_a_server_can(said: tuple[bytes, ...], expected: tuple[bool, bool]) -> None:
    """Version 2, and whether it leaves contents out."""
    found = GitFeatures()
    fed(found, packets(b"# service=git-upload-pack\n", Marker.FLUSH, *said, Marker.FLUSH), 3)
    assert expected == (found.version_2, found.filters)

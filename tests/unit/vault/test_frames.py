"""Spool files: what was written is read, what was damaged is reported, nothing else comes out."""

from __future__ import annotations

import struct

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from bailee.api import Api
from bailee.errors import IntegrityError
from bailee.vault.exchange import CapturedExchange, Outcome, Terms
from bailee.vault.frames import (
    Damage,
    Frame,
    decode,
    encode,
    frame_data,
    header,
    scan,
    used_of,
)
from bailee.vault.packing import pack, unpack

KEY = AESGCM(bytes(range(32)))
PLAINS = [b"first" * 9, b"BLF1 second", b"third" * 20]


def written(plains: list[bytes], room: int = 200) -> bytes:
    """A file with these plaintexts, and room behind."""
    parts = []
    for sequence, plain in enumerate(plains):
        nonce = bytes([sequence + 1]) * 12
        sealed = nonce + KEY.encrypt(nonce, plain, frame_data("f", sequence))
        parts += [header(sequence, len(sealed)), sealed]
    return b"".join(parts) + bytes(room)


def opener(sequence: int, sealed: memoryview) -> bytes | None:
    """Opens this file's frames."""
    try:
        return KEY.decrypt(sealed[:12], sealed[12:], frame_data("f", sequence))
    except (InvalidTag, ValueError):
        return None


def read(content: bytes) -> tuple[list[bytes], list[Damage]]:
    """What a scan finds: plaintexts and damage."""
    found = list(scan(content, opener))
    return (
        [item.plain for item in found if isinstance(item, Frame)],
        [item for item in found if isinstance(item, Damage)],
    )


def test_reads_what_was_written() -> None:
    """Frames come back in order, and allocated room after them is not damage."""
    assert (PLAINS, []) == read(written(PLAINS))
    assert ([], []) == read(bytes(500))
    assert ([], []) == read(b"")


@pytest.mark.parametrize("zeros", [0, 1, 65_535, 65_536, 200_000])
@pytest.mark.parametrize("before", [b"", b"x", b"\0x", b"x" + bytes(70_000) + b"y", b"z" * 65_536])
def test_where_the_zeros_begin(before: bytes, zeros: int) -> None:
    """What is used of a file ends with its last byte that is not zero, however many follow."""
    assert len(before) == used_of(before + bytes(zeros))


@pytest.mark.parametrize("zeros", [0, 300])
def test_torn_at_every_byte(zeros: int) -> None:
    """A last frame cut at any byte costs that frame alone, with zeros behind it or without."""
    whole = written(PLAINS, room=0)
    start = len(written(PLAINS[:2], room=0))
    for cut in range(start, len(whole)):
        plains, damage = read(whole[:cut] + bytes(zeros))
        assert PLAINS[:2] == plains
        assert len(damage) == (cut > start)
        assert all(item.torn for item in damage)


def test_every_flipped_bit_is_found() -> None:
    """A flipped bit anywhere never gives wrong plaintext, and costs its frame, with a word."""
    whole = written(PLAINS)
    used = len(whole) - 200
    for position in range(used):
        for bit in range(8):
            changed = bytearray(whole)
            changed[position] ^= 1 << bit
            plains, damage = read(bytes(changed))
            assert 2 == len(plains)
            assert set(plains) < set(PLAINS)
            assert damage


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_overwritten_stretches(data: st.DataObject) -> None:
    """Whatever is overwritten, only what was written is given out, in order."""
    whole = bytearray(written(PLAINS))
    start = data.draw(st.integers(0, len(whole) - 1))
    junk = data.draw(st.binary(min_size=1, max_size=80))
    whole[start : start + len(junk)] = junk
    plains, _ = read(bytes(whole[: len(whole)]))
    assert [plain for plain in PLAINS if plain in plains] == plains


def test_a_missing_frame_is_found() -> None:
    """A frame that was cut out of the middle is reported."""
    first, second = len(written(PLAINS[:1], room=0)), len(written(PLAINS[:2], room=0))
    whole = written(PLAINS)
    plains, damage = read(whole[:first] + whole[second:])
    assert ([PLAINS[0], PLAINS[2]], 1) == (plains, len(damage))


@given(st.binary(), st.binary(), st.text(), st.floats(0, 4e9))
def test_exchanges_come_back(request: bytes, answer: bytes, text: str, moment: float) -> None:
    """An exchange is the same after encoding and decoding."""
    exchange = CapturedExchange(
        exchange_id="x",
        owner="o",
        key_id="k",
        plan="pro",
        channel="api",
        terms=Terms("P30D", "c", "d"),
        started_at=moment,
        ended_at=moment,
        outcome=Outcome.TIMED_OUT,
        method="POST",
        target=text,
        status=200,
        request_headers=(("a", text),),
        answer_headers=(),
        request=request,
        answer=answer,
    )
    assert exchange == decode(encode(exchange))


@pytest.mark.parametrize("plain", [b"", bytes(8), b"\xff" * 20, struct.pack(">II", 3, 0) + b"o[]"])
def test_what_is_no_exchange_is_said_to_be_none(plain: bytes) -> None:
    """Whatever opens: nobody who reads a file ends by it."""
    with pytest.raises(IntegrityError):
        decode(plain)


@pytest.mark.row("T4")
def test_an_exchange_of_an_older_version_counts_as_from_before_every_choice() -> None:
    """It comes back whole, and without the number of a choice."""
    exchange = CapturedExchange(
        *("x", "o", "k", "pro", "api", Terms("P30D", "c", "d"), 1.0, 2.0, Outcome.COMPLETE),
        *("POST", "/v1/messages", 200, (), (("a", "b"),), b"request", b"answer"),
        consent=7,
    )
    plain = encode(exchange)
    length, request_length = struct.unpack_from(">II", plain)
    head = unpack(plain[8 : 8 + length])
    assert isinstance(head, list)
    older = pack(head[:14])
    before = struct.pack(">II", len(older), request_length) + older + plain[8 + length :]

    assert exchange == decode(plain)
    assert exchange._replace(consent=0) == decode(before)


@pytest.mark.row("G4")
@pytest.mark.parametrize("api", Api)
def test_an_exchange_says_which_api_it_speaks(api: Api) -> None:
    """It comes back with it; one of an older version speaks the Messages API, and one that does is
    written as the older version wrote it.
    """
    exchange = CapturedExchange(
        *("x", "o", "k", "pro", "api", Terms("P30D", "c", "d"), 1.0, 2.0, Outcome.COMPLETE),
        *("POST", "/v1/x", 200, (), (("a", "b"),), b"request", b"answer"),
        consent=7,
        api=api,
    )
    plain = encode(exchange)
    length, request_length = struct.unpack_from(">II", plain)
    head = unpack(plain[8 : 8 + length])
    assert isinstance(head, list)
    older = pack(head[:15])
    before = struct.pack(">II", len(older), request_length) + older + plain[8 + length :]

    assert exchange == decode(plain)
    assert exchange._replace(api=Api.MESSAGES) == decode(before)
    assert (api is Api.MESSAGES) == (plain == before)

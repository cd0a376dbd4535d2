"""Content codings come off in bounded pieces."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from bailee.apis.decoding import PIECE, decoded, decoder
from bailee.gateway.completion import hold_for
from bailee.vault import bounds
from bailee.vault.bounds import BeyondBound

MIB = 1 << 20


def _deflate_bare(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate, bare": _deflate_bare,
    "br": lambda data: bytes(brotli.compress(data, quality=1)),
    "zstd": zstandard.compress,
}


def bomb(coding: str, size: int) -> bytes:
    """`size` zeros, in parts so that making it takes little."""
    zeros = bytes(MIB)
    if coding == "br":
        made = brotli.Compressor(quality=1)
        return b"".join(made.process(zeros) for _ in range(size // MIB)) + bytes(made.finish())
    if coding == "zstd":
        return zstandard.compress(zeros) * (size // MIB)
    made = zlib.compressobj(1, wbits={"gzip": 31, "deflate": 15, "deflate, bare": -15}[coding])
    return b"".join(made.compress(zeros) for _ in range(size // MIB)) + made.flush()


def _name(coding: str) -> str:
    return coding.partition(",")[0]


@pytest.mark.parametrize("coding", CODINGS)
@settings(max_examples=30)
@given(st.binary(max_size=3000), st.integers(1, 400), st.integers(1, 50))
def test_any_split_gives_the_same(coding: str, data: bytes, size: int, times: int) -> None:
    """However the bytes come, they decode to what was encoded."""
    made = CODINGS[coding](data * times)
    undo = decoder(_name(coding).encode())
    assert undo is not None
    came = [
        piece for at in range(0, len(made), size) for piece in undo.pieces(made[at : at + size])
    ]
    assert data * times == b"".join(came)


@pytest.mark.row("G1")
@pytest.mark.parametrize("coding", CODINGS)
def test_a_piece_is_small_whatever_it_unfolds_to(coding: str) -> None:
    """A few kilobytes that unfold to 64 MiB come in small pieces, and cost no memory as a whole."""
    made = bomb(coding, 64 * MIB)
    undo = decoder(_name(coding).encode())
    assert undo is not None
    tracemalloc.start()
    longest = total = 0
    for piece in undo.pieces(made):
        longest, total = max(longest, len(piece)), total + len(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 64 * MIB == total
    assert longest <= 2 * PIECE
    assert peak < 12 * MIB


@pytest.mark.parametrize("coding", CODINGS)
def test_decoding_ends_at_the_bound(coding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bound on size decoding stops, and says which bound it was."""
    monkeypatch.setattr(bounds, "DECODED", 2 * MIB)
    assert bytes(2 * MIB) == decoded(bomb(coding, 2 * MIB), _name(coding))
    with pytest.raises(BeyondBound, match="decoded_size"):
        decoded(bomb(coding, 16 * MIB), _name(coding))


def test_members_and_codings_without_end_are_refused() -> None:
    """A body of a million empty gzip members, or in a hundred codings, is past a bound."""
    with pytest.raises(BeyondBound):
        decoded(gzip.compress(b"") * (bounds.MEMBERS + 1), "gzip")
    with pytest.raises(BeyondBound):
        decoded(b"", ", ".join(["gzip"] * 100))
    assert b"ab" == decoded(gzip.compress(b"a") + gzip.compress(b"b"), "gzip")


@pytest.mark.row("G1")
@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd"])
def test_a_stream_that_unfolds_beyond_reason_is_held_like_a_document(coding: bytes) -> None:
    """The event loop does not unfold it: everything but the last read goes on."""
    made = bomb(coding.decode(), 256 * MIB)
    hold = hold_for(b"text/event-stream", coding)
    reads = [made[at : at + 4096] for at in range(0, len(made), 4096)]
    went = b"".join(hold.feed(read) for read in reads)
    assert made == went + hold.rest()
    assert not hold.final

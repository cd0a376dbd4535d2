"""What of a server's advertisement is passed on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.cloud.git.advertisements import Advertisement, NotAnAdvertisement
from bailee.cloud.git.pktlines import Marker, encode

TIP = b"1" * 40


def passed(service: str, data: bytes, size: int = 1) -> bytes:
    """What is passed on of `data`, fed in pieces of `size`."""
    passing = Advertisement(service)
    out = b"".join(passing.feed(data[at : at + size]) for at in range(0, len(data), size))
    passing.end()
    return out


def opening(service: str) -> bytes:
    """How a smart answer begins."""
    return encode(f"# service={service}\n".encode()) + encode(Marker.FLUSH)


@given(st.integers(1, 50))
def test_of_a_push_what_is_known(size: int) -> None:
    """Push options, signed pushes and what nobody here knows are left out; refs stay."""
    offered = b"report-status delete-refs push-options push-cert=nonce new-thing agent=git/3"
    refs = encode(b"%b refs/heads/main\0%b\n" % (TIP, offered)) + encode(b"%b refs/tags/v\n" % TIP)
    whole = opening("git-receive-pack") + refs + encode(Marker.FLUSH)
    kept = b"report-status delete-refs agent=git/3"
    expected = opening("git-receive-pack") + encode(b"%b refs/heads/main\0%b\n" % (TIP, kept))
    expected += encode(b"%b refs/tags/v\n" % TIP) + encode(Marker.FLUSH)
    assert expected == passed("git-receive-pack", whole, size)


def test_of_a_fetch_nothing_that_lies_elsewhere() -> None:
    """Addresses of bundles and packs elsewhere are left out in version 2."""
    lines = [b"version 2\n", b"ls-refs=unborn\n", b"fetch=shallow packfile-uris\n", b"bundle-uri\n"]
    whole = opening("git-upload-pack") + b"".join(encode(line) for line in lines) + b"0000"
    got = passed("git-upload-pack", whole)
    assert b"fetch=shallow\n" in got
    assert b"uri" not in got


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"0000",
        opening("git-receive-pack"),
        opening("git-upload-pack") + encode(b"%b refs/heads/main\n" % TIP) + b"0000",
        opening("git-upload-pack") + b"00",
    ],
)
def test_what_is_none(data: bytes) -> None:
    """A page, another service, an answer that ends in the middle are refused."""
    with pytest.raises(NotAnAdvertisement):
        passed("git-upload-pack", data if data != b"0000" else b"0003")

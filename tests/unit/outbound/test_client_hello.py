"""TLS's first message: as OpenSSL writes it, cut and joined in every way, and damaged."""

from __future__ import annotations

import contextlib
import itertools
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.outbound.client_hello import (
    ClientHello,
    NotAClientHello,
    looks_like_tls,
    read_client_hello,
)


def openssl(name: str | None) -> bytes:
    """What OpenSSL says first to a server of this name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    out = ssl.MemoryBIO()
    session = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return out.read()


def records(message: bytes, sizes: list[int]) -> bytes:
    """A handshake message in records of these sizes, then one of the rest."""
    out, at = b"", 0
    for size in [*sizes, len(message)]:
        piece = message[at : at + size]
        if piece:
            out += b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece
        at += len(piece)
    return out


HELLO = openssl("registry.example.org")
MESSAGE = HELLO[5:]


def made(*extensions: bytes, version: bytes = b"\x03\x03") -> bytes:
    """A hello with these extensions, as one record."""
    body = version + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00"
    listed = b"".join(extensions)
    body += len(listed).to_bytes(2, "big") + listed
    return records(b"\x01" + len(body).to_bytes(3, "big") + body, [])


def sni(*names: bytes, kind: int = 0) -> bytes:
    """The extension server_name."""
    listed = b"".join(bytes([kind]) + len(n).to_bytes(2, "big") + n for n in names)
    inner = len(listed).to_bytes(2, "big") + listed
    return b"\x00\x00" + len(inner).to_bytes(2, "big") + inner


def test_what_openssl_says() -> None:
    """The name of a real hello is read; a hello without a name is one too."""
    assert ClientHello("registry.example.org", False) == read_client_hello(HELLO)
    assert ClientHello(None, False) == read_client_hello(openssl(None))
    assert looks_like_tls(HELLO)


@given(st.integers(0, len(HELLO) - 1))
def test_until_it_is_whole_it_is_waited_for(cut: int) -> None:
    """No beginning of a hello is taken for one, or refused."""
    assert read_client_hello(HELLO[:cut]) is None


@given(st.lists(st.integers(1, 300), max_size=20))
def test_in_any_records(sizes: list[int]) -> None:
    """A hello in many records says the same, and each of its beginnings is waited for."""
    cut = records(MESSAGE, sizes)
    assert read_client_hello(HELLO) == read_client_hello(cut)
    assert read_client_hello(cut[:-1]) is None


@given(st.integers(0, len(HELLO) - 1), st.integers(0, 255))
def test_damage_gives_no_other_name_in_silence(place: int, byte: int) -> None:
    """With any byte changed: refused, waited for, or read; another name only if its own letters,
    or what says that it is there, were changed.
    """
    data = bytearray(HELLO)
    data[place] = byte
    try:
        hello = read_client_hello(bytes(data))
    except NotAClientHello:
        return
    name = HELLO.index(b"registry.example.org")
    if hello is not None and hello.server_name != "registry.example.org":
        assert hello.server_name is None or name <= place < name + 20


def test_encrypted_client_hello_is_noted() -> None:
    """An encrypted hello inside is seen, and so is the outer name."""
    hello = read_client_hello(made(sni(b"Outer.example"), b"\xfe\x0d\x00\x01\x00"))
    assert ClientHello("outer.example", True) == hello


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"\x80\x2e\x01\x03\x01",
        b"\x16\x02",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\x40\x01",
        b"\x16\x03\x01\x00\x01\x02",
        b"\x16\x03\x01\x00\x04\x01\x01\x00\x00",
        records(MESSAGE, [20])[: 5 + 20] + b"\x14\x03\x03\x00\x01\x01",
        records(MESSAGE + b"\x00", []),
        records(MESSAGE, [1] * 100),
        made(sni(b"a.example"), sni(b"b.example")),
        made(sni(b"a.example", b"b.example")),
        made(sni(b"a.example", kind=1)),
        made(sni(b"")),
        made(sni("ä".encode())),
        made(b"\x00\x00\x00\x00"),
        made(b"\x00\x10\x00\xff\x00"),
        made(version=b"\x02\x00"),
        records(b"\x01\x00\x00\x2c" + made()[9:] + b"\x00", []),
    ],
    ids=itertools.count(),  # some have random bytes, and a name is the same in each process
)
def test_what_is_none(data: bytes) -> None:
    """Anything else is refused: other protocols, lengths that lie, two names."""
    with pytest.raises(NotAClientHello):
        assert read_client_hello(data) is None
        read_client_hello(data + bytes(100))


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Any bytes are read, waited for, or refused."""
    for start in (b"", b"\x16\x03\x01", b"\x16\x03\x01\x00\x40\x01\x00\x00\x3c\x03\x03"):
        with contextlib.suppress(NotAClientHello):
            read_client_hello(start + data)

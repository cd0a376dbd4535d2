"""Whose connection it is, by the socket and by what trusted proxies say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.admission.addresses import Client, TrustedProxies, trusted_proxies
from bailee.errors import InputError

NOBODY = trusted_proxies(None)
PROXY = trusted_proxies("127.0.0.1, 10.1.0.0/16, 2001:db8:1::/48")


def address(proxies: TrustedProxies, peer: str, **fields: str) -> str:
    """The client's address, by these fields."""
    return proxies.client(peer, _fields(fields), secure=False).address


def _fields(fields: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]


@pytest.mark.row("G1")
@given(
    st.text(st.characters(codec="latin-1"), max_size=60),
    st.sampled_from(["x_forwarded_for", "forwarded"]),
)
def test_nobody_is_believed_who_was_not_named(said: str, field: str) -> None:
    """Without trusted proxies, and from a peer that is none, the client is the peer: this machine
    too.
    """
    named = [(field.replace("_", "-").encode(), said.encode("latin-1"))]

    for peer in ("127.0.0.1", "203.0.113.9", "::1"):
        assert Client(peer, False) == NOBODY.client(peer, named, secure=False)
    assert Client("203.0.113.9", True) == PROXY.client("203.0.113.9", named, secure=True)


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("198.51.100.1, 203.0.113.5", "203.0.113.5"),  # the client wrote the first one itself
        ("198.51.100.1, 203.0.113.5, 10.1.2.3", "203.0.113.5"),
        ("10.1.9.9, 10.1.2.3", "10.1.9.9"),  # all are proxies: the one farthest off
        ("203.0.113.5:4711", "203.0.113.5"),
        ("[2001:db8:2::7]:4711", "2001:db8:2::7"),
        ("2001:db8:2::7", "2001:db8:2::7"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("203.0.113.5, unknown", "127.0.0.1"),  # nobody knows who: the proxy is counted
        ("203.0.113.5, unknown, 10.1.2.3", "10.1.2.3"),
        ("", "127.0.0.1"),
        (",", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_the_client_is_the_last_hop_that_is_no_proxy(chain: str, client: str) -> None:
    """Read from the right: what stands left of the first stranger was the stranger's to write."""
    assert client == address(PROXY, "127.0.0.1", x_forwarded_for=chain)


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("for=203.0.113.5", "203.0.113.5"),
        ('for="[2001:db8:2::7]:4711";proto=https', "2001:db8:2::7"),
        ("for=198.51.100.1, for=203.0.113.5;by=10.1.0.1", "203.0.113.5"),
        ("for=203.0.113.5, for=_hidden", "127.0.0.1"),
        ("for=203.0.113.5, nonsense", "127.0.0.1"),
        ('for="203.0.113.5', "127.0.0.1"),
    ],
)
def test_forwarded_is_read_likewise(said: str, client: str) -> None:
    """RFC 7239's field; an element that can't be read ends the chain."""
    assert client == address(PROXY, "127.0.0.1", forwarded=said)


def test_two_fields_that_do_not_agree_count_for_nothing() -> None:
    """A proxy writes one and lets the other through as its client sent it."""
    forged = {"x_forwarded_for": "203.0.113.5", "forwarded": "for=198.51.100.1"}

    assert "127.0.0.1" == address(PROXY, "127.0.0.1", **forged)
    assert "203.0.113.5" == address(
        PROXY, "127.0.0.1", **{**forged, "forwarded": "for=203.0.113.5"}
    )


@pytest.mark.parametrize(
    ("fields", "peer", "secure"),
    [
        ({"x_forwarded_proto": "https"}, "127.0.0.1", True),
        ({"x_forwarded_proto": "https, http"}, "127.0.0.1", False),
        ({"x_forwarded_proto": "http"}, "127.0.0.1", False),
        ({"forwarded": "for=203.0.113.5;proto=https"}, "127.0.0.1", True),
        ({"x_forwarded_proto": "https", "forwarded": "for=1.1.1.1;proto=http"}, "127.0.0.1", False),
        ({"x_forwarded_proto": "https"}, "203.0.113.9", False),
        ({}, "127.0.0.1", False),
    ],
)
def test_tls_is_the_trusted_proxys_word(fields: dict[str, str], peer: str, secure: bool) -> None:
    """Anyone else's is not heard."""
    assert secure == PROXY.client(peer, _fields(fields), secure=False).secure


@pytest.mark.parametrize("text", ["everywhere", "10.0.0.1/8", "127.0.0.1,", "*", "localhost", ""])
def test_what_is_no_network_is_refused(text: str) -> None:
    """With the setting's name; only nothing at all trusts nobody."""
    if text == "":
        assert TrustedProxies() == trusted_proxies(text)
        return
    with pytest.raises(InputError, match="trusted_proxies"):
        trusted_proxies(text)

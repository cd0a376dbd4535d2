"""Which proxy is on the way to what: the variables, NO_PROXY, and a proxy's own address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.errors import InputError
from bailee.outbound.proxies import Proxy, excepted, proxy_for, read_proxy

pytestmark = pytest.mark.row("D2")

P = Proxy("p", 1)


@pytest.mark.parametrize(
    ("variables", "address", "expected"),
    [
        ({}, "https://b.example", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://b.example", P),
        ({"https_proxy": "p:1", "HTTPS_PROXY": "q:2"}, "https://b.example", P),
        ({"HTTP_PROXY": "http://p:1"}, "https://b.example", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://b.example", P),
        ({"ALL_PROXY": "http://p:1"}, "https://b.example", P),
        ({"ALL_PROXY": "http://p:1"}, "https://127.0.0.1:8", None),
        ({"ALL_PROXY": "http://p:1"}, "https://[::1]:8", None),
        ({"ALL_PROXY": "http://p:1"}, "http://169.254.169.254/latest", None),
        ({"ALL_PROXY": "http://p:1"}, "http://metadata.google.internal", None),
        ({"ALL_PROXY": "http://p:1", "no_proxy": "b.example"}, "http://b.example", None),
    ],
)
def test_which_proxy(variables: dict[str, str], address: str, expected: Proxy | None) -> None:
    """The usual variables in both spellings; never for this machine, nor for its metadata."""
    assert expected == proxy_for(address, variables)


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "expected"),
    [
        ("*", "b.example", 443, True),
        ("*:443", "b.example", 443, True),
        ("*:443", "b.example", 80, False),
        ("", "b.example", 443, False),
        (",, ,", "b.example", 443, False),
        ("b.example", "b.example", 443, True),
        ("B.Example", "b.example", 443, True),
        ("b.example", "B.EXAMPLE", 443, True),
        ("example", "b.example", 443, True),
        ("ample", "b.example", 443, False),
        (".b.example", "b.example", 443, True),
        (".b.example", "a.b.example", 443, True),
        ("*.b.example", "a.b.example", 443, True),
        (".", "b.example", 443, False),
        ("b.example.", "b.example", 443, True),
        ("b.example", "b.example.", 443, True),
        ("a b.example;c, d", "b.example", 443, False),
        ("a b.example c", "b.example", 443, True),
        ("b.example:443", "b.example", 443, True),
        ("b.example:443", "b.example", 8443, False),
        ("b.example:*", "b.example", 8443, True),
        (".b.example:8443", "a.b.example", 8443, True),
        ("b.example.:443", "b.example", 443, True),
        ("10.1.2.3", "10.1.2.3", 443, True),
        ("10.1.2.3:443", "10.1.2.3", 443, True),
        ("10.1.2.3:80", "10.1.2.3", 443, False),
        ("10.0.0.0/8", "10.1.2.3", 443, True),
        ("10.1.2.3/8", "10.9.9.9", 443, True),
        ("10.0.0.0/8", "11.1.2.3", 443, False),
        ("10.0.0.0/8", "10.example", 443, False),
        ("10.0.0.0/8", "::ffff:10.1.2.3", 443, True),
        ("2001:db8::1", "2001:db8::1", 443, True),
        ("2001:db8::1", "2001:db8:0:0:0:0:0:1", 443, True),
        ("[2001:db8::1]", "2001:db8::1", 443, True),
        ("[2001:db8::1]:443", "2001:db8::1", 443, True),
        ("[2001:db8::1]:443", "2001:db8::1", 80, False),
        ("[2001:db8::1]:443", "[2001:db8::1]", 443, True),
        ("2001:db8::/32", "2001:db8::1", 443, True),
        ("[2001:db8::/32]:443", "2001:db8::1", 443, True),
        ("[2001:db8::]/32", "2001:db8::1", 443, True),
        ("2001:db8::/32", "2001:db9::1", 443, False),
        ("bücher.example", "xn--bcher-kva.example", 443, True),
        ("xn--bcher-kva.example", "bücher.example", 443, True),
        (".BÜCHER.example:443", "a.bücher.example", 443, True),
        ("bücher.example", "bucher.example", 443, False),
    ],
)
def test_what_no_proxy_excepts(no_proxy: str, host: str, port: int, expected: bool) -> None:
    """Names and what is below them, addresses, networks, each with a port or without; however
    they are written.
    """
    assert expected == excepted(no_proxy, host, port)


@pytest.mark.parametrize(
    ("url", "expected"),
    [("https://b.example", None), ("https://b.example:8443", P), ("http://b.example", P)],
)
def test_a_port_that_is_not_written_is_the_schemes(url: str, expected: Proxy | None) -> None:
    """`host:443` excepts `https://host`, and nothing else of the host."""
    assert expected == proxy_for(url, {"ALL_PROXY": "p:1", "NO_PROXY": "b.example:443"})


@given(st.text(), st.text(max_size=30), st.integers(1, 65535))
def test_no_value_of_no_proxy_breaks(no_proxy: str, host: str, port: int) -> None:
    """Whatever stands there, there is an answer."""
    assert excepted(no_proxy, host, port) in (True, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://p.example:3128", Proxy("p.example", 3128)),
        ("p.example:3128/", Proxy("p.example", 3128)),
        ("HTTP://P.Example", Proxy("p.example", 80)),
        ("https://p.example", Proxy("p.example", 443, tls=True)),
        ("http://[2001:db8::1]:3128", Proxy("2001:db8::1", 3128)),
        ("http://bücher.example:1", Proxy("xn--bcher-kva.example", 1)),
        ("http://ann@p:1", Proxy("p", 1, False, "ann")),
        ("http://ann:pears@p:1", Proxy("p", 1, False, "ann", "pears")),
        ("http://ann:pe#ars@p:1", Proxy("p", 1, False, "ann", "pe#ars")),
        ("http://ann:a/b?c@d:e@p:1", Proxy("p", 1, False, "ann", "a/b?c@d:e")),
        ("ann:pe%23ars%40@p:1", Proxy("p", 1, False, "ann", "pe#ars@")),
        ("http://ann:50%@p:1", Proxy("p", 1, False, "ann", "50%")),
        ("http://corp%5Cann:pears@p:1", Proxy("p", 1, False, "corp\\ann", "pears")),
    ],
)
def test_a_proxys_address(text: str, expected: Proxy) -> None:
    """With a scheme or without; a password holds what it holds, escaped or not."""
    assert expected == read_proxy(text, "HTTPS_PROXY")
    assert expected == read_proxy(expected.url, "HTTPS_PROXY")


@pytest.mark.parametrize(
    "text",
    [
        "socks5://p:1",
        "ftp://p",
        "http://",
        "http://sesame:sesame@",
        "http://p:0",
        "http://p:99999",
        "http://p/path",
        "http://p?q",
        "http://p#f",
        "http://2001:db8::1",
        "http://127.1:3128",
        "http://a b:1",
        "http://p:1\r\nx",
    ],
)
def test_what_is_no_proxy_is_an_error(text: str) -> None:
    """Going straight where a proxy was meant would be a way round it. A password is not said."""
    with pytest.raises(InputError, match="HTTPS_PROXY") as refused:
        proxy_for("https://b.example", {"HTTPS_PROXY": text})
    assert "configuration" == refused.value.code
    assert "sesame" not in f"{refused.value} {refused.value.hint}"

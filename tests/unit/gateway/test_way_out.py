"""Which proxy is on the way to what, and what is refused as a proxy."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.errors import InputError
from bailee.gateway.way_out import proxy_variables, way_out
from bailee.outbound.proxies import Proxy

ENVIRONMENT = {
    "HTTPS_PROXY": "http://user:pa%40ss@proxy.example:3128",
    "HTTP_PROXY": "http://plain.example:3128",
    "NO_PROXY": ".corp.example, 10.0.0.0/8,one.example:8443",
    "PATH": "/bin",
}


def to(url: str, setting: str = "env", login: str | None = None, **more: str) -> Proxy | None:
    """The proxy on the way to `url`."""
    environment = {**ENVIRONMENT, **more}
    return way_out(proxies=proxy_variables(setting, login, environment)).proxy(url)


def test_the_environments_proxy_is_taken_with_its_password() -> None:
    """As other programs take it."""
    assert Proxy("proxy.example", 3128, False, "user", "pa@ss") == to("https://api.example.com")
    assert Proxy("lower.example", 443, True) == to(
        "https://api.example.com", https_proxy="https://lower.example"
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com",
        "https://models.corp.example",
        "https://10.1.2.3:8000",
        "https://one.example:8443/v1",
        "https://localhost:1",
        "https://127.0.0.2",
        "https://[::1]",
        "https://169.254.169.254/latest",
        "https://[fe80::1]",
        "http://metadata.google.internal/",
        "https://metadata.google.internal/",
    ],
)
@pytest.mark.parametrize("setting", ["env", "http://named.example:8080"])
def test_what_no_proxy_is_asked_for(url: str, setting: str) -> None:
    """What could be read on the way, what NO_PROXY excepts, and what is this machine's own."""
    assert to(url, setting) is None


def test_one_port_may_be_excepted_and_others_not() -> None:
    """NO_PROXY with a port."""
    assert to("https://one.example:443") is not None


def test_off_is_off_and_a_named_proxy_is_the_only_one() -> None:
    """The environment's is not a second choice."""
    assert to("https://api.example.com", "off") is None
    assert Proxy("named.example", 8080) == to("https://api.example.com", "named.example:8080")
    assert Proxy("2001:db8::1", 3128) == to("https://api.example.com", "http://[2001:db8::1]:3128")


@given(
    st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"]), min_size=1),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_any_user_and_password_arrive_as_they_are(user: str, password: str) -> None:
    """Whatever characters they hold; nothing of them can end the header."""
    found = to("https://api.example.com", "http://p.example:1", f"{user}:{password}")
    assert found is not None
    ((name, value),) = found.fields
    scheme, _, pair = value.partition(b" ")
    assert (b"proxy-authorization", b"Basic") == (name, scheme)
    assert f"{user}:{password}".encode() == base64.b64decode(pair)
    assert value.isascii()
    assert "user" not in repr(found)


@pytest.mark.parametrize(
    ("setting", "login"),
    [
        ("socks5://p.example:1080", None),
        ("http://p.example:99999", None),
        ("http://p.example:0", None),
        ("http://p.example/path", None),
        ("http://", None),
        ("http://user:sesame@p.example:1", None),
        ("user:sesame@p.example:1", None),
        ("http://p.example:1", "sesame"),
        ("http://p.example:1", ":sesame"),
        ("env", "user:sesame"),
    ],
)
def test_what_is_no_proxy_is_refused(setting: str, login: str | None) -> None:
    """With a hint; and a password is not said again."""
    with pytest.raises(InputError) as refused:
        proxy_variables(setting, login, {})
    assert "configuration" == refused.value.code
    assert "upstream.proxy" in str(refused.value.hint)
    assert "sesame" not in f"{refused.value} {refused.value.hint}"


def test_an_environment_that_names_no_http_proxy_is_refused_only_where_it_counts() -> None:
    """A SOCKS proxy would be passed by in silence otherwise."""
    with pytest.raises(InputError):
        to("https://api.example.com", HTTPS_PROXY="", ALL_PROXY="socks5://p.example:1080")
    assert to("https://10.0.0.1", HTTPS_PROXY="", ALL_PROXY="socks5://p.example:1080") is None

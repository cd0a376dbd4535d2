"""Under which names the console is answered."""

from __future__ import annotations

import pytest

from bailee.console.names import Names, NameVerdict, check_url, names
from bailee.errors import InputError

LABEL = "bailee-0123456789abcdef"


def local(url: str | None = None, **more: object) -> Names:
    """The names of a console on loopback."""
    given = {"host": "127.0.0.1", "port": 8788, "tls": False, "label": LABEL} | more
    return names(url, **given)  # type: ignore[arg-type]


@pytest.mark.row("G1")
def test_on_this_machine_the_pages_have_a_name_of_their_own() -> None:
    """And the machine's plain names have the API alone, which takes no cookie."""
    found = local()

    assert f"http://{LABEL}.localhost:8788" == found.url
    assert NameVerdict.ANSWER is found.reply(f"{LABEL.upper()}.localhost:8788", "/")
    for host in ("127.0.0.1:8788", "localhost:8788"):
        assert NameVerdict.ANSWER is found.reply(host, "/api/v1/sessions")
        assert NameVerdict.ANSWER is found.reply(host, "/ledger/checkpoint")
        assert NameVerdict.ELSEWHERE is found.reply(host, "/")
        assert NameVerdict.ELSEWHERE is found.reply(host, "/api")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8788", "", "127.0.0.1", f"{LABEL}.localhost",
     f"{LABEL}.localhost:9999", "bailee-ffffffffffffffff.localhost:8788", "127.0.0.1:8788 "],
)  # fmt: skip
@pytest.mark.parametrize("url", [None, "https://console.example.org"])
def test_any_other_name_is_foreign(host: str, url: str | None) -> None:
    """For the API, too: a page of another site can't read what is answered (DNS rebinding)."""
    found = local(url)

    assert {NameVerdict.FOREIGN} == {found.reply(host, path) for path in ("/", "/api/v1/sessions")}


def test_a_public_name_is_the_only_one_for_pages() -> None:
    """With or without the port that browsers leave out; who asks this machine is led there."""
    found = local("https://Console.example.org/")

    assert ("https://console.example.org", True) == (found.url, found.secure)
    for host in ("console.example.org", "console.example.org:443"):
        assert NameVerdict.ANSWER is found.reply(host, "/sign-in")
        assert "https://console.example.org" == found.origin(host)
    assert NameVerdict.THERE is found.reply("127.0.0.1:8788", "/sign-in")
    assert NameVerdict.ANSWER is found.reply("127.0.0.1:8788", "/api/v1/sessions")
    assert NameVerdict.FOREIGN is found.reply(f"{LABEL}.localhost:8788", "/")


def test_a_plain_name_of_this_machine_may_be_chosen() -> None:
    """By who has passkeys for it, or a browser that does not know names under localhost."""
    found = local("http://localhost:8788")

    assert NameVerdict.ANSWER is found.reply("localhost:8788", "/")
    assert NameVerdict.THERE is found.reply("127.0.0.1:8788", "/")
    assert "http://localhost:8788" == found.origin("localhost:8788")


def test_with_a_certificate_and_no_address_it_is_where_it_listens() -> None:
    """A certificate is for a name that only the operator knows."""
    found = local(host="192.0.2.7", tls=True)

    assert "https://192.0.2.7:8788" == found.url
    assert "https://localhost:8788" == found.origin("localhost:8788")
    assert NameVerdict.ANSWER is found.reply("192.0.2.7:8788", "/")


@pytest.mark.parametrize(
    "url",
    ["console.example.org", "http://console.example.org", "https://console.example.org/bailee",
     "https://user@console.example.org", "https://console.example.org?x=1", "ftp://localhost",
     "https://", "https://con sole.example", "https://[::1", "https://console.example.org:99999",
     "https://a.example\r\nx", "http://localhost.evil.example"],
)  # fmt: skip
def test_what_is_no_public_address_is_refused(url: str) -> None:
    """Cookies and keys would go there: nothing without TLS, no path, and one spelling."""
    with pytest.raises(InputError, match=r"console\.url"):
        check_url(url, "console.url")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://console.example.org:443/", "https://console.example.org"),
        ("https://console.example.org:8443", "https://console.example.org:8443"),
        ("https://[2001:db8::7]:8443", "https://[2001:db8::7]:8443"),
        ("http://127.0.0.1:8788", "http://127.0.0.1:8788"),
    ],
)
def test_an_address_has_one_spelling(url: str, shown: str) -> None:
    """As browsers say an origin."""
    assert shown == check_url(url, "gateway.url")

"""What needs no network: when to try again, which proxy, what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bailee.client.network import Network, checked
from bailee.client.sender import delay
from bailee.errors import InputError
from bailee.loopback import is_loopback


def test_delays_double_up_to_six_hours() -> None:
    """1 minute, 2, 4 … 6 hours; the server's wish counts between a minute and six hours."""
    minutes = [delay(n, None) // timedelta(minutes=1) for n in range(1, 12)]

    assert [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360] == minutes
    assert timedelta(seconds=90) == delay(1, "90")
    assert (timedelta(minutes=1), timedelta(hours=6)) == (delay(1, "0"), delay(1, "999999"))
    assert timedelta(minutes=1) == delay(1, "soon")
    assert timedelta(hours=6) == delay(10**6, None)


@pytest.mark.parametrize(
    ("variables", "address", "expected"),
    [
        ({}, "https://b.example", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://b.example", "http://p:1"),
        ({"https_proxy": "p:1"}, "https://b.example", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "https://b.example", None),
        ({"ALL_PROXY": "http://p:1"}, "https://b.example", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "https://127.0.0.1:8", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://[::1]:8", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "https://b.example", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example"}, "https://b.example", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".b.example"}, "https://b.example", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "ample"}, "https://b.example", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a, 10.0.0.0/8"}, "https://10.1.2.3", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "b.example:1"}, "https://b.example:1", None),
        (
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "b.example:1"},
            "https://b.example:2",
            "http://p:1",
        ),
    ],
)
def test_which_proxy(variables: dict[str, str], address: str, expected: str | None) -> None:
    """The usual variables, both spellings, names, suffixes, networks, ports; never for loopback."""
    assert expected == Network(variables).proxy(address)


@pytest.mark.parametrize("proxy", ["socks5://p:1", "http://", "ftp://p"])
def test_a_proxy_that_can_not_be_used_is_an_error(proxy: str) -> None:
    """Going straight where a proxy was meant would be a way round it."""
    with pytest.raises(InputError, match="HTTPS_PROXY"):
        Network({"HTTPS_PROXY": proxy}).proxy("https://b.example")


@pytest.mark.parametrize(
    "address", ["http://b.example", "http://127.0.0.1.example", "ftp://127.0.0.1", "x", "http://"]
)
def test_nothing_goes_in_the_clear_to_another_machine(address: str) -> None:
    """Plain HTTP is for loopback alone, and what only looks like loopback is not."""
    with pytest.raises(InputError):
        checked(address)


def test_loopback() -> None:
    """By number or by its one name."""
    assert [True, True, True, False, False] == [
        is_loopback(h) for h in ("127.9.9.9", "::1", "localhost", "localhost.b", "10.0.0.1")
    ]


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "BAILEE_CLIENT_CERT"])
def test_a_certificate_that_is_not_there_is_an_error(variable: str) -> None:
    """It names the variable; trusting less or more than was said is no answer."""
    with pytest.raises(InputError, match=variable):
        Network({variable: "/nowhere.pem"}).tls()

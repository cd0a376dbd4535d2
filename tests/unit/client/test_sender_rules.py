"""What needs no network: when to try again, which proxy, what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bailee.client.sender import delay
from bailee.errors import InputError
from bailee.loopback import is_loopback
from bailee.outbound.network import Network, checked


def test_delays_double_up_to_six_hours() -> None:
    """1 minute, 2, 4 … 6 hours; the server's wish counts between a minute and six hours."""
    minutes = [delay(n, None) // timedelta(minutes=1) for n in range(1, 12)]

    assert [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360] == minutes
    assert timedelta(seconds=90) == delay(1, "90")
    assert (timedelta(minutes=1), timedelta(hours=6)) == (delay(1, "0"), delay(1, "999999"))
    assert timedelta(minutes=1) == delay(1, "soon")
    assert timedelta(hours=6) == delay(10**6, None)


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

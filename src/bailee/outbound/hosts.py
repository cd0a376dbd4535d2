"""How a host may be written, so that two readers can't understand it differently. Pure.

Rules kept here:

* A name is ASCII letters, digits, hyphens and underscores in labels of 1 to 63, 253 in all
  (RFC 1035, RFC 5890). Names beyond ASCII come in their `xn--` form, as clients send them; nothing
  is mapped here, so no full-width digit or ideographic full stop becomes something else.
* One dot at the end is taken away; letters are made small. Nothing else is changed.
* What ends in a number is an address (WHATWG URL, "ends in a number"), and an address is written
  in one way only: four decimals without leading zeros, or RFC 5952's digits of IPv6 in brackets.
  `2130706433`, `0177.0.0.1`, `0x7f.1`, `127.1`, `::ffff:7f00:1%eth0` are refused, not understood.
* No user name, no zone, no blank, no escape.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from bailee.outbound.addresses import Address
from bailee.records import dataclass

_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_NUMBER: Final = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")
_IPV4: Final = re.compile(r"(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})\Z")
_IPV6: Final = re.compile(r"[0-9a-f:.]+\Z")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}\Z")
_LONGEST: Final = 253


class NotAHost(ValueError):
    """What was given as a host or port is none, or can be understood in two ways. The text says
    why, and never repeats what was given.
    """


@dataclass(frozen=True, slots=True)
class Host:
    """A host in its one way of writing. `address` is set when it is an address, not a name."""

    name: str
    address: Address | None = None

    @property
    def bracketed(self) -> str:
        """As it stands before a port."""
        return f"[{self.name}]" if isinstance(self.address, ipaddress.IPv6Address) else self.name


def read_host(text: str) -> Host:
    """The host that `text` names; IPv6 in brackets.

    >>> read_host("Example.ORG.").name
    'example.org'

    Raises:
        NotAHost: it is none, or not written in the one way.
    """
    if not text.isascii():
        raise NotAHost("a name beyond ASCII is written in its xn-- form")
    text = text.lower()
    if text.startswith("[") and text.endswith("]"):
        return _ipv6(text[1:-1])
    name = text.removesuffix(".")
    labels = name.split(".")
    if _NUMBER.match(labels[-1]):
        return _ipv4(text)
    if len(name) > _LONGEST or not all(_LABEL.match(label) for label in labels):
        raise NotAHost("that is not the name of a host")
    return Host(name)


def _ipv4(text: str) -> Host:
    if not _IPV4.match(text):
        raise NotAHost("an IPv4 address is written as four decimal numbers")
    try:
        return Host(text, ipaddress.IPv4Address(text))
    except ValueError:
        raise NotAHost("an IPv4 address has numbers up to 255") from None


def _ipv6(text: str) -> Host:
    if not _IPV6.match(text):
        raise NotAHost("an IPv6 address has hexadecimal digits and colons, and no zone")
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise NotAHost("that is not an IPv6 address") from None
    return Host(str(address), address)


def read_port(text: str) -> int:
    """A port, 1 to 65535, in decimal digits without a leading zero.

    Raises:
        NotAHost: it is none.
    """
    if not _PORT.match(text) or int(text) > 65535:
        raise NotAHost("a port is a number from 1 to 65535")
    return int(text)


def read_authority(text: str, default_port: int | None = None) -> tuple[Host, int]:
    """Host and port of `host:port`; without a port, `default_port`, if there is one.

    Raises:
        NotAHost: it is none, or has a user name, or no port where one must be.
    """
    if "@" in text:
        raise NotAHost("a user name has no place before a host")
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        if default_port is None:
            raise NotAHost("a port must follow the host")
        return read_host(text), default_port
    if ":" in host and not host.startswith("["):
        raise NotAHost("an IPv6 address stands in brackets")
    return read_host(host), read_port(port)

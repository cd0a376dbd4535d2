"""The head of a CONNECT, as nearly every client writes it, read in one look. Pure.

What does not match is no refusal: h11 reads it, slower, and decides. What matches, h11 takes too,
and reads the same host and port from it (a property test).
"""

from __future__ import annotations

import re
from typing import Final

from bailee.outbound.forward_proxy import NotServed, tunnel_of_target
from bailee.outbound.hosts import Host

BEGINNING: Final = b"CONNECT "
_CONNECT: Final = re.compile(
    rb"CONNECT ([!-~]{1,300}) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[ \t]*(?:[!-~]+(?:[ \t]+[!-~]+)*)?[ \t]*\r\n)+)\r\n"
)
# What says that there is a body, or wants an answer first.
_MORE: Final = re.compile(rb"\n(?:content-length|transfer-encoding|expect|connection|upgrade):")
_HOST: Final = re.compile(rb"\nhost:[ \t]*([^ \t\r]+)[ \t]*\r")
_LOGIN: Final = re.compile(rb"\nproxy-authorization:[ \t]*([^\r]*?)[ \t]*\r", re.IGNORECASE)


def read_connect(head: bytes) -> tuple[Host, int, list[bytes]] | None:
    """Host, port and the credentials that are shown, of a CONNECT's whole head; None: it is for
    h11 to read.

    Raises:
        NotServed: what is asked for is no host, or no port.
    """
    match = _CONNECT.fullmatch(head)
    if match is None:
        return None
    fields = b"\n" + match[2]
    small = fields.lower()
    if len(_HOST.findall(small)) != 1 or small.count(b"\nhost:") != 1 or _MORE.search(small):
        return None
    shown = _LOGIN.findall(fields) if b"\nproxy-authorization:" in small else []
    return *tunnel_of_target(match[1]), shown


__all__ = ["BEGINNING", "NotServed", "read_connect"]

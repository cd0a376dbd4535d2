"""The connections that a program and its children have open, by the kernel's word (`/proc`, Linux).

To list TCP's, Linux walks a table that is large on a large machine: ten milliseconds each time, and
a program that is looked at twenty times a second runs all day. So they are listed only while there
is a socket of which it isn't known what it is; and at each twentieth look, as a socket can be
connected anew.

Rows: S7, D2.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FarEnd = tuple[str, int]  # address, port

_ALL: Final = 20  # looks, of which one reads everything
_TCP: Final = ("tcp", "tcp6")
# Small tables. A socket of UDP may be led elsewhere at any time, so these are always read.
_UDP: Final = ("udp", "udp6")
# A line's column with the inode, in the tables of sockets that reach no other machine.
_LOCAL: Final = {"unix": 6, "netlink": 9}


class OpenConnections:
    """Looks at one process and its children, again and again, on the thread of who asks. It keeps
    what it knows of sockets that are open, and nothing of the others.
    """

    def __init__(self, process: int) -> None:
        self._process = process
        self._known: dict[bytes, FarEnd | None] = {}  # of TCP; None: no other machine's
        self._looks = 0

    def look(self) -> set[FarEnd]:
        """The far ends of the TCP and UDP connections that are open now."""
        if self._looks % _ALL == 0:
            self._known.clear()
        self._looks += 1
        sockets = {inode for pid in _family(self._process) for inode in _sockets(pid)}
        self._known = {inode: far for inode, far in self._known.items() if inode in sockets}
        waiting = sockets - self._known.keys()
        led = {inode: far for inode, far in self._far_ends(_UDP) if inode in waiting}
        waiting -= led.keys()
        if waiting:
            local = self._local()
            self._known |= dict.fromkeys(waiting & local)
            waiting -= local
        if waiting:
            self._known |= {inode: far for inode, far in self._far_ends(_TCP) if inode in waiting}
        return {far for far in (*self._known.values(), *led.values()) if far is not None}

    def _far_ends(self, kinds: tuple[str, ...]) -> Iterator[tuple[bytes, FarEnd | None]]:
        for kind in kinds:
            for columns in self._table(kind):
                yield columns[9], _far_end(columns[2].decode())

    def _local(self) -> set[bytes]:
        return {
            columns[place]
            for kind, place in _LOCAL.items()
            for columns in self._table(kind)
            if len(columns) > place
        }

    def _table(self, kind: str) -> Iterator[list[bytes]]:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self._process}/net/{kind}").read_bytes().splitlines()[1:]:
                yield line.split()


def _sockets(process: int) -> Iterator[bytes]:
    """The inodes of its sockets."""
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(link.readlink())
                if target.startswith("socket:["):
                    yield target[8:-1].encode()


def _family(process: int) -> list[int]:
    found, waiting = [], [process]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        with contextlib.suppress(OSError, ValueError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
    return found


def _far_end(text: str) -> FarEnd | None:
    """A far end as the kernel writes it; None: there is none."""
    digits, _, port = text.partition(":")
    raw = bytes.fromhex(digits)
    # The kernel writes words of four bytes in the machine's order.
    swapped = b"".join(raw[place : place + 4][::-1] for place in range(0, len(raw), 4))
    address = ipaddress.ip_address(swapped)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified or int(port, 16) == 0:
        return None
    return str(address), int(port, 16)

"""File descriptors: how many this process may have, and how many connections that lets in.

`raise_limit` acts, once, at the start of the server; `share_out` only computes.

Rules kept here: what the process needs for itself (databases, spool, segments, control socket,
upstreams, children) is set aside first and is never a connection's; no listener can take another's.
Where there are fewer than that takes, nothing is served: a server without descriptors can't sweep.

Rows: G1.
"""

from __future__ import annotations

import contextlib
import resource
from dataclasses import dataclass
from typing import Final

from bailee.errors import InputError

# Above this, tables that grow with the limit cost more than a single process can use of it.
_MOST: Final = 65_536
_OWN: Final = 512
_OWN_LEAST: Final = 128  # an idle server has 41 open; sweeping, sealing and commands take more
LEAST: Final = 192
"""With fewer descriptors nothing is served."""


@dataclass(frozen=True, slots=True)
class Descriptors:
    """What there is, and for whom.

    `own` is set aside for the process itself. `gateway`, `console` and `ingest` are numbers of
    clients' connections; the gateway has for each of its own a second descriptor, for the upstream,
    and `idle_upstreams` for connections that are kept open to each of its upstreams.
    """

    limit: int
    own: int
    gateway: int
    idle_upstreams: int
    console: int
    ingest: int


def raise_limit(most: int = _MOST) -> int:
    """Raises this process's soft limit to its hard limit, and at most to `most`; never lowers it.
    Gives the number of descriptors to reckon with. One that may not be raised stays as it is.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return most
    wanted = most if hard == resource.RLIM_INFINITY else min(hard, most)
    if wanted > soft:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return min(soft, most)


def share_out(limit: int, upstreams: int = 3) -> Descriptors:
    """Shares `limit` descriptors out: a quarter (at least 128, at most 512) for the process itself,
    an eighth of the rest each to console and ingest, what is left to the gateway, with `upstreams`
    upstreams.

    Raises:
        InputError: there are fewer than `LEAST`.
    """
    if limit < LEAST:
        raise InputError(
            f"this process may have {limit} files open at once; to serve takes {LEAST}.",
            hint="allow more where it is started: `ulimit -n 1024`, LimitNOFILE=1024 in a systemd "
            "unit, --ulimit nofile=1024 for a container; nothing was changed",
        )
    own = min(_OWN, max(_OWN_LEAST, limit // 4))
    rest = limit - own
    page = max(1, rest // 8)
    for_gateway = rest - 2 * page
    idle = max(1, min(256, for_gateway // (8 * upstreams)))
    return Descriptors(
        limit=limit,
        own=own,
        gateway=max(1, (for_gateway - idle * upstreams) // 2),
        idle_upstreams=idle,
        console=page,
        ingest=page,
    )

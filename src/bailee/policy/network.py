"""What a document demands of the network of cloud sessions: the part of its format. Pure.

Rules kept here:

* A demand opens nothing: it has a level at the most, and hosts that are never reached.
* A host is a name in lower case or an IPv4 address, written in the one way. What is taken here, the
  egress proxy's own reader (`outbound/hosts.py`) takes.
* Beside the level, settings and lists can open two things (`document.OPENED`); an operator's
  document says whether they may.

Rows: P1, C3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from bailee.policy.document import Condition, NetworkDemand
from bailee.policy.reading import Table

LEVELS: Final = ("none", "trusted")
"""What a clause can demand as the most of the network, the strictest first."""
_EVERY_LEVEL: Final = (*LEVELS, "full")
_MOST_HOSTS: Final = 100
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST: Final = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_BYTE: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4: Final = re.compile(rf"{_BYTE}(?:\.{_BYTE}){{3}}", re.ASCII)
_LONGEST_HOST: Final = 253


def demanded(table: Table) -> tuple[str | None, tuple[str, ...]]:
    """The level and the hosts of a demand.

    Raises:
        Unsound: it demands nothing, or what is none.
    """
    level = table.one_of("at_most", LEVELS) if table.has("at_most") else None
    hosts = tuple(table.texts("deny")) if table.has("deny") else ()
    if level is None and not hosts:
        table.refuse(
            None,
            f"{table.text('id')[:80]} demands nothing.",
            'give at_most = "none", or deny = ["host"]',
        )
    if len(hosts) > _MOST_HOSTS:
        table.refuse("deny", f"There are more than {_MOST_HOSTS} hosts.", "*.host is all below it")
    for one in hosts:
        if not is_host(one):
            table.refuse("deny", f"{one[:80]!r} is no host.", "write host or *.host, in lower case")
    return level, hosts


def is_host(text: str) -> bool:
    """Whether a text is a host, or `*.host`, in the one way in which documents write it."""
    if _HOST.fullmatch(text) is None or len(text) > _LONGEST_HOST:
        return False
    ends_in_a_number = _NUMBER.fullmatch(text.rpartition(".")[2]) is not None
    return not ends_in_a_number or _IPV4.fullmatch(text) is not None


def conditions(level: str | None, hosts: tuple[str, ...]) -> tuple[Condition, ...]:
    """A demand as conditions of a clause."""
    said = (("at_most", (level,) if level else ()), ("deny", hosts))
    return tuple(Condition(key, values) for key, values in said if values)


def at_most(demand: NetworkDemand | None, level: str) -> str:
    """A level of the network (`none`, `trusted`, `full`), or the one that a clause has as the most,
    whichever is stricter.
    """
    if demand is None or demand.level is None or level not in _EVERY_LEVEL:
        return level
    return min(level, demand.level, key=_EVERY_LEVEL.index)


def strictest(demands: Iterable[NetworkDemand]) -> NetworkDemand | None:
    """The demand that leaves the least of the network; None: none limits it."""
    levels = [one for one in demands if one.level is not None]
    return min(levels, key=lambda one: LEVELS.index(str(one.level)), default=None)

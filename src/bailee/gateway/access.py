"""Who is calling, as the gateway needs to know it. The port; its implementation is wired in.

Rules kept here: a look-up is synchronous and in memory, about a microsecond; what is presented is
looked up and forgotten; terms come from the policy, and None means that nothing may be kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bailee.vault.exchange import Terms


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of an API key.

    `owner` is the account's id. `terms(channel)` gives the terms on which this caller's exchanges
    over `channel` are kept, or None when they are not (zero retention).
    """

    owner: str
    key_id: str
    key_name: str
    plan: str
    zero_retention: bool
    terms: Callable[[str], Terms | None]


class Access(Protocol):
    """Finds callers by the key they present."""

    def authenticate(self, presented: bytes) -> Caller | None:
        """The caller whose key this is, or None when it is unknown or revoked."""
        ...

"""Who is calling, as the gateway needs to know it. The port; its implementation is wired in.

Rules kept here: a look-up is synchronous and in memory, about a microsecond; what is presented is
looked up and forgotten; what passes, and the terms on which it is kept, come from the policy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from bailee.errors import PolicyDenied
from bailee.gateway.routes import GatewayRoute
from bailee.usage.asking import NOBODY, UsageAsker, WholeRequest
from bailee.vault.exchange import Terms


@dataclass(frozen=True, slots=True)
class NothingKept:
    """That nothing of a conversation may be kept, and the policy's clause that says so."""

    clause: str


@dataclass(frozen=True, slots=True)
class Passage:
    """Whether a request may go upstream, and the policy's clause that says so. `why`: what is said
    of a refusal, and `hint` what to do. `again`: it may pass later.
    """

    allowed: bool
    clause: str
    why: str = ""
    hint: str = ""
    again: bool = False


Look: TypeAlias = Callable[[bytes, WholeRequest], PolicyDenied | str]
"""To which upstream a request (its method, and the whole of it) goes, by name, by what it uses; or
why to none. Asked on any thread; never raises."""


@dataclass(frozen=True, slots=True)
class Road:
    """Where a request goes: to the upstream of this name, unless who looks at it says otherwise;
    `look` None: nobody need.
    """

    upstream: str
    look: Look | None = None


Reach: TypeAlias = Callable[[GatewayRoute, bool, str], Road]
"""Where a caller's request goes, on the operator's credential or, if so, the client's own, with a
client of this name (`summary.client_of`). A look into memory."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of an API key.

    `owner` is the account's id. `terms(channel)` gives the terms on which this caller's exchanges
    over `channel` are kept, or that they are not (zero retention). `passage(where, own)` says
    whether a request may go upstream, on the operator's credential or (`own`) with the client's.
    `consent`: the number of the owner's last choice, or of the document that holds (0: none, and
    the first): what comes in now, is said under it. `stored`: how many bytes of
    theirs may be on disk (0: no limit; None: as many as everybody's). `must_record`: what can't be
    recorded is refused (None: as the gateway is set). `asker`: whose limits and lists of models
    hold for them. `reach`: where their requests go; None: to the first upstream of the channel,
    whatever they use there. `stored_at_most`: how many bytes of anybody's the policy document lets
    be on disk (0: no limit).
    """

    owner: str
    key_id: str
    key_name: str
    plan: str
    zero_retention: bool
    terms: Callable[[str], Terms | NothingKept]
    passage: Callable[[GatewayRoute, bool], Passage]
    consent: int = 0
    stored: int | None = None
    must_record: bool | None = None
    asker: UsageAsker = NOBODY
    reach: Reach | None = None
    stored_at_most: int = 0


class Access(Protocol):
    """Finds callers by the key they present. The server wires it in; the gateway calls it on its
    event loop's thread, for each request, so it only looks up.
    """

    def authenticate(self, presented: bytes) -> Caller | None:
        """The caller whose key this is, or None when it is unknown or revoked.

        Raises:
            StorageError: code `outdated`, that is not known at the moment.
        """
        ...

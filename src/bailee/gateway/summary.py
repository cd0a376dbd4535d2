"""What is said about an exchange when it is over: names, numbers and terms, never content."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bailee.apis.batch_results import BatchUse
from bailee.apis.metering import Metered
from bailee.errors import BaileeError
from bailee.gateway.access import Caller
from bailee.gateway.http1 import RequestHead
from bailee.gateway.routes import AnsweredHere, BesideRoute, GatewayRoute, RefusedRoute
from bailee.items.programs import PROGRAMS
from bailee.vault.exchange import Terms


@dataclass(slots=True)
class ExchangeSummary:
    """One exchange that is over.

    `started` is in Unix seconds. `owner`, `key_name` and `plan` are empty when nobody was
    authenticated; `path` is the route's label ("/v1/messages", "/bedrock/model/*/invoke"), never
    what a client wrote. `status` is what the client got, 0 for nothing. `outcome` is one of
    `bailee.vault.exchange.Outcome`, or `refused` when nothing went upstream. `terms` are those it
    is kept on; when None, `not_kept` says why: `zero_retention`, `not_a_conversation`,
    `unrecorded_route`, `recorder_failed`, `refused`. `clause` is the policy's that decided: on what
    terms it is kept, that it passes without, or that it does not pass; empty when none did, as for
    a request that is no valid one. `error` is a code of `bailee.errors.CODES`, or empty.

    `client` is a program's name of `CLIENTS`, `other`, or empty. `own`: on the client's own
    credential. `conversation`: it was one, which is what uses tokens. `metered`: what its answer
    used, where there was one. `batch`: what the results of a batch that passed say was used.
    `upstream`: the name of the one that it went to, in the settings.
    `first_byte`: seconds until the upstream's answer began, less than 0: it never did.
    `traceparent`: the field of that name, if it is one of digits as the standard has it; it is a
    client's, and goes to the operator's collector of traces alone.
    """

    exchange_id: str
    started: float
    seconds: float
    owner: str
    key_id: str
    key_name: str
    plan: str
    channel: str
    method: str
    path: str
    status: int
    outcome: str
    bytes_in: int
    bytes_out: int
    terms: Terms | None
    not_kept: str
    error: str
    clause: str = ""
    client: str = ""
    own: bool = False
    conversation: bool = False
    metered: Metered | None = None
    upstream: str = ""
    first_byte: float = -1.0
    traceparent: str = ""
    batch: BatchUse | None = None


_METHODS: Final = {
    name.encode("ascii"): name
    for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
}
METHODS: Final = frozenset(_METHODS.values())
"""Those that are said by their names; another could be anything that a client wrote."""


_CLIENT: Final = re.compile(rb"ser-[Aa]gent:[ \t]*([A-Za-z_.-]{1,30})")
_LONGEST_CLIENT: Final = 48
_SEEN: Final[dict[bytes, str]] = {}  # what such a field's beginning means; the gateway's loop's
_MOST_SEEN: Final = 1000
CLIENTS: Final = {begins.encode("ascii"): name for begins, name in PROGRAMS.items()}
"""Programs by what their User-Agent begins with. Another could say anything: it is `OTHER`."""
OTHER: Final = "other"


def client_of(head: RequestHead | None) -> str:
    """The program that sends a request, by its own word; empty when it gives none."""
    if head is None:
        return ""
    fields = head.kept
    at = fields.find(b"ser-Agent:")
    if at < 0:
        at = fields.find(b"ser-agent:")
        if at < 0:
            return ""
    shown = fields[at : at + _LONGEST_CLIENT]
    known = _SEEN.get(shown)
    if known is None:
        found = _CLIENT.match(shown)
        known = "" if found is None else CLIENTS.get(found[1].lower(), OTHER)
        if len(_SEEN) < _MOST_SEEN:
            _SEEN[shown] = known
    return known


_TRACE: Final = re.compile(
    rb"(?:^|\n)[Tt]raceparent:[ \t]*([0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})[ \t]*\r"
)


def traceparent_of(head: RequestHead | None) -> str:
    """The trace that a request belongs to, by its client's word (W3C Trace Context)."""
    if head is None or b"raceparent:" not in head.kept:
        return ""
    found = _TRACE.findall(head.kept)
    return found[0].decode() if len(found) == 1 else ""


def method_label(head: RequestHead | None) -> str:
    """The method when it is a known one; another could be anything that a client wrote."""
    return _METHODS.get(head.method, "other") if head is not None else "other"


def refused(
    request_id: str,
    head: RequestHead | None,
    error: BaileeError,
    started: float,
    *,
    where: GatewayRoute | AnsweredHere | BesideRoute | RefusedRoute | None,
    caller: Caller | None,
    clause: str,
) -> ExchangeSummary:
    """Of a request of which nothing went upstream."""
    return ExchangeSummary(
        exchange_id=request_id,
        started=started,
        seconds=0.0,
        owner=caller.owner if caller is not None else "",
        key_id=caller.key_id if caller is not None else "",
        key_name=caller.key_name if caller is not None else "",
        plan=caller.plan if caller is not None else "",
        channel=where.channel if isinstance(where, GatewayRoute) else "",
        method=method_label(head),
        path=where.label if where is not None else "*",
        status=error.http_status,
        outcome="refused",
        bytes_in=0,
        bytes_out=0,
        terms=None,
        not_kept="refused",
        error=error.code,
        clause=clause,
        client=client_of(head),
        conversation=isinstance(where, GatewayRoute) and where.recorded,
        traceparent=traceparent_of(head),
    )

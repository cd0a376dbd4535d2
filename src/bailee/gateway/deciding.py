"""What is decided of a request before any of it goes on: who calls, whether it may, whether it is
kept. Pure.

Rules kept here: a request has one caller; what the policy does not let pass goes nowhere; a bailee
key is no credential for an upstream.

Rows: G2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bailee.errors import InputError, PolicyDenied
from bailee.gateway.access import Caller, NothingKept, Passage
from bailee.gateway.http1 import RequestHead
from bailee.gateway.recording import Keeping, NotKept
from bailee.gateway.routes import GatewayRoute


def caller_of(
    head: RequestHead, authenticate: Callable[[bytes], Caller | None]
) -> tuple[Caller | None, bool]:
    """Who calls, and whether their other credentials are for the upstream.

    Raises:
        InputError: the request has keys of two callers.
    """
    credentials = head.credentials
    if (presented := credentials.get(b"x-bailee-key")) is not None:
        return authenticate(presented), True
    found = None
    for name in _KEYS:
        presented = credentials.get(name)
        if presented is None:
            continue
        if name == b"authorization":
            if presented[:7].lower() != b"bearer ":
                continue
            presented = presented[7:].strip(b" ")
        caller = authenticate(presented)
        if found is not None and caller is not None and caller.key_id != found.key_id:
            raise InputError(
                "This request holds two different keys of this gateway.", hint="send one of them"
            )
        found = found or caller
    return found, False


_KEYS: Final = (b"x-api-key", b"authorization", b"x-goog-api-key", b"api-key")
"""The fields in which clients of the four APIs send a key."""


def kept(caller: Caller, where: GatewayRoute, passage: Passage) -> Keeping | NotKept:
    """Whether an exchange is kept, and on what terms."""
    if not where.recorded and not caller.zero_retention:
        other = where.kind == "other"
        why = "unrecorded_route" if other else "not_a_conversation"
        return NotKept(why, passage.clause)
    terms = caller.terms(where.channel)
    if isinstance(terms, NothingKept):
        return NotKept("zero_retention", terms.clause)
    return NotKept("zero_retention") if caller.zero_retention else Keeping(terms)


def not_passed(passage: Passage) -> PolicyDenied:
    """A request that the policy does not let go upstream, in the words of the clause."""
    code = "unconfirmed" if passage.again else None
    return PolicyDenied(
        f"{passage.why} (clause {passage.clause})", code=code, hint=passage.hint or None
    )


def nowhere(where: GatewayRoute) -> InputError:
    """A request of a channel that has no upstream."""
    table = "upstream" if where.channel == "api" else where.channel
    return InputError(
        f"No {where.channel} upstream is configured.",
        code="not_found",
        hint=f"the operator names one in bailee.toml ({table}.url)",
    )


def no_websocket() -> InputError:
    """Why who asks for a WebSocket gets none. Clients go on over HTTP at this, and at nothing else
    as quickly.
    """
    return InputError(
        "What passes here is recorded over HTTP; there is no WebSocket.",
        code="upgrade_required",
        hint="send the same request by POST, streamed by server-sent events",
    )


def no_credential(head: RequestHead) -> InputError | None:
    """Why a request with x-bailee-key has no credential of its own for the upstream; None: it has.
    A bailee key is none, and no upstream's business.
    """
    own = [value for name, value in head.credentials.items() if name != b"x-bailee-key"]
    if own and not any(value.rpartition(b" ")[2].startswith(b"bl_") for value in own):
        return None
    there = "it is a bailee key" if own else "there is none"
    return InputError(
        "x-bailee-key says that this request has a credential of its own for the upstream, and "
        f"{there}.",
        code="authentication",
        hint="send your own as its provider takes it (Authorization, x-api-key, x-goog-api-key, "
        "api-key); or, to go on the operator's, send the "
        "bailee key there and no x-bailee-key",
    )

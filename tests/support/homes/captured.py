"""Exchanges as the gateway hands them over, and the handing over, without a gateway."""

from __future__ import annotations

import asyncio
from datetime import datetime
from hashlib import sha256

import orjson

from bailee.errors import StorageError
from bailee.node.node import Node
from bailee.vault.exchange import CapturedExchange, Outcome, Terms


def captured(
    session: str,
    request: bytes,
    at: datetime,
    *,
    owner: str,
    terms: Terms,
    exchange_id: str,
    key: str = "k",
    plan: str = "pro",
    channel: str = "api",
    consent: int = 0,
) -> CapturedExchange:
    """A complete exchange of one moment; `session` is the client's id of it."""
    now = at.timestamp()
    return CapturedExchange(
        exchange_id=exchange_id,
        owner=owner,
        key_id=key,
        plan=plan,
        channel=channel,
        terms=terms,
        started_at=now,
        ended_at=now,
        outcome=Outcome.COMPLETE,
        method="POST",
        target="/v1/messages",
        status=200,
        request_headers=(("x-claude-code-session-id", session),),
        answer_headers=(),
        request=request,
        answer=b"{}",
        consent=consent,
    )


def begun(
    node: Node, owner: str, session: str, text: str, *, channel: str = "api", key: str = "k"
) -> CapturedExchange:
    """A request of an account that begins now, on the terms that hold now, as the gateway does it;
    it may end later.
    """
    account = node.accounts.get(owner)
    facts = account.facts(zero_retention=False, channel=channel)
    held = node.holding.of(account.organisation_id)
    terms = held.policy.terms("transcript", facts)
    assert terms is not None
    at = node.clock()
    return captured(
        session,
        orjson.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}),
        at,
        owner=account.account_id,
        terms=terms,
        exchange_id=f"{sha256(text.encode()).hexdigest()[:16]} {at.timestamp()}",
        key=key,
        plan=account.plan,
        channel=channel,
        consent=max(account.consent, held.since),
    )


def end(node: Node, exchange: CapturedExchange) -> None:
    """Its answer ends now; return when it is durable, and so acknowledged."""
    exchange = exchange._replace(ended_at=node.clock().timestamp())

    async def run() -> None:
        loop = asyncio.get_running_loop()
        node.vault.spool._loop = loop  # a test's loop lives for one call
        future: asyncio.Future[StorageError | None] = loop.create_future()
        node.vault.spool.submit(exchange, future.set_result)
        assert await asyncio.wait_for(future, 30) is None

    asyncio.run(run())

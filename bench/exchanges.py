"""Exchanges as the gateway hands them to the spool, for what measures the vault without it."""

from __future__ import annotations

from bailee.vault.exchange import CapturedExchange, Outcome, Terms


def captured(  # noqa: PLR0917 (of one exchange all)
    name: str,
    owner: str,
    terms: Terms,
    at: float,
    session: str,
    request: bytes,
    answer: bytes,
) -> CapturedExchange:
    """A conversation's exchange, complete, at a moment in Unix seconds, of the session of that
    name.
    """
    return CapturedExchange(
        exchange_id=name,
        owner=owner,
        key_id="key",
        plan="pro",
        channel="api",
        terms=terms,
        started_at=at,
        ended_at=at,
        outcome=Outcome.COMPLETE,
        method="POST",
        target="/v1/messages",
        status=200,
        request_headers=(("x-claude-code-session-id", session),),
        answer_headers=(("content-type", "application/json"),),
        request=request,
        answer=answer,
    )

"""Taking the body of a request from the session, piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import h11

from bailee.cloud.git.bodies import BadBody, Inflater
from bailee.cloud.git.records import GitLimits, GitOutcome
from bailee.cloud.git.upstream import Refusal
from bailee.outbound.http1 import Http1Connection, values


async def received(
    client: Http1Connection, request: h11.Request, most: int, idle: float
) -> AsyncIterator[bytes]:
    """The body of a request, inflated; `most` bytes of it, and never `idle` seconds without one.

    Raises:
        Refusal: it is damaged or over the limit.
        OSError: the client went away.
        TimeoutError: nothing came.
    """
    encodings = values(request.headers, b"content-encoding")
    try:
        inflater = Inflater(b", ".join(encodings), most)
        while True:
            async with asyncio.timeout(idle):
                event = await client.next()
            if isinstance(event, h11.EndOfMessage):
                inflater.end()
                return
            if not isinstance(event, h11.Data):
                raise OSError("the client went away")
            for piece in inflater.feed(bytes(event.data)):
                yield piece
    except BadBody as bad:
        raise Refusal(GitOutcome.REFUSED, "request.malformed", str(bad)) from None


async def after(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """`first`, if it is not empty, and then the rest."""
    if first:
        yield first
    async for piece in rest:
        yield piece


async def drain(client: Http1Connection, limits: GitLimits) -> None:
    """Take what is left of a request: git reads an answer only after it has sent all."""
    taken = 0
    while client.http.their_state is h11.SEND_BODY and taken <= limits.push:
        async with asyncio.timeout(limits.idle):
            event = await client.next()
        if isinstance(event, h11.Data):
            taken += len(event.data)
        elif not isinstance(event, h11.EndOfMessage):
            raise OSError("the client went away")

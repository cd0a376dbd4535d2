"""What the gateway's benchmarks ask: kinds of requests, and how many at once."""

from __future__ import annotations

import json
from dataclasses import dataclass

from bench.streams import ASKED


@dataclass(frozen=True)
class Load:
    """One kind of load."""

    name: str
    connections: int
    body: str
    stream: bool
    first_byte: bool = False
    path: str = "/v1/messages?beta=true"


def _request(stream: bool, padding: int = 0) -> str:
    message = {"role": "user", "content": "Say hello." + "x" * padding}
    body = {"model": "claude-bench", "max_tokens": 64, "messages": [message]}
    return json.dumps({**body, "stream": True} if stream else body)


LOADS = (
    Load("small, 64 connections", 64, _request(False), False),
    Load("small, 1 connection", 1, _request(False), False),
    Load("50 deltas in a burst, 16 connections", 16, _request(True), True),
    Load("50 deltas in a burst, 1 connection", 1, _request(True), True),
    Load("120 KB request, 1 connection", 1, _request(False, 120_000), False),
    Load("120 KB request, 16 connections", 16, _request(False, 120_000), False),
    Load("first byte of a stream, 1 connection", 1, _request(True, 2000), True, first_byte=True),
    *(
        Load(f"50 deltas in a burst, 16 connections, {api}", 16, asked.body, True, path=asked.path)
        for api, asked in ASKED.items()
    ),
)

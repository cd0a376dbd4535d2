"""Requests and answers of the other APIs, as real clients sent them and as the reference has them.

`tests/unit/apis/vectors` holds them: observed with Codex CLI 0.171.0, Gemini CLI 0.61.0, opencode
1.18.33 and aider 0.86.2 against a scripted upstream, their vendors' texts cut; `synthetic-*` are
made after the API's reference. In each file `note` and `cut` say what it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bailee.api import Api
from bailee.gateway.http1.heads import parse_request_head
from bailee.vault.exchange import CapturedExchange, Outcome, Terms

FOLDER = Path(__file__).parents[1] / "unit" / "apis" / "vectors"


@dataclass(frozen=True)
class Vector:
    """One request and its answer. `body`: the request's JSON, None when it has none."""

    file: str
    number: int
    api: Api
    method: str
    target: str
    headers: list[list[str]]
    body: Any
    status: int
    answer_headers: list[list[str]]
    answer: str

    @property
    def streamed(self) -> bool:
        """Whether it was answered by a stream."""
        return any("event-stream" in value for _, value in self.answer_headers)


def names() -> list[str]:
    """The files."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def vectors(name: str) -> list[Vector]:
    """The exchanges of one file, in order."""
    told = json.loads((FOLDER / f"{name}.json").read_text())
    found = []
    for number, one in enumerate(told["exchanges"]):
        asked, answered = one["request"], one["response"] or {}
        found.append(
            Vector(
                name,
                number,
                Api(told["api"]),
                asked["method"],
                asked["target"],
                _pairs(asked["headers"]),
                asked.get("body"),
                answered.get("status", 0),
                _pairs(answered.get("headers", [])),
                answered.get("body", ""),
            )
        )
    return found


def conversations(name: str) -> list[Vector]:
    """Those that are conversations: not what clients ask besides."""
    return [
        one
        for one in vectors(name)
        if not any(part in one.target for part in ("/models?", "countTokens", "/ps/", "/wham/"))
    ]


def captured(one: Vector, *, owner: str = "o", at: float = 0.0) -> CapturedExchange:
    """The exchange as the gateway captures it. What was compressed is decoded in the file."""
    return exchange(
        one.api,
        b"" if one.body is None else json.dumps(one.body).encode(),
        one.answer.encode(),
        request_headers=_noted(one.headers),
        answer_headers=[(n.lower(), v) for n, v in one.answer_headers if n.lower() in _ANSWER],
        method=one.method,
        target=one.target,
        status=one.status,
        name=f"{one.file} {one.number}",
        owner=owner,
        at=at,
    )


def exchange(
    api: Api,
    request: bytes,
    answer: bytes,
    *,
    request_headers: list[tuple[str, str]] | None = None,
    answer_headers: list[tuple[str, str]] | None = None,
    method: str = "POST",
    target: str = "/",
    status: int = 200,
    name: str = "x",
    owner: str = "o",
    at: float = 0.0,
) -> CapturedExchange:
    """A captured exchange; by default an answer that is a stream."""
    if answer_headers is None:
        answer_headers = [("content-type", "text/event-stream")]
    return CapturedExchange(
        exchange_id=name,
        owner=owner,
        key_id="k",
        plan="pro",
        channel="api",
        terms=Terms("P30D", "c", "d" * 64),
        started_at=at,
        ended_at=at + 1,
        outcome=Outcome.COMPLETE,
        method=method,
        target=target,
        status=status,
        request_headers=tuple(request_headers or ()),
        answer_headers=tuple(answer_headers),
        request=request,
        answer=answer,
        api=api,
    )


_ANSWER = ("content-type", "content-encoding")


def _pairs(told: Any) -> list[list[str]]:
    return [list(pair) for pair in (told.items() if isinstance(told, dict) else told)]


def _noted(headers: list[list[str]]) -> list[tuple[str, str]]:
    """The fields that the gateway notes of such a head."""
    skipped = ("content-encoding", "content-length", "host", "transfer-encoding")
    lines = [f"{n}: {v}\r\n" for n, v in headers if n.lower() not in skipped]
    head = "POST / HTTP/1.1\r\nhost: x\r\n" + "".join(lines) + "\r\n"
    noted = parse_request_head(head.encode()).noted
    return [(name.decode(), value.decode()) for name, value in noted]


def sse(*chunks: Any, done: bool = False) -> bytes:
    """Chunks as server-sent events without names."""
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([*lines, *(["data: [DONE]\n\n"] if done else [])]).encode()

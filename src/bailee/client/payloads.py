"""What the client sends, as exact bytes. Pure.

A report is what redirected clients send, a rating is one field. Metrics and errors are made by
their protocols' SDKs: see `sdk_metrics` and `sdk_errors`.

Rules kept here:

* A rating holds the rating. No time, no session, no version, no order of keys to tell apart.

Rows: F1, F3.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import field

from bailee.errors import InputError
from bailee.records import dataclass


@dataclass(frozen=True, slots=True)
class Payload:
    """One request's body. `flow` is the policy's name of the flow it belongs to."""

    flow: str
    path: str
    content_type: str
    body: bytes = field(repr=False)


def rating(answer: str, answers: Sequence[str]) -> Payload:
    """A survey answer and nothing else.

    Raises:
        InputError: not one of the policy's answers.
    """
    if answer not in answers:
        raise InputError("This is not an answer of the survey.", hint=", ".join(answers))
    return Payload("survey", "/api/v1/survey", "application/json", _json({"rating": answer}))


def report(content: dict[str, object]) -> Payload:
    """A bug report, in the shape that coding agents use: a JSON text within JSON."""
    inner = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    body = _json({"content": inner})
    return Payload("bug_report", "/api/claude_cli_feedback", "application/json", body)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

"""Decisions asked for in JSON: one object with `action` and its facts, one object in answer.

Rules kept here:

* JSON is read strictly: a name that stands twice, NaN, or bytes that are not UTF-8 are errors.
  Lenient readers disagree about them, and a policy must not depend on the reader.
* Errors name places and facts, never the values of variables.

Standard: RFC 8259, with the restrictions of RFC 7493 (I-JSON).
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from bailee.errors import BaileeError, InputError
from bailee.policy.policy import Decision, Policy

LONGEST_LINE: Final = 64 * 1024
_EXAMPLE: Final = 'like {"action": "send", "flow": "metrics", "provider": "api", "env": {}}'


def question(text: bytes | str) -> tuple[str, dict[str, object]]:
    """The action and the facts of one JSON object.

    Raises:
        InputError: not such an object.
    """
    if len(text) > LONGEST_LINE:
        raise InputError("This is too long to be a question.", code="request_too_large")
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        value = json.loads(decoded, object_pairs_hook=_object, parse_constant=_constant)
    except UnicodeDecodeError:
        raise InputError("This is not UTF-8.", hint=_EXAMPLE) from None
    except (ValueError, RecursionError) as error:
        place = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"This is not JSON{place}.", hint=_EXAMPLE) from None
    if not isinstance(value, dict):
        raise InputError("This is not a JSON object.", hint=_EXAMPLE)
    action = value.pop("action", None)
    if not isinstance(action, str):
        raise InputError("action is missing or not a string.", hint=_EXAMPLE)
    return action, value


def decision_as_json(decision: Decision) -> dict[str, object]:
    """A decision as JSON values; `retention` is there only for what is kept."""
    answer: dict[str, object] = {"effect": decision.effect}
    if decision.retention is not None:
        answer["retention"] = decision.retention
    return {**answer, "clause": decision.clause, "document": decision.document}


def error_as_json(error: BaileeError, line: int) -> dict[str, object]:
    """An error as JSON values, with the line (from 1) it is about."""
    told = {"code": error.code, "message": error.message, "hint": error.hint}
    return {"error": told, "line": line}


def answer(policy: Policy, text: bytes, line: int) -> tuple[dict[str, object], bool]:
    """The answer to one line of a batch, and whether it could be decided."""
    try:
        return decision_as_json(policy.decide(*question(text))), True
    except InputError as error:
        return error_as_json(error, line), False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise InputError("A name stands twice in one object.", hint="give each fact once")
    return value


def _constant(_name: str) -> NoReturn:
    raise ValueError

"""Questions as they are asked: a JSON object with `action` and its facts, or words that were typed.

Rules kept here:

* JSON is read strictly: a name that stands twice, NaN, or bytes that are not UTF-8 are errors.
  Lenient readers disagree about them, and a policy must not depend on the reader.
* Errors name places and facts, never the values of variables.

Standard: RFC 8259, with the restrictions of RFC 7493 (I-JSON).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, NoReturn

from bailee.errors import InputError
from bailee.policy.policy import Policy

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


def typed(policy: Policy, words: Sequence[str]) -> tuple[str, dict[str, object]]:
    """The action and facts that a person typed: one JSON object, or ACTION NAME=VALUE...

    Raises:
        InputError: neither of them.
    """
    if not words:
        raise InputError(
            "Nothing was asked.",
            hint="try: bailee policy explain send flow=metrics provider=api DISABLE_TELEMETRY=1",
        )
    if words[0].lstrip().startswith("{"):
        if len(words) > 1:
            raise InputError("Give one JSON object, or an action and its facts.")
        return question(words[0])
    action = words[0]
    facts: dict[str, object] = {}
    env: dict[str, object] = {}
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if not equals:
            raise InputError("A fact has the form NAME=VALUE.", hint="as in plan=free")
        if name in facts or name in env:
            raise InputError("A fact is given twice.", hint="give each fact once")
        if name in policy.document.switches:
            env[name] = value
        else:
            facts[name] = {"true": True, "false": False}.get(value, value)
    if action == "send":
        facts["env"] = env
    else:
        facts.update(env)  # which refuses them: only `send` has switches
    return action, facts


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise InputError("A name stands twice in one object.", hint="give each fact once")
    return value


def _constant(_name: str) -> NoReturn:
    raise ValueError

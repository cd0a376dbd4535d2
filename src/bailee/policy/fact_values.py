"""One value of a fact, checked against the values that it can have. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bailee.errors import InputError
from bailee.policy.reading import one_of
from bailee.policy.space import Value


def checked(name: str, value: object, domain: Sequence[Value]) -> Value:
    """The value, if it is one of the domain's and of its type. Raises `InputError`."""
    if isinstance(domain[0], bool):
        if value is True or value is False:
            return value
        raise InputError(f"{name} must be true or false.", hint="without quotes, not a number")
    if not isinstance(value, str):
        raise InputError(f"{name} must be a string.", hint=f"one of: {', '.join(map(str, domain))}")
    if value not in domain:
        raise InputError(
            f"{name} can't be {quoted(value)}.", hint=one_of(value[:80], map(str, domain))
        )
    return str(value)


def quoted(name: object) -> str:
    """A name for a message: one line, no longer than a name is."""
    text = ascii(name) if isinstance(name, str) else f"({type(name).__name__})"
    return text if len(text) <= 42 else f"{text[:40]}…"

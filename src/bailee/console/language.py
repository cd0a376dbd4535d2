"""Which language a visitor reads: the one asked for in the address, else the person's setting, else
the browser's cookie, else the first that the browser accepts and we have, else English. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bailee.policy.document import Language
from bailee.words import known

HTML_LANGUAGE: Final[Mapping[Language, str]] = {"en": "en", "zh": "zh-Hans"}
OWN_NAME: Final[Mapping[Language, str]] = {"en": "English", "zh": "中文"}


def accepted(header: str) -> Language | None:
    """The first of our languages by an `Accept-Language` header's weights (RFC 9110, 12.5.4)."""
    ranked: list[tuple[float, int, Language]] = []
    for place, part in enumerate(header[:500].split(",")):
        name, _, parameters = part.strip().partition(";")
        language = known(name.strip().lower().split("-")[0])
        weight = _weight(parameters)
        if language is not None and weight > 0:
            ranked.append((-weight, place, language))
    return min(ranked)[2] if ranked else None


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0

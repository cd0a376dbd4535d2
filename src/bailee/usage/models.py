"""Which model an id means, whatever its date, region or version. Pure.

A provider gives one model several ids: `claude-haiku-4-5`, `claude-haiku-4-5-20251001`,
`us.anthropic.claude-haiku-4-5-20251001-v1:0`, `claude-haiku-4-5@20251001`. Clients send dated ids
for work in the background although their list of models has the others, so what is allowed and what
it costs go by the model, not by the string. Nothing here changes a request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_LONGEST: Final = 200
_BEFORE: Final = re.compile(
    r"^(?:(?:us|eu|apac|jp|au|ca|global|us-gov)\.)?(?:anthropic|openai|google|amazon|meta|mistral)[./]"
)
_PATHS: Final = re.compile(r"^(?:models|publishers/[a-z]+/models)/")
_AFTER: Final = re.compile(
    r"(?:-v\d+(?::\d+)?|[-@](?:20\d{6}|20\d{2}-\d{2}-\d{2}|latest|default)|\[1m\])$"
)


def model_of(model_id: str) -> str:
    """The model that an id means; of an id that is not known, the id without its date."""
    name = model_id.strip().lower()[:_LONGEST]
    name = _PATHS.sub("", name)
    name = _BEFORE.sub("", name)
    for _ in range(3):  # a version behind a date behind a mark
        shorter = _AFTER.sub("", name)
        if shorter in (name, ""):
            break
        name = shorter
    return name


def is_listed(model_id: str, models: Iterable[str]) -> bool:
    """Whether an id is of one of these models. `*` at the end of one stands for any end."""
    asked = model_of(model_id)
    for one in models:
        if one.endswith("*"):
            if asked.startswith(model_of(one[:-1])):
                return True
        elif asked == model_of(one):
            return True
    return False

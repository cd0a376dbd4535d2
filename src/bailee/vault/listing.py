"""Where in a request its list of items stood, and the request put together again. Pure.

Rule kept here: these forms are stored. What was taken apart by one of them is put together by it.
"""

from __future__ import annotations

from typing import Final

from bailee.vault.packing import JSON

MESSAGES: Final = "messages"
"""Where it stands in records that don't say it."""
TEXT: Final = ":text"
"""After the member's name: it was a text and no list."""
WRAPPER: Final = "request"
IN_REQUEST: Final = WRAPPER + "."
"""Before the member's name: it is a member of the request's member `request`."""


def as_item(text: str) -> JSON:
    """A text in place of a list, as the one item that it stands for."""
    return {"role": "user", "content": text}


def together(fields: dict[str, JSON], items: list[JSON], at: str) -> dict[str, JSON]:
    """The request whose list stood `at` there. `fields` is left as it is.

    Raises:
        KeyError, TypeError, IndexError: the parts are not those of such a request.
    """
    if at.startswith(IN_REQUEST):
        inner = fields[WRAPPER]
        if not isinstance(inner, dict):
            raise TypeError(at)
        return {**fields, WRAPPER: {**inner, at.removeprefix(IN_REQUEST): items}}
    if at.endswith(TEXT):
        (item,) = items[:1] or [None]
        if not isinstance(item, dict):
            raise TypeError(at)
        return {**fields, at.removesuffix(TEXT): item["content"]}
    return {**fields, at: items}

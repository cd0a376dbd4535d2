"""What a session is told by in a list: its first words, the program, the folder's name. Pure.

Clients say these in their own ways, and change them: what is read here are the forms that Claude
Code, Codex, Gemini CLI, opencode and bailee's own agent have. What is in none of them is not told,
and nothing else depends on it.

Rules kept here:

* Of a folder only its last component is told. Of words at most 120 characters, in one line.
* What a client puts before a person's words (reminders, its surroundings) is no title.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from bailee.items.blocks import parsed
from bailee.json_values import Json, elements, members

LONGEST_TITLE: Final = 120
LONGEST_FOLDER: Final = 80
_REMINDER: Final = ("<system-reminder>", "</system-reminder>")
_TAG: Final = re.compile(r"<([A-Za-z_][A-Za-z0-9_-]{0,40})(?:\s[^<>]{0,200})?>")
_TAGS: Final = 20  # before a person's words
_BEGINS_BESIDE: Final = (
    "# AGENTS.md instructions",
    "This is the Gemini CLI.",
    "Caveat: The messages below",
    "[Request interrupted",
)
_FOLDER: Final = re.compile(
    r"(?:[Ww]orking directory(?: is)?|in the directory|<cwd>|<root>)"
    r"[ \t]{0,4}:?[ \t]{0,4}[`'\"]?([^\n\r`'\"<]{1,400})"
)
_LOOKED_INTO: Final = 256 << 10  # characters in which a folder is looked for
_DEEPEST: Final = 6
_MOST_TEXTS: Final = 2_000


def title_of(messages: Sequence[Json]) -> str:
    """The first words of a person's in messages as they are read (`items.view`); "": none."""
    for one in messages[:_MOST_TEXTS]:
        if members(one).get("role") != "user":
            continue
        for text in texts(members(one).get("content")):
            if said := _words(text):
                return said
    return ""


def given_title(messages: Sequence[Json]) -> str:
    """The title that an answer gives that was asked for one; "": none."""
    for one in messages[:_MOST_TEXTS]:
        for text in texts(members(one).get("content")):
            said = parsed(text.strip())
            named = members(said).get("title") if isinstance(said, dict) else text
            if isinstance(named, str) and (short := shortened(named.strip(" \n\"'#*"))):
                return short
    return ""


def folder_of(texts_: Sequence[str]) -> str:
    """The last component of the folder that instructions name; "": they name none."""
    left = _LOOKED_INTO
    for text in texts_:
        found = _FOLDER.search(text[:left])
        if found is not None:
            path = found[1].strip().rstrip("/\\.,;)").replace("\\", "/")
            return shortened(path.rsplit("/", 1)[-1], LONGEST_FOLDER)
        left -= len(text)
        if left <= 0:
            break
    return ""


def texts(content: Json) -> Iterator[str]:
    """The texts of a message's content: itself, or those of its blocks that are text."""
    if isinstance(content, str):
        yield content
        return
    for block in elements(content)[:_MOST_TEXTS]:
        one = members(block)
        if one.get("type") in ("text", "input_text", "output_text"):
            text = one.get("text")
            if isinstance(text, str):
                yield text


def strings(value: Json, deepest: int = _DEEPEST) -> Iterator[str]:
    """The texts in a value, in order, as deep as that."""
    if isinstance(value, str):
        yield value
    elif deepest > 0 and isinstance(value, list | dict):
        inner = value if isinstance(value, list) else [*value.values()]
        for one in inner[:_MOST_TEXTS]:
            yield from strings(one, deepest - 1)


def without_reminders(text: str) -> str:
    """A text without what the client itself put into it. In one pass."""
    begin, end = _REMINDER
    at = text.find(begin)
    if at < 0:
        return text
    kept = []
    after = 0
    while at >= 0:
        kept.append(text[after:at])
        close = text.find(end, at)
        if close < 0:
            return " ".join(kept)
        after = close + len(end)
        at = text.find(begin, after)
    return " ".join([*kept, text[after:]])


def shortened(text: str, most: int = LONGEST_TITLE) -> str:
    """A text in one line, cut where it is long. Whoever shows it makes it safe to be shown."""
    plain = " ".join(text[: most * 8].encode("utf-8", "ignore").decode().split())
    return plain if len(plain) <= most else plain[: most - 1].rstrip() + "…"


def _words(text: str) -> str:
    """What of a text a person said, in a line."""
    said = without_reminders(text).lstrip()
    for _ in range(_TAGS):
        tag = _TAG.match(said)
        if tag is None:
            break
        close = said.find(f"</{tag[1]}>", tag.end())
        if close < 0:
            break
        said = said[close + len(tag[1]) + 3 :].lstrip()
    if said.startswith(_BEGINS_BESIDE) or not any(one.isalnum() for one in said[:LONGEST_TITLE]):
        return ""
    return shortened(said)

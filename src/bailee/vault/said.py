"""What one record says anew: its texts in the order of their weight, and what tells its session.
Pure.

A record has what is new of its exchange alone (`delta`), so each text of a session is read once.

Rule kept here: total. A record of a form that is not understood says nothing; bytes that were kept
as they came are read as the text that they are, if they are one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bailee.api import Api
from bailee.items.programs import program
from bailee.items.telling import (
    folder_of,
    given_title,
    strings,
    texts,
    title_of,
    without_reminders,
)
from bailee.items.view import view, view_answer
from bailee.json_values import elements, members
from bailee.vault.branch_kinds import asks_for_a_title
from bailee.vault.compressing import ExchangeRecord
from bailee.vault.delta import replies
from bailee.vault.packing import JSON

_INSTRUCTIONS: Final = ("system", "instructions", "systemInstruction")
_WRITTEN_TOGETHER: Final = ("\\n", "\\r", "\\t")
"""Ends of lines as JSON writes them, which stand at a word without a space."""
_RAW: Final = 1 << 20  # bytes of what is kept as it came that are read
_DEFECTS: Final = (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError)


@dataclass(frozen=True, slots=True)
class SaidAnew:
    """What a record says anew. `people`: what the client's side and the model said in words;
    `tools`: what was asked of tools, and what they gave. `title` was given by the client's own
    request for one, `first` are a person's first words here; "" each where there is none.
    """

    people: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    title: str = ""
    first: str = ""
    client: str = ""
    folder: str = ""

    def texts(self) -> Iterator[str]:
        """All, what people said first."""
        yield from self.people
        yield from self.tools


def said(record: ExchangeRecord) -> SaidAnew:
    """What a record says anew."""
    try:
        return _said(record)
    except _DEFECTS:
        return SaidAnew(people=tuple(_raw(record)))


def _said(record: ExchangeRecord) -> SaidAnew:
    body = record.body
    api = Api(body.get("api", Api.MESSAGES))
    own = [members(one)["m"] for one in elements(body.get("items")) if "m" in members(one)]
    asked = view(api, own)
    answer = body.get("answer")
    told = replies(api, answer) if api is Api.MESSAGES else view_answer(api, answer)
    fields = dict(_fields(body))
    instructions = [one for name in _INSTRUCTIONS for one in strings(fields.get(name))]
    instructions += [
        text
        for one in asked
        if members(one).get("role") == "system"
        for text in texts(members(one).get("content"))
    ]
    for_title = bool(body.get("title")) or (
        not fields.get("tools") and asks_for_a_title(fields, own[:1])
    )
    begun = [
        text
        for one in asked[:3]
        if members(one).get("role") == "user"
        for text in texts(members(one).get("content"))
    ]
    people, tools = _told([*asked, *told])
    return SaidAnew(
        people=(*people, *_raw(record)),
        tools=tuple(tools),
        title=given_title(told) if for_title else "",
        first="" if body.get("agent") is not None else title_of(asked),
        client=program(body.get("request_headers", []), " ".join(instructions[:3])),
        folder=folder_of([*instructions, *begun]),
    )


def _fields(body: dict[str, JSON]) -> Iterator[tuple[str, JSON]]:
    """The request's members, as far as they stand in this record itself."""
    for entry in elements(body.get("fields")):
        name, kind, value = elements(entry)
        if kind == "v":
            yield str(name), value
        elif kind != "s":
            yield str(name), [members(one)["v"] for one in elements(value) if "v" in members(one)]
        else:
            yield str(name), True if name == "tools" else None


def _told(messages: list[JSON]) -> tuple[list[str], list[str]]:
    """What messages say in words, and what of tools."""
    people: list[str] = []
    tools: list[str] = []
    for one in messages:
        if members(one).get("role") == "system":
            continue
        content = members(one).get("content")
        people += [without_reminders(text) for text in texts(content)]
        for block in elements(content):
            match members(block).get("type"):
                case "tool_use":
                    tools += strings(members(block).get("input"))
                case "tool_result":
                    tools += map(without_reminders, strings(members(block).get("content")))
    return people, tools


def _raw(record: ExchangeRecord) -> Iterator[str]:
    """What was kept as the bytes that came, if it is text."""
    for raw in (record.raw_request, record.raw_answer):
        if raw:
            text = raw[:_RAW].decode("utf-8", "ignore")
            if "\x00" not in text and len(text) * 2 > min(len(raw), _RAW):
                for written in _WRITTEN_TOGETHER:
                    text = text.replace(written, " ")
                yield text

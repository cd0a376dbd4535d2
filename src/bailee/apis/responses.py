"""A stream of the Responses API put together into the response that a document would have been.
Pure.

    response.created, .in_progress, per item (output_item.added, its parts' deltas,
    output_item.done), then one of response.completed, .incomplete, .failed, .cancelled

The response is the one that the last event holds, as the vendor's SDK has it. Its items stand in
`output_item.done` too, and their texts in the deltas before: where the last event has no items,
they are those; where they differ, the bytes are kept beside. A stream that broke off gives the
response as far as it came.

Rules kept here are those of `assembling`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from bailee.apis.assembling import NEW_TEXT, OVERHEAD, Assembly
from bailee.apis.events import values_in
from bailee.json_values import members
from bailee.vault.packing import JSON

_BEGINS: Final = ("response.queued", "response.created", "response.in_progress")
_ENDS: Final = frozenset(
    {"response.completed", "response.incomplete", "response.failed", "response.cancelled"}
)
_FAILED: Final = "response.failed"
_DONE: Final = b"[DONE]"
_SAYS_NOTHING: Final = frozenset(
    {"type", "sequence_number", "item_id", "output_index", "content_index", "summary_index"}
)
"""Members of an event that says no more than that something goes on."""
_OF_A_DELTA: Final = _SAYS_NOTHING | {"delta", "obfuscation", "logprobs"}


class _Text(NamedTuple):
    """Where an item has a text: in a part of one of its lists, or (`list` is "") in itself.
    `part`: the type of such a part.
    """

    list: str
    counter: str
    member: str
    part: str = ""


_TEXTS: Final[Mapping[str, _Text]] = {
    "response.output_text": _Text("content", "content_index", "text", "output_text"),
    "response.refusal": _Text("content", "content_index", "refusal", "refusal"),
    "response.reasoning_text": _Text("content", "content_index", "text", "reasoning_text"),
    "response.reasoning_summary_text": _Text("summary", "summary_index", "text", "summary_text"),
    "response.function_call_arguments": _Text("", "", "arguments"),
    "response.mcp_call_arguments": _Text("", "", "arguments"),
    "response.custom_tool_call_input": _Text("", "", "input"),
    "response.code_interpreter_call_code": _Text("", "", "code"),
}
_PARTS: Final = frozenset(
    {
        "response.content_part.added",
        "response.content_part.done",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_part.done",
    }
)
_OF_A_PART: Final = {"type", "text", "annotations", "logprobs", "refusal"}
_MOST_INDEX: Final = 100_000


class _Place(NamedTuple):
    """Where a text stands: the item's index in the output, and in the item."""

    item: int
    text: _Text
    part: int


class ResponseStream(Assembly):
    """A response being assembled. Called as any `Assembly`."""

    def __init__(self) -> None:
        super().__init__()
        self._begun: dict[str, JSON] | None = None
        self._final: dict[str, JSON] | None = None
        self._added: dict[int, dict[str, JSON]] = {}
        self._done: dict[int, JSON] = {}
        self._pieces: dict[_Place, list[str]] = {}
        self._said: dict[_Place, str] = {}
        self._scored: set[_Place] = set()

    def take(self, event: JSON, text: bytes) -> None:
        """One event, and its text."""
        if event is None and text == _DONE:  # some providers send it
            self.expect(self.stopped)
            return
        if not isinstance(event, dict):
            self.whole = False
            return
        kind = event.get("type")
        if not isinstance(kind, str):
            self.whole = False
            return
        stem, _, what = kind.rpartition(".")
        if what == "delta" and stem in _TEXTS:
            self._delta(event, _TEXTS[stem])
        elif what == "done" and stem in _TEXTS:
            self._text_done(event, _TEXTS[stem])
        elif kind in _PARTS:
            self._part(event)
        elif kind in _BEGINS:
            self._begin(event, text)
        elif kind in _ENDS:
            self._end(event, kind, text)
        elif kind in ("response.output_item.added", "response.output_item.done"):
            self._item(event, text, done=kind.endswith("done"))
        elif kind == "response.output_text.annotation.added":
            self._annotation(event)
        elif kind == "error":
            self.expect(self.error is None)
            self.spend(OVERHEAD + values_in(text))
            self.error = event
        else:  # a ping, the progress of a tool that the provider runs, or what nobody knows
            self.expect({*event} <= _SAYS_NOTHING)

    def end(self) -> None:
        """Puts together what came in pieces."""
        if self._final is not None:
            self.document = self._final
            output = self._final.get("output")
            if not output and self._done:
                self.expect(list(range(len(self._done))) == sorted(self._done))
                self._final["output"] = output = [self._done[one] for one in sorted(self._done)]
            items = output if isinstance(output, list) else []
            self.expect({*(self._begun or ())} <= {*self._final})
            for place, begun in self._added.items():
                self.expect(place < len(items) and {*begun} <= {*members(items[place])})
            for place, item in self._done.items():
                self.expect(place < len(items) and items[place] == item)
            self._compare(items)
        elif self._begun is not None or self._added or self._done or self._pieces:
            self.expect(self._done.keys() >= self._added.keys())
            self.document = self._begun if self._begun is not None else {"object": "response"}
            self._join()
            every = {**self._added, **self._done}
            self.document["output"] = [every[place] for place in sorted(every)]

    # -- events ----------------------------------------------------------------------------------

    def _begin(self, event: dict[str, JSON], text: bytes) -> None:
        response = event.get("response")
        if not isinstance(response, dict) or not {*event} <= _SAYS_NOTHING | {"response"}:
            self.whole = False
            return
        self.expect(self._begun is None or self._begun.get("id") == response.get("id"))
        self.expect(self._final is None and not response.get("output"))
        self.expect({*(self._begun or ())} <= {*response})
        self.spend_on("response", text)
        self._begun = response

    def _end(self, event: dict[str, JSON], kind: str, text: bytes) -> None:
        response = event.get("response")
        if not isinstance(response, dict) or self._final is not None:
            self.whole = False
            return
        self.expect({*event} <= _SAYS_NOTHING | {"response"})
        self.expect(self._begun is None or self._begun.get("id") == response.get("id"))
        self.spend_on("response", text)
        self._final = response
        self.stopped = True
        if kind == _FAILED:
            self.error = {"type": kind, "error": response.get("error")}

    def _item(self, event: dict[str, JSON], text: bytes, *, done: bool) -> None:
        item, place = event.get("item"), _index(event, "output_index")
        if not isinstance(item, dict) or place is None:
            self.whole = False
            return
        self.expect({*event} <= _SAYS_NOTHING | {"item"} and self._final is None)
        self.expect(place not in (self._done if done else self._added))
        self.spend(OVERHEAD + values_in(text))
        if done:
            self._done.setdefault(place, item)
        else:
            self._added.setdefault(place, item)

    def _delta(self, event: dict[str, JSON], where: _Text) -> None:
        place, piece = _place(event, where), event.get("delta")
        if place is None or not isinstance(piece, str):
            self.whole = False
            return
        self.expect({*event} <= _OF_A_DELTA)
        if event.get("logprobs"):
            self._scored.add(place)
        if place not in self._pieces:
            self.spend(NEW_TEXT)
            self._pieces[place] = []
        self._pieces[place].append(piece)

    def _text_done(self, event: dict[str, JSON], where: _Text) -> None:
        place, said = _place(event, where), event.get(where.member)
        if place is None or not isinstance(said, str):
            self.whole = False
            return
        self.expect({*event} <= _SAYS_NOTHING | {where.member, "logprobs", "name"})
        self._say(place, said)

    def _part(self, event: dict[str, JSON]) -> None:
        """A part, begun or done: its text stands in the item too."""
        part = event.get("part")
        if not isinstance(part, dict) or not {*event} <= _SAYS_NOTHING | {"part"}:
            self.whole = False
            return
        self.expect({*part} <= _OF_A_PART)
        if str(event.get("type")).endswith("added"):
            return
        kind = part.get("type")
        for where in _TEXTS.values():
            if where.part == kind and isinstance(said := part.get(where.member), str):
                place = _place(event, where)
                self.expect(place is not None)
                if place is not None:
                    self._say(place, said)

    def _say(self, place: _Place, said: str) -> None:
        self.expect(self._said.get(place, said) == said)
        if place not in self._said:
            self.spend(NEW_TEXT)
            self._said[place] = said

    def _annotation(self, event: dict[str, JSON]) -> None:
        """It stands in the item that is done; one that never is lacks it."""
        place = _index(event, "output_index")
        self.expect(place is not None and "annotation" in event)
        if place is not None:
            self._scored.add(_Place(place, _ANNOTATIONS, _index(event, "content_index") or 0))

    # -- at the end ------------------------------------------------------------------------------

    def _compare(self, items: list[JSON]) -> None:
        """Whether the items say what was said in pieces. Of an item whose beginning was not in this
        stream the pieces may be the last ones.
        """
        for place, pieces in self._pieces.items():
            said = _text_at(items, place, place.text.member)
            joined = "".join(pieces)
            begun = place.item in self._added
            self.expect(said == joined if begun else str(said).endswith(joined))
        for place, one in self._said.items():
            self.expect(_text_at(items, place, place.text.member) == one)
        for place in self._scored:
            name = "annotations" if place.text is _ANNOTATIONS else "logprobs"
            self.expect(bool(_text_at(items, place, name)))

    def _join(self) -> None:
        """Puts pieces into the items that were not done."""
        for place in self._scored:
            self.expect(place.item in self._done)
        for place, pieces in self._pieces.items():
            if place.item in self._done:
                self.expect(_text_at([self._done[place.item]], place._replace(item=0),
                                     place.text.member) == "".join(pieces))  # fmt: skip
                continue
            self.whole = False
            item = self._added.setdefault(place.item, {"type": "message", "role": "assistant"})
            into = self._part_of(item, place)
            if into is not None:
                into[place.text.member] = "".join(pieces)

    def _part_of(self, item: dict[str, JSON], place: _Place) -> dict[str, JSON] | None:
        where = place.text
        if not where.list:
            return item
        parts = item.get(where.list)
        if not isinstance(parts, list):
            parts = item[where.list] = []
        if place.part > len(parts):
            return None  # the one before it never came
        if place.part == len(parts):
            parts.append({"type": where.part})
            self.spend(NEW_TEXT)
        part = parts[place.part]
        return part if isinstance(part, dict) else None


_ANNOTATIONS: Final = _Text("content", "content_index", "annotations")


def _index(event: dict[str, JSON], name: str) -> int | None:
    index = event.get(name)
    if isinstance(index, bool) or not isinstance(index, int):
        return None
    return index if 0 <= index < _MOST_INDEX else None


def _place(event: dict[str, JSON], where: _Text) -> _Place | None:
    item = _index(event, "output_index")
    part = _index(event, where.counter) if where.counter else 0
    return None if item is None or part is None else _Place(item, where, part)


def _text_at(items: list[JSON], place: _Place, member: str) -> JSON:
    """What stands at a place; None if nothing does."""
    item = items[place.item] if place.item < len(items) else None
    if place.text.list and isinstance(item, dict):
        parts = item.get(place.text.list)
        item = parts[place.part] if isinstance(parts, list) and place.part < len(parts) else None
    return item.get(member) if isinstance(item, dict) else None

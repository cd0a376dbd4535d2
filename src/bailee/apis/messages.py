"""A stream of the Messages API put together into the message that a document would have been. Pure.

Rules kept here are those of `assembling`. Unknown fields and block types are taken along. The
events of Bedrock's Converse are taken too: `converse` makes its document of them.
"""

from __future__ import annotations

from typing import Final

from bailee.apis.assembling import NEW_TEXT, OVERHEAD, Assembly
from bailee.apis.converse import EVENTS as CONVERSE
from bailee.apis.converse import Converse
from bailee.apis.events import as_json, values_in
from bailee.vault.packing import JSON
from bailee.vault.structure import drops_members

_TOOLS: Final = ("tool_use", "server_tool_use", "mcp_tool_use")
_GROWS: Final = {"text_delta": "text", "thinking_delta": "thinking"}
"""Deltas that go on with a text: of which block, by the name of its text."""
_SETS: Final = {
    "signature_delta": ("thinking", ("signature",)),
    "compaction_delta": ("compaction", ("content", "encrypted_content")),
}
"""Deltas that come once: of which block, and what they set in it."""
_HINTS: Final = ("estimated_tokens",)
"""What a delta says for a progress bar alone: rounded, in no document, and said exactly later."""


class MessageStream(Assembly):
    """A message being assembled from events, one call of `take` for each, in order. Blocks lie in
    the order in which they began, as the vendor's SDK has them. Called as any `Assembly`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._blocks: list[dict[str, JSON]] = []
        self._places: dict[int, int] = {}  # of an index, the block that first had it
        self._texts: dict[tuple[int, str], list[str]] = {}
        self._inputs: dict[int, list[str]] = {}
        self._converse: Converse | None = None  # from the first such event on

    def take(self, event: JSON, text: bytes) -> None:
        """One event, and its text."""
        if not isinstance(event, dict):
            self.whole = False
            return
        kind = event.get("type")
        if kind is None and len(event) == 1 and (name := next(iter(event))) in CONVERSE:
            self._take_converse(name, event[name], text)
            return
        if kind == "content_block_delta":
            self._delta(event, text)
            return
        if kind == "content_block_stop":
            self.expect(len(event) == 2 and self._place(event) is not None)
            return
        if kind == "ping":
            self.expect(len(event) == 1)
            return
        self.spend(OVERHEAD + values_in(text))
        if kind == "message_start" and isinstance(message := event.get("message"), dict):
            self._message_start(message, alone=len(event) == 2)
        elif kind == "content_block_start":
            self._start(event)
        elif kind == "message_delta":
            self._message_delta(event)
        elif kind == "message_stop":
            self.expect(self.document is not None and not self.stopped)
            self.stopped = True
            self._message_stop(event)
        elif kind == "error":
            self.expect(self.error is None)
            self.error = event
        else:
            self.whole = False

    def _take_converse(self, name: str, said: JSON, text: bytes) -> None:
        if self._converse is None:
            self.expect(self.document is None and not self._blocks)
            self._converse = Converse(self.spend)
        if name != "contentBlockDelta":
            self.spend(OVERHEAD + values_in(text))
        self._converse.take(name, said)

    def _message_start(self, message: dict[str, JSON], *, alone: bool) -> None:
        first = self.document is None and not self._blocks
        self.expect(first and alone and not message.get("content"))
        if self.document is None:
            self.document = message

    def _start(self, event: dict[str, JSON]) -> None:
        index, block = event.get("index"), event.get("content_block")
        if not isinstance(index, int) or not isinstance(block, dict):
            self.whole = False
            return
        self.expect(len(event) == 3 and index == len(self._blocks) and self.document is not None)
        self._places.setdefault(index, len(self._blocks))
        self._blocks.append(block)
        to = block.get("to") if block.get("type") == "fallback" else None
        if isinstance(to, dict) and isinstance(to.get("model"), str) and self.document is not None:
            self.document["model"] = to["model"]  # the one that answered in the end

    def _place(self, event: dict[str, JSON]) -> int | None:
        """The place of the block that an event is about."""
        index = event.get("index")
        return self._places.get(index) if isinstance(index, int) else None

    def _delta(self, event: dict[str, JSON], text: bytes) -> None:
        place, delta = self._place(event), event.get("delta")
        if place is None or not isinstance(delta, dict):
            self.whole = False
            return
        block, kind = self._blocks[place], delta.get("type")
        self.expect(len(event) == 3)
        if kind == "input_json_delta" and isinstance(piece := delta.get("partial_json"), str):
            self.expect(len(delta) == 2 and block.get("type") in _TOOLS)
            self._inputs.setdefault(place, []).append(piece)
        elif kind == "citations_delta" and "citation" in delta:
            self.expect(len(delta) == 2 and block.get("type") == "text")
            self.spend(values_in(text))
            citations = block.get("citations")
            if not isinstance(citations, list):
                self.expect(citations is None)
                citations = block["citations"] = []
            citations.append(delta["citation"])
        elif isinstance(kind, str) and kind in _SETS:
            self._set(block, kind, delta)
        else:
            self._grow(place, kind, delta)

    def _set(self, block: dict[str, JSON], kind: str, delta: dict[str, JSON]) -> None:
        """A delta whose members take the place of the block's."""
        of, names = _SETS[kind]
        self.expect(block.get("type") == of and {*delta} <= {"type", *names})
        for name in names:
            value = delta.get(name)
            if value is not None and not isinstance(value, str):
                self.whole = False
                continue
            if block.get(name) != value:
                self.expect(not block.get(name))
                if name not in block:
                    self.spend(NEW_TEXT)
                block[name] = value

    def _grow(self, place: int, kind: object, delta: dict[str, JSON]) -> None:
        """A delta whose texts go on with the block's. Those of a kind that is not known do too."""
        known = _GROWS.get(kind) if isinstance(kind, str) else None
        self.expect(known is not None and self._blocks[place].get("type") == known)
        self.expect(known in delta)
        for name, value in delta.items():
            if name == "type" or (name in _HINTS and (value is None or isinstance(value, int))):
                continue
            if not isinstance(value, str):
                self.whole = False
                continue
            self.expect(name == known)
            if (place, name) not in self._texts:
                self.spend(NEW_TEXT)
                self._texts[place, name] = []
            self._texts[place, name].append(value)

    def _message_delta(self, event: dict[str, JSON]) -> None:
        message = self.document
        if message is None:
            self.whole = False
            return
        self.expect(not message.get("stop_reason"))
        for name, value in event.items():
            if name == "type":
                continue
            if name == "delta" and isinstance(value, dict):
                self._put(message, value)
            elif name == "usage" and isinstance(value, dict):
                usage = message.get("usage")
                if not isinstance(usage, dict):
                    self.expect(usage is None)
                    usage = message["usage"] = {}
                # Totals: they overwrite, and what is null leaves what was said before.
                self._put(usage, value)
            elif name in ("delta", "usage", "content"):
                self.whole = False
            else:
                self._put(message, {name: value})

    def _put(self, into: dict[str, JSON], values: dict[str, JSON]) -> None:
        self.expect(into is not self.document or "content" not in values)
        into.update(
            {name: value for name, value in values.items() if value is not None or name not in into}
        )

    def _message_stop(self, event: dict[str, JSON]) -> None:
        """Bedrock puts its measurements here."""
        for name, value in event.items():
            if name != "type":
                self.expect(self.document is not None and name not in self.document)
                if self.document is not None:
                    self.document.setdefault(name, value)

    def end(self) -> None:
        """Puts together what came in pieces."""
        for (place, name), pieces in self._texts.items():
            before = self._blocks[place].get(name)
            self.expect(before is None or isinstance(before, str))
            text = before if isinstance(before, str) else ""
            self._blocks[place][name] = text + "".join(pieces)
        for place, pieces in self._inputs.items():
            self._input(self._blocks[place], "".join(pieces))
        if self._converse is not None:
            self.expect(self.document is None and not self._blocks)
            document = self._converse.document()
            self.expect(self._converse.whole)
            self.stopped = self.stopped or self._converse.stopped
            self.document = document if self.document is None else self.document
        if self._blocks:
            if self.document is None:
                self.whole = False
                self.document = {"type": "message", "role": "assistant"}
            self.document["content"] = [*self._blocks]

    def _input(self, block: dict[str, JSON], text: str) -> None:
        if not text and "input" in block:
            return  # all of it was there at the block's start
        parsed, read_from = as_json(text.encode("utf-8", "surrogatepass")) if text else ({}, b"")
        self.spend(values_in(read_from))
        self.expect(parsed is not None and not block.get("input"))
        if isinstance(parsed, dict | list):
            self.expect(not drops_members(read_from, parsed))
        if parsed is not None:
            block["input"] = parsed

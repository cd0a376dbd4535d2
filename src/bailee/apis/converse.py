"""A streamed answer of Bedrock's Converse put together into the document of `converse`. Pure.

    messageStart, (contentBlockStart?, contentBlockDelta…, contentBlockStop)…, messageStop, metadata

Rules kept here are those of `assembling`: what is taken otherwise than it was said, or not at all,
makes the document less than `whole`; what is kept is counted by the caller's budget.

Standard: Amazon Bedrock API reference, ConverseStream and Converse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bailee.vault.packing import JSON
from bailee.vault.structure import read

EVENTS: Final = frozenset(
    {
        "messageStart",
        "contentBlockStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    }
)


class Converse:
    """A document being assembled, one call of `take` for each event, in order. `spend` is told how
    many JSON values it takes that the events themselves don't have.
    """

    def __init__(self, spend: Callable[[int], None]) -> None:
        self.whole = True
        self.stopped = False
        self._spend = spend
        self._document: dict[str, JSON] = {}
        self._role: str | None = None
        self._blocks: list[dict[str, JSON]] = []
        self._texts: dict[tuple[int, str], list[str]] = {}

    def take(self, kind: str, said: JSON) -> None:
        """One event."""
        if not isinstance(said, dict):
            self.whole = False
            return
        said = {name: value for name, value in said.items() if name != "p"}  # padding
        if kind == "messageStart":
            self._expect({*said} == {"role"} and isinstance(said.get("role"), str))
            self._expect(self._role is None and not self._blocks and not self._document)
            self._role = str(said.get("role"))
        elif kind == "contentBlockStart":
            self._start(said)
        elif kind == "contentBlockDelta":
            self._delta(said)
        elif kind == "contentBlockStop":
            place = said.get("contentBlockIndex")
            self._expect(len(said) == 1 and isinstance(place, int) and place < len(self._blocks))
        else:
            self._expect(not {*said} & {*self._document})
            self._document.update(said)
            self.stopped = self.stopped or kind == "messageStop"

    def document(self) -> dict[str, JSON] | None:
        """What came, put together; None if nothing did."""
        for (place, name), pieces in self._texts.items():
            self._put(self._blocks[place], name, "".join(pieces))
        if not self._blocks and not self._document:
            return None
        self._expect(self._role is not None)
        message: JSON = {"role": self._role or "assistant", "content": [*self._blocks]}
        return {"output": {"message": message}, **self._document}

    def _expect(self, it_is_so: bool) -> None:
        if not it_is_so:
            self.whole = False

    def _place(self, said: dict[str, JSON], *, new: bool) -> int | None:
        """Where the block is that an event is of; a block without a start begins with its delta."""
        place = said.get("contentBlockIndex")
        if not isinstance(place, int) or not 0 <= place <= len(self._blocks):
            self.whole = False
            return None
        if place == len(self._blocks):
            self._blocks.append({})
            self._spend(1)
        else:
            self._expect(not new)
        return place

    def _start(self, said: dict[str, JSON]) -> None:
        start = said.get("start")
        place = self._place(said, new=True)
        if place is None or not isinstance(start, dict):
            self.whole = False
            return
        self._expect(len(said) == 2 and {*start} == {"toolUse"} and not self._blocks[place])
        self._blocks[place].update(start)

    def _delta(self, said: dict[str, JSON]) -> None:
        delta = said.get("delta")
        place = self._place(said, new=False)
        if place is None or not isinstance(delta, dict) or len(said) != 2 or len(delta) != 1:
            self.whole = False
            return
        (kind, value), *_ = delta.items()
        if kind == "toolUse" and isinstance(value, dict):
            kind, value = "input", value.get("input") if len(value) == 1 else None
        elif kind == "reasoningContent" and isinstance(value, dict) and len(value) == 1:
            (kind, value), *_ = value.items()
            kind = f"reasoning.{kind}"
        if not isinstance(value, str) or kind not in _TEXTS:
            self.whole = False
            return
        if (place, kind) not in self._texts:
            self._spend(4)
            self._texts[place, kind] = []
        self._texts[place, kind].append(value)

    def _put(self, block: dict[str, JSON], kind: str, text: str) -> None:
        if kind == "text":
            block["text"] = text
        elif kind == "input":
            tool = block.get("toolUse")
            value: JSON = {}
            if text:
                try:
                    value, values, _ = read(text.encode("utf-8", "surrogatepass"))
                except ValueError:
                    value, values = None, 0
                self._spend(values)
            if isinstance(tool, dict) and isinstance(value, dict):
                tool["input"] = value
            else:
                self.whole = False
        elif kind == "reasoning.redactedContent":
            self._within(block, "reasoningContent")["redactedContent"] = text
        else:
            thought = self._within(self._within(block, "reasoningContent"), "reasoningText")
            thought[kind.removeprefix("reasoning.")] = text

    def _within(self, block: dict[str, JSON], name: str) -> dict[str, JSON]:
        """A block's member that is an object. One of another kind gives way to it."""
        found = block.get(name)
        if not isinstance(found, dict):
            self._expect(name not in block)
            found = block[name] = {}
        return found


_TEXTS: Final = frozenset(
    {"text", "input", "reasoning.text", "reasoning.signature", "reasoning.redactedContent"}
)

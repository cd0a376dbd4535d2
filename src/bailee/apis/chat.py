"""A stream of Chat Completions put together into the completion that a document would have been.
Pure.

    {choices: [{index, delta: {role, content, tool_calls: [{index, …}]}, finish_reason}]}…, [DONE]

Strings of a delta go on with what was said, as the vendor's SDK joins them, those of members that
only some providers send (`reasoning_content`) too. The stream is over with `[DONE]`, or when each
choice has its `finish_reason`: several providers send no `[DONE]`.

Rules kept here are those of `assembling`.
"""

from __future__ import annotations

from typing import Final

from bailee.apis.assembling import NEW_TEXT, OVERHEAD, Assembly
from bailee.json_values import objects
from bailee.vault.packing import JSON

_DONE: Final = b"[DONE]"
_ONCE: Final = frozenset({"role", "id", "type"})
"""Texts of a delta that are said once and not in pieces."""
_LATEST: Final = frozenset({"usage", "system_fingerprint"})
_PADDING: Final = "obfuscation"
_CHUNK: Final = "chat.completion.chunk"
_DOCUMENT: Final = "chat.completion"
_TOOL: Final = 8  # values that a tool call costs before it says anything


class _Growing:
    """An object whose texts come in pieces."""

    __slots__ = ("members", "pieces", "within")

    def __init__(self) -> None:
        self.members: dict[str, JSON] = {}
        self.pieces: dict[str, list[str]] = {}
        self.within: dict[str, _Growing] = {}

    def joined(self) -> dict[str, JSON]:
        """As it came to be."""
        for name, pieces in self.pieces.items():
            self.members[name] = "".join(pieces)
        for name, inner in self.within.items():
            self.members[name] = inner.joined()
        return self.members


class _Choice:
    """One of the answers to a request."""

    __slots__ = ("listed", "members", "message", "tools")

    def __init__(self, index: int) -> None:
        self.members: dict[str, JSON] = {"index": index}
        self.message = _Growing()
        self.tools: dict[int, _Growing] = {}
        self.listed = False  # there is a list of tool calls, perhaps an empty one

    def joined(self) -> dict[str, JSON]:
        """As a document has it."""
        message = self.message.joined()
        if self.listed:
            message["tool_calls"] = [one.joined() for _, one in sorted(self.tools.items())]
        finish = {"finish_reason": self.members.pop("finish_reason", None)}
        return {**self.members, "message": message, **finish}


class ChatStream(Assembly):
    """A completion being assembled. Called as any `Assembly`."""

    def __init__(self) -> None:
        super().__init__()
        self._choices: dict[int, _Choice] = {}
        self._done = False

    def take(self, event: JSON, text: bytes) -> None:
        """One chunk, and its text."""
        if event is None and text == _DONE:
            self.expect(not self._done)
            self._done = True
            return
        if not isinstance(event, dict) or self._done:
            self.whole = False
            return
        if event.get("error") is not None:
            self.expect(self.error is None)
            self.spend_event(text)
            self.error = event
            return
        self._top(event, text)
        choices = event.get("choices")
        if choices is not None and not isinstance(choices, list):
            self.whole = False
            return
        self.expect(_are_distinct(choices))
        for said in choices or ():
            self._choice(said, text)

    def end(self) -> None:
        """Puts together what came in pieces."""
        finished = [isinstance(one.members.get("finish_reason"), str) for one in
                    self._choices.values()]  # fmt: skip
        self.stopped = all(finished) and (bool(finished) or self._done)
        if self._choices or self.document is not None:
            made = self.document if self.document is not None else {}
            made["choices"] = [one.joined() for _, one in sorted(self._choices.items())]
            self.document = made

    def _top(self, event: dict[str, JSON], text: bytes) -> None:
        """What a chunk says besides its choices: the same in each, but for what it used."""
        said = {name: value for name, value in event.items() if name not in ("choices", _PADDING)}
        if said.get("object") == _CHUNK:
            said["object"] = _DOCUMENT
        if self.document is None:
            self.document = {}
        new = [name for name, value in said.items() if self.document.get(name) != value]
        if new:
            for name in new:
                self.spend_on(f"top {name}", text)
            self.put(self.document, said, _LATEST)

    def _choice(self, said: JSON, text: bytes) -> None:
        index = said.get("index", 0) if isinstance(said, dict) else None
        if not isinstance(said, dict) or isinstance(index, bool) or not isinstance(index, int):
            self.whole = False
            return
        choice = self._choices.get(index)
        if choice is None:
            self.spend(OVERHEAD + NEW_TEXT)
            self.expect(index == len(self._choices))  # the SDK takes them by their places
            choice = self._choices[index] = _Choice(index)
        for name, value in said.items():
            if name == "delta":
                self._message(choice, value, text)
            elif name == "logprobs" and isinstance(value, dict):
                self._logprobs(choice, value, text)
            elif name != "index" and (value is not None or name not in choice.members):
                if choice.members.get(name) is None:
                    self._pay(value, text)
                    choice.members[name] = value
                else:
                    self.expect(choice.members[name] == value)

    def _logprobs(self, choice: _Choice, said: dict[str, JSON], text: bytes) -> None:
        """Lists that go on."""
        self.spend_event(text)
        known = choice.members.get("logprobs")
        if not isinstance(known, dict):
            choice.members["logprobs"] = {**said}
            return
        for name, more in said.items():
            before = known.get(name)
            if isinstance(before, list) and isinstance(more, list):
                before.extend(more)
            elif before is None:
                known[name] = more
            else:
                self.expect(more is None or more == before)

    def _message(self, choice: _Choice, delta: JSON, text: bytes) -> None:
        if delta is None:
            return
        if not isinstance(delta, dict):
            self.whole = False
            return
        for name, value in delta.items():
            if name == "tool_calls" and isinstance(value, list):
                choice.listed = True
                self.expect(_are_distinct(value))  # the SDK takes a list as it is
                for one in value:
                    self._tool(choice, one, text)
            elif name == "content" and isinstance(value, list):
                self.whole = False
            else:
                self._grow(choice.message, name, value, text)

    def _tool(self, choice: _Choice, said: JSON, text: bytes) -> None:
        index = said.get("index") if isinstance(said, dict) else None
        if not isinstance(said, dict):
            self.whole = False
            return
        if isinstance(index, bool) or not isinstance(index, int):
            self.whole = False  # the vendor's SDK refuses it; some providers number none
            index = max(choice.tools, default=-1) + 1
        tool = choice.tools.get(index)
        if tool is None:
            self.spend(_TOOL)
            self.expect(index == len(choice.tools))
            tool = choice.tools[index] = _Growing()
        for name, value in said.items():
            if name != "index":
                self._grow(tool, name, value, text)

    def _grow(self, into: _Growing, name: str, value: JSON, text: bytes) -> None:
        """A member of a delta, which goes on with what it went on with before."""
        if isinstance(value, str) and name not in _ONCE:
            if name not in into.pieces:
                self.spend(NEW_TEXT)
                self.expect(into.members.get(name) is None and name not in into.within)
                into.pieces[name] = []
            into.pieces[name].append(value)
        elif isinstance(value, dict):
            self.expect(name not in into.pieces and into.members.get(name) is None)
            if name not in into.within:
                self.spend(OVERHEAD)
                into.within[name] = _Growing()
            for inner, one in value.items():
                if isinstance(one, dict):
                    self._set(into.within[name], inner, one, text)
                else:
                    self._grow(into.within[name], inner, one, text)
        elif value is None:
            if name not in into.members and name not in into.pieces and name not in into.within:
                self.spend(NEW_TEXT)
                into.members[name] = None
        else:
            self._set(into, name, value, text)

    def _pay(self, value: JSON, text: bytes) -> None:
        if isinstance(value, list | dict):
            self.spend_event(text)
        else:
            self.spend(NEW_TEXT)

    def _set(self, into: _Growing, name: str, value: JSON, text: bytes) -> None:
        """What does not come in pieces."""
        if into.members.get(name) is None:
            self._pay(value, text)
            self.expect(name not in into.pieces and name not in into.within)
            self.expect(not any("index" in one for one in objects(value)))  # it merges by it
            into.members[name] = value
        else:
            # The SDK adds them up, names too; a name that is said again is the same one.
            self.expect(name in _ONCE and into.members[name] == value)


def _are_distinct(some: JSON) -> bool:
    """Whether each of a list has an index of its own."""
    found = [repr(one.get("index")) for one in objects(some)]
    return len({*found}) == len(found)

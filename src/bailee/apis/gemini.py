"""A stream of generateContent put together into the response that a document would have been. Pure.

    {candidates: [{content: {role, parts}, finishReason, index}], usageMetadata, modelVersion}…

Each chunk is a response of its own. Parts follow one another; texts of one kind that follow one
another, without a signature between, are one text, as clients send them back. The stream is over
when each candidate has its `finishReason`, or the prompt was blocked; what is used may come later.
Code Assist wraps each chunk in `{response}`: so is what is made of them.

Rules kept here are those of `assembling`.
"""

from __future__ import annotations

from typing import Final

from bailee.apis.assembling import NEW_TEXT, OVERHEAD, Assembly
from bailee.vault.packing import JSON

_LATEST: Final = frozenset({"usageMetadata", "safetyRatings", "tokenCount", "avgLogprobs"})
"""Members that each chunk says anew: the last has it all."""
_TEXT: Final = ({"text"}, {"text", "thought"})
_WRAPPED: Final = "response"


class _Candidate:
    """One of the answers to a request. `pieces`: of the texts, by the part's place."""

    __slots__ = ("content", "members", "parts", "pieces")

    def __init__(self) -> None:
        self.members: dict[str, JSON] = {}
        self.content: dict[str, JSON] | None = None
        self.parts: list[JSON] = []
        self.pieces: dict[int, list[str]] = {}

    def joined(self) -> dict[str, JSON]:
        """As a document has it."""
        for place, pieces in self.pieces.items():
            part = self.parts[place]
            if isinstance(part, dict):
                part["text"] = "".join(pieces)
        if self.content is None:
            return self.members
        content = {**self.content, **({"parts": self.parts} if self.parts else {})}
        return {"content": content, **self.members}


class GeminiStream(Assembly):
    """A response being assembled. Called as any `Assembly`."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, JSON] = {}
        self._around: dict[str, JSON] | None = None
        self._candidates: dict[int, _Candidate] = {}
        self._blocked = False
        self._came = False

    def take(self, event: JSON, text: bytes) -> None:
        """One chunk, and its text; without the text its values are counted already."""
        if not isinstance(event, dict):
            self.whole = False
            return
        if event.get("error") is not None:
            self.expect(self.error is None)
            self.spend_event(text)
            self.error = event
            return
        inner = event.get(_WRAPPED)
        if isinstance(inner, dict):
            self.expect(self._around is not None or not self._came)
            self._around = {} if self._around is None else self._around
            rest = {name: value for name, value in event.items() if name != _WRAPPED}
            self._put(self._around, rest, text)
            event = inner
        else:
            self.expect(self._around is None)
        self._came = True
        self._chunk(event, text)

    def end(self) -> None:
        """Puts together what came in pieces."""
        if not self._came:
            return
        every = [one for _, one in sorted(self._candidates.items())]
        finished = [isinstance(one.members.get("finishReason"), str) for one in every]
        self.stopped = all(finished) and (bool(finished) or self._blocked)
        made = self._made
        if every:
            made = {"candidates": [one.joined() for one in every], **made}
        self.document = made if self._around is None else {_WRAPPED: made, **self._around}

    def _chunk(self, event: dict[str, JSON], text: bytes) -> None:
        rest = {name: value for name, value in event.items() if name != "candidates"}
        self._put(self._made, rest, text)
        feedback = event.get("promptFeedback")
        self._blocked = self._blocked or (
            isinstance(feedback, dict) and isinstance(feedback.get("blockReason"), str)
        )
        candidates = event.get("candidates")
        if candidates is not None and not isinstance(candidates, list):
            self.whole = False
            return
        for said in candidates or ():
            self._candidate(said, text)

    def _put(self, into: dict[str, JSON], said: dict[str, JSON], text: bytes) -> None:
        if any(into.get(name) != value for name, value in said.items()):
            self.spend_on("around" if into is self._around else "top", text)
            self.put(into, said, _LATEST)

    def _candidate(self, said: JSON, text: bytes) -> None:
        index = said.get("index", 0) if isinstance(said, dict) else None
        if not isinstance(said, dict) or isinstance(index, bool) or not isinstance(index, int):
            self.whole = False
            return
        one = self._candidates.get(index)
        if one is None:
            self.spend(OVERHEAD)
            one = self._candidates[index] = _Candidate()
        rest = {name: value for name, value in said.items() if name != "content"}
        if any(one.members.get(name) != value for name, value in rest.items()):
            self.spend_on(f"candidate {index}", text)
            self.put(one.members, rest, _LATEST)
        content = said.get("content")
        if isinstance(content, dict):
            self._content(one, content, text)
        else:
            self.expect(content is None)

    def _content(self, one: _Candidate, content: dict[str, JSON], text: bytes) -> None:
        if one.content is None:
            self.spend(OVERHEAD)
            one.content = {}
        rest = {name: value for name, value in content.items() if name != "parts"}
        if any(one.content.get(name) != value for name, value in rest.items()):
            self.spend_event(text)
            self.put(one.content, rest, frozenset())
        parts = content.get("parts")
        if parts is not None and not isinstance(parts, list):
            self.whole = False
            return
        for part in parts or ():
            if _goes_on(one, part):
                one.pieces[len(one.parts) - 1].append(part["text"])  # type: ignore[index, call-overload, arg-type]
                continue
            if _is_text(part):
                self.spend(NEW_TEXT)
                one.pieces[len(one.parts)] = [part["text"]]  # type: ignore[index, call-overload, list-item]
            else:
                self.spend_event(text)
            one.parts.append(part)


def _is_text(part: JSON) -> bool:
    """Whether it is a text, or a thought, and nothing else."""
    return isinstance(part, dict) and {*part} in _TEXT and isinstance(part["text"], str)


def _goes_on(one: _Candidate, part: JSON) -> bool:
    last = one.parts[-1] if one.parts else None
    return (
        isinstance(part, dict)
        and isinstance(last, dict)
        and len(one.parts) - 1 in one.pieces
        and _is_text(part)
        and part.get("thought") == last.get("thought")
        and ("thought" in part) == ("thought" in last)
    )

"""A conversation as a fold over its records. Pure.

A session is a sequence of records, each kept before the next step is taken. This module turns any
such sequence into messages that the Messages API accepts, and says what has to happen next. Rules:

* **Total.** Any records, in any order, cut off anywhere (a kill, a full disk), give well-formed
  messages: roles alternate and begin with `user`; each `tool_use` has its `tool_result` in the
  message that follows, and results come before anything else there; no message is empty.
* **Nothing is invented.** A call without a result gets one that says so.
* **Append only.** A record never changes what earlier ones meant, except `compaction`, which puts
  a summary in the place of all that came before, and `left_out`.
* **What the API takes.** Ids of calls are unique over the conversation and ids and names are of its
  letters; an input is an object. A call that is otherwise is sent in that form, and has a result
  that says what was wrong.

Records are JSON objects; `type` is one of

    prompt       content: blocks of the person's message
    answer       content, model, stop_reason, usage: the model's message
    result       block: one tool_result
    interrupted  the person stopped the turn; open calls will have no result
    compaction   summary: what the conversation so far came to; waiting: it is the person's turn
    left_out     part: "images" or "thinking", which the service refused: from here on they are not
                 sent; all: of every message, not the last alone

and any other type (the session's first line, for one) is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import replace
from typing import Final, Literal

from bailee import json_values
from bailee.agent.ports import Answer, Block, Call, Message, Record
from bailee.json_values import Json

Step = Literal["call_model", "run_tools", "wait"]

LOST: Final = "The session ended before this call did. Whether it had an effect is not known."
STOPPED: Final = "The person interrupted this call. Whether it had an effect is not known."
INTERRUPTED: Final = "[The person interrupted here.]"
GO_ON: Final = "Go on."
NO_OBJECT: Final = "The input of this call was not a JSON object. It was not run."
NO_NAME: Final = "This call names no tool. It was not run."
_LEFT_OUT: Final = "[Left out here: the model's service refused it ({kind}).]"
_PARTS: Final = {
    "images": ("image", "document"),
    "thinking": ("thinking", "redacted_thinking"),
}
_SUMMARY: Final = (
    "This conversation went on from an earlier one that became too long. Its summary:\n\n"
)


class Conversation:
    """What a session has come to. `turns.Agent` makes it of the records that are kept, and owns it
    on its event loop's thread; `apply` alone changes it. It keeps nothing and asks nobody.
    """

    def __init__(self, records: list[Record] | None = None) -> None:
        self._messages: list[Message] = []
        self._open: dict[str, Call] = {}
        self._ids: set[str] = set()  # of all calls that the messages hold
        self._waiting = False  # it is the person's turn, though the last message is a user's
        self._stopped = False  # the person stopped the last turn: the model has to know
        self.tokens: int = 0  # of the last request and its answer
        self.spent: dict[str, int] = {}
        for record in records or ():
            self.apply(record)

    # -- what there is ---------------------------------------------------------------------------

    @property
    def messages(self) -> list[Message]:
        """The messages to send, as a list of their own."""
        return [{"role": m["role"], "content": list(m["content"])} for m in self._messages]

    @property
    def open_calls(self) -> list[Call]:
        """Calls that have no result yet, in the order in which the model made them."""
        return list(self._open.values())

    @property
    def step(self) -> Step:
        """What has to happen next."""
        if self._open:
            return "run_tools"
        if self._messages and self._messages[-1]["role"] == "user" and not self._waiting:
            return "call_model"
        return "wait"

    @property
    def last_text(self) -> str:
        """The text of the last answer; empty when there is none."""
        for message in reversed(self._messages):
            if message["role"] == "assistant":
                return text_of(message["content"])
        return ""

    # -- what happens ----------------------------------------------------------------------------

    def apply(self, record: Record) -> None:
        """Takes one record in. Never raises."""
        match record:
            case {"type": "prompt", "content": list(content)}:
                self._close(LOST)
                blocks = [b for b in json_values.objects(content) if _is_content(b)]
                if blocks:
                    if self._stopped:
                        self._user([{"type": "text", "text": INTERRUPTED}])
                    self._waiting = self._stopped = False
                    self._user(blocks)
            case {"type": "answer", "content": list(content)}:
                self._answer([b for b in json_values.objects(content) if _is_content(b)], record)
            case {"type": "result", "block": dict(block)}:
                if (call := self._opened(json_values.text(block.get("tool_use_id")))) is not None:
                    del self._open[call.id]
                    self._user([{**block, "type": "tool_result", "tool_use_id": call.id}])
            case {"type": "interrupted"}:
                self._close(STOPPED)
                self._waiting = self._stopped = bool(self._messages)
            case {"type": "compaction", "summary": str(summary)}:
                self._open.clear()
                self._ids.clear()
                self._messages = [_text("user", _SUMMARY + summary)]
                self._waiting, self._stopped = record.get("waiting") is True, False
                self.tokens = 0
            case {"type": "left_out", "part": "images" | "thinking" as part}:
                at = 0 if record.get("all") is True else max(0, len(self._messages) - 1)
                self._messages[at:] = left_out(self._messages[at:], part)
            case _:
                pass

    def _answer(self, content: list[Block], record: Record) -> None:
        self._count(record.get("usage"))
        if not content:
            self._waiting = bool(self._messages)  # nothing was said
            return
        self._close(LOST)
        if not self._messages or self._messages[-1]["role"] == "assistant":
            self._messages.append(_text("user", GO_ON))
        self._waiting = self._stopped = False
        kept, calls = admitted(content, self._ids)
        self._open = {call.id: call for call in calls}
        self._ids.update(self._open)
        self._messages.append({"role": "assistant", "content": kept})

    def admitted(self, answer: Answer) -> Answer:
        """An answer as the messages will hold it."""
        return replace(answer, content=admitted(answer.content, self._ids)[0])

    def _opened(self, call: str) -> Call | None:
        """The open call with that id, or that was made with it."""
        made = (one for one in self._open.values() if one.made == call)
        return self._open.get(call) or next(made, None)

    def _user(self, blocks: list[Block]) -> None:
        if not blocks:
            return
        if self._messages and self._messages[-1]["role"] == "user":
            self._messages[-1]["content"] += blocks
        else:
            self._messages.append({"role": "user", "content": list(blocks)})

    def _close(self, why: str) -> None:
        blocks = [result(call.id, why, is_error=True) for call in self._open.values()]
        self._open.clear()
        self._user(blocks)

    def _count(self, usage: object) -> None:
        if not isinstance(usage, dict):
            return
        counts = {k: v for k, v in usage.items() if isinstance(v, int) and k.endswith("_tokens")}
        for name, count in counts.items():
            self.spent[name] = self.spent.get(name, 0) + count
        self.tokens = sum(counts.values())


# -- making records -------------------------------------------------------------------------------


def prompt_record(content: list[Block]) -> Record:
    """The record of a prompt."""
    return {"type": "prompt", "content": [*content]}


def answer_record(answer: Answer) -> Record:
    """The record of an answer."""
    return {
        "type": "answer",
        "content": [*answer.content],
        "model": answer.model,
        "stop_reason": answer.stop_reason,
        "usage": {**answer.usage},
    }


def result_record(call: str, content: str | list[Block], *, is_error: bool) -> Record:
    """The record of a call's result."""
    return {"type": "result", "block": result(call, content, is_error=is_error)}


def result(call: str, content: str | list[Block], *, is_error: bool) -> Block:
    """A `tool_result` block."""
    said: Json = content if isinstance(content, str) else [*content]
    block: Block = {"type": "tool_result", "tool_use_id": call, "content": said}
    return {**block, "is_error": True} if is_error else block


def text_of(content: list[Block]) -> str:
    """The text of some blocks."""
    said = (json_values.text(block.get("text")) for block in content if block.get("type") == "text")
    return "\n\n".join(filter(None, said))


def _text(role: str, text: str) -> Message:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def admitted(content: list[Block], taken: Container[str]) -> tuple[list[Block], list[Call]]:
    """An answer's blocks in the form that the API takes back, and its calls. `taken`: ids that
    other calls have.
    """
    blocks: list[Block] = []
    calls: dict[str, Call] = {}
    for block in content:
        if block.get("type") != "tool_use":
            blocks.append(block)
            continue
        made, name, arguments = (block.get(key) for key in ("id", "name", "input"))
        known = _letters(made) or "call"
        number, new = 1, known
        while new in taken or new in calls:
            number += 1
            new = f"{known[:100]}_{number}"
        wrong = None if isinstance(arguments, dict) else NO_OBJECT
        if not (named := _letters(name)):
            named, wrong = "unnamed", NO_NAME
        given = arguments if isinstance(arguments, dict) else {}
        calls[new] = Call(new, named, given, json_values.text(made), wrong)
        blocks.append({**block, "id": new, "name": named, "input": given})
    return blocks, list(calls.values())


def _letters(name: object) -> str:
    """A name in the letters that the API takes."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", json_values.text(name))[:128]


def left_out(messages: list[Message], part: Literal["images", "thinking"]) -> list[Message]:
    """The messages with a word in the place of their images, or without their thinking."""
    return [{"role": m["role"], "content": _left_out(m["content"], part)} for m in messages]


def _left_out(content: list[Block], part: Literal["images", "thinking"]) -> list[Block]:
    kinds, made = _PARTS[part], list[Block]()
    for block in content:
        inner = block.get("content")
        if block.get("type") in kinds:
            if part == "images" or len(content) == 1:
                made.append({"type": "text", "text": _LEFT_OUT.format(kind=block["type"])})
        elif block.get("type") == "tool_result" and isinstance(inner, list):
            made.append({**block, "content": [*_left_out(json_values.objects(inner), part)]})
        else:
            made.append(block)
    return made or [{"type": "text", "text": _LEFT_OUT.format(kind=part)}]


def _is_content(block: Block) -> bool:
    if not isinstance(block.get("type"), str):
        return False
    if block["type"] == "text":
        return bool(json_values.text(block.get("text")).strip())
    return True

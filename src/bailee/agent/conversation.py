"""A conversation as a fold over its records. Pure.

A session is a sequence of records, each kept before the next step is taken. This module turns any
such sequence into messages that the Messages API accepts, and says what has to happen next. Rules:

* **Total.** Any records, in any order, cut off anywhere (a kill, a full disk), give well-formed
  messages: roles alternate and begin with `user`; each `tool_use` has its `tool_result` in the
  message that follows, and results come before anything else there; no message is empty.
* **Nothing is invented.** A call without a result gets one that says so.
* **Append only.** A record never changes what earlier ones meant, except `compaction`, which puts
  a summary in the place of all that came before.

Records are JSON objects; `type` is one of

    prompt       content: blocks of the person's message
    answer       content, model, stop_reason, usage: the model's message
    result       block: one tool_result
    interrupted  the person stopped the turn; open calls will have no result
    compaction   summary: what the conversation so far came to; waiting: it is the person's turn

and any other type (the session's first line, for one) is passed over.
"""

from __future__ import annotations

from typing import Final, Literal

from bailee import json_values
from bailee.agent.ports import Answer, Block, Call, Message, Record
from bailee.json_values import Json

Step = Literal["call_model", "run_tools", "wait"]

LOST: Final = "The session ended before this call did. Whether it had an effect is not known."
STOPPED: Final = "The person interrupted this call. Whether it had an effect is not known."
INTERRUPTED: Final = "[The person interrupted here.]"
GO_ON: Final = "Go on."
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
                if self._open.pop(json_values.text(block.get("tool_use_id")), None) is not None:
                    self._user([{**block, "type": "tool_result"}])
            case {"type": "interrupted"}:
                self._close(STOPPED)
                self._waiting = self._stopped = bool(self._messages)
            case {"type": "compaction", "summary": str(summary)}:
                self._open.clear()
                self._messages = [_text("user", _SUMMARY + summary)]
                self._waiting, self._stopped = record.get("waiting") is True, False
                self.tokens = 0
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
        seen: set[str] = set()
        kept = []
        for block in content:
            if block["type"] == "tool_use":
                call = _call(block)
                if call is None or call.id in seen:
                    continue
                seen.add(call.id)
                self._open[call.id] = call
            kept.append(block)
        if kept:
            self._messages.append({"role": "assistant", "content": kept})

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


def _call(block: Block) -> Call | None:
    call, name, arguments = block.get("id"), block.get("name"), block.get("input")
    if not (isinstance(call, str) and isinstance(name, str) and isinstance(arguments, dict)):
        return None
    return Call(call, name, arguments)


def _is_content(block: Block) -> bool:
    if not isinstance(block.get("type"), str):
        return False
    if block["type"] == "text":
        return bool(json_values.text(block.get("text")).strip())
    return True

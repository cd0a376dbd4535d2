"""The agent: takes a prompt, calls the model and the tools until the model is done.

It is the shell around `bailee.agent.conversation`, which decides what comes next. Rules kept here:

* Each answer and each result is kept (`Transcripts.append`) before the next step is taken: a crash
  loses what was under way, never what was done.
* Only one thing is under way at a time, and `interrupt` stops it, whatever it is: an answer, a
  tool, a question to the person. The conversation is well-formed afterwards.
* A call runs when a rule allows it or a person says yes; the reason for a no goes to the model.
* What fails in a tool goes to the model as that call's result. What fails in the model ends the
  turn with an error, and the same turn can be taken up again with `proceed`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from bailee.agent import events
from bailee.agent.conversation import (
    Conversation,
    answer_record,
    prompt_record,
    result_record,
    text_of,
)
from bailee.agent.permissions import PermissionRules
from bailee.agent.ports import (
    Answer,
    Asker,
    Block,
    Consent,
    Intent,
    Message,
    Model,
    ModelRequest,
    Nobody,
    Record,
    ToolOutcome,
    Tools,
    Transcripts,
)
from bailee.agent.prompts import COMPACT
from bailee.errors import BaileeError, InputError, StorageError, UpstreamError

T = TypeVar("T")

_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """How far an agent goes by itself: model calls in a turn (None: no limit), and the share of
    the model's context window, in tokens, at which the conversation is compacted.
    """

    calls: int | None = None
    context_tokens: int = 200_000
    compact_at: float = 0.8


class Interrupted(Exception):
    """What was under way has been stopped."""


class Agent:
    """One session. `records` are those of a session that is resumed."""

    def __init__(
        self,
        model: Model,
        tools: Tools,
        *,
        asker: Asker | None = None,
        rules: PermissionRules | None = None,
        transcripts: Transcripts | None = None,
        session: str = "",
        records: Sequence[Record] = (),
        system: str = "",
        limits: TurnLimits | None = None,
    ) -> None:
        self.model = model
        self.tools = tools
        self.rules = rules or PermissionRules()
        self.session = session
        self.limits = limits or TurnLimits()
        self.conversation = Conversation(list(records))
        self._asker = asker or Nobody()
        self._transcripts = transcripts
        self._system = system
        self._unkept: list[events.Event] = []
        self._stop: asyncio.Event | None = None

    # -- what a caller does ----------------------------------------------------------------------

    async def turn(self, prompt: str | list[Block]) -> AsyncIterator[events.Event]:
        """Takes a prompt and works until the model is done; yields what happens.

        Raises:
            UpstreamError: the model can't be reached or fails; `proceed` takes the turn up again.
            InputError: the model refuses the request.
        """
        content: list[Block] = (
            [{"type": "text", "text": prompt}] if isinstance(prompt, str) else prompt
        )
        self.keep(prompt_record(content))
        yield events.Prompted(content)
        async for event in self.proceed():
            yield event

    async def proceed(self) -> AsyncIterator[events.Event]:
        """Works on from where the conversation stands: after an error, or a resumed session's
        unfinished turn. Yields and raises as `turn` does.
        """
        self._stop = asyncio.Event()
        calls, compacted = 0, False
        ending: events.Ending = "done"
        try:
            while (step := self.conversation.step) != "wait":
                if step == "run_tools":
                    async for event in self._run_tools():
                        yield event
                    continue
                if self.limits.calls is not None and calls >= self.limits.calls:
                    ending = "turn_limit"
                    break
                if self.conversation.tokens > self.limits.context_tokens * self.limits.compact_at:
                    async for event in self.compact():
                        yield event
                calls += 1
                try:
                    async for event in self._call_model():
                        yield event
                        if isinstance(event, events.Answered):
                            ending = _ending_of(event.answer)
                except InputError as error:
                    if error.code != "request_too_large" or compacted:
                        raise
                    compacted = True
                    async for event in self.compact():
                        yield event
        except Interrupted:
            self.keep({"type": "interrupted"})
            ending = "interrupted"
        finally:
            self._stop = None
        for event in self._warnings():
            yield event
        yield events.TurnEnded(ending, self.conversation.last_text, calls)

    def interrupt(self) -> None:
        """Stops what is under way. Does nothing when nothing is."""
        if self._stop is not None:
            self._stop.set()

    async def interruptible(self, work: Awaitable[T]) -> T:
        """The result of what belongs to a turn and comes before it.

        Raises:
            Interrupted: the person stopped it.
        """
        self._stop = asyncio.Event()
        try:
            return await self._unless_stopped(work)
        finally:
            self._stop = None

    async def compact(self, focus: str = "") -> AsyncIterator[events.Event]:
        """Puts a summary, written by the model, in the place of the conversation.

        Raises: as `turn` does; the conversation is then as it was.
        """
        if not self.conversation.messages:
            return
        yield events.Compacting(self.conversation.tokens)
        own = self._stop is None
        self._stop = self._stop or asyncio.Event()
        try:
            summary = await self._summary(COMPACT + (f"\n\nAbove all: {focus}" if focus else ""))
        except Interrupted:
            if not own:
                raise
            yield events.TurnEnded("interrupted", "", 0)
            return
        finally:
            if own:
                self._stop = None
        going_on = self.conversation.step == "call_model"
        if going_on:
            summary += "\n\nThe work is not finished: go on with it."
        self.keep({"type": "compaction", "summary": summary, "waiting": not going_on})
        yield events.Compacted(summary)

    # -- the model -------------------------------------------------------------------------------

    async def _call_model(self) -> AsyncIterator[events.Event]:
        request = ModelRequest(self._system, self.conversation.messages, self.tools.definitions())
        said: dict[str, str] = {}
        for attempt in range(1, _ATTEMPTS + 1):
            said = {}
            stream = self.model.stream(request)
            try:
                while item := await self._unless_stopped(anext(stream, None)):
                    if isinstance(item, Answer):
                        self.keep(answer_record(item))
                        yield events.Answered(item)
                        self._refuse_cut_off_calls(item)
                        return
                    said[item.kind] = said.get(item.kind, "") + item.text
                    yield item
                raise UpstreamError(
                    "the model's answer broke off before its end.", code="upstream_closed"
                )
            except Interrupted:
                # What a person saw stays. Thinking is worth nothing without its signature.
                if said.get("text", "").strip():
                    content: list[Block] = [{"type": "text", "text": said["text"]}]
                    self.keep(answer_record(Answer(content, "interrupted", self.model.name)))
                raise
            except UpstreamError as error:
                if error.code != "upstream_closed" or attempt == _ATTEMPTS:
                    raise
                yield events.Retrying(attempt, error.message)
            finally:
                with contextlib.suppress(Exception):
                    await stream.aclose()  # type: ignore[attr-defined]

    def _refuse_cut_off_calls(self, answer: Answer) -> None:
        """A call in an answer that hit the token limit may lack half of its arguments."""
        if answer.stop_reason != "max_tokens" or not self.conversation.open_calls:
            return
        call = self.conversation.open_calls[-1]
        why = "The answer hit the token limit within this call; it was not run. Use smaller steps."
        self.keep(result_record(call.id, why, is_error=True))

    async def _summary(self, instruction: str) -> str:
        ask: Block = {"type": "text", "text": instruction}
        messages = self.conversation.messages
        if self.conversation.open_calls:
            raise ValueError("a conversation with open calls can't be compacted")
        if messages[-1]["role"] == "user":
            messages[-1]["content"].append(ask)
        else:
            messages.append({"role": "user", "content": [ask]})
        try:
            return await self._words(messages)
        except BaileeError as error:
            if error.code != "request_too_large":
                raise
            return await self._words(shortened(messages))

    async def _words(self, messages: list[Message]) -> str:
        request = ModelRequest(self._system, messages, self.tools.definitions(), may_call=False)
        stream = self.model.stream(request)
        try:
            while item := await self._unless_stopped(anext(stream, None)):
                if isinstance(item, Answer) and text_of(item.content).strip():
                    return text_of(item.content)
            raise UpstreamError("the model gave no summary.", code="upstream_closed")
        finally:
            with contextlib.suppress(Exception):
                await stream.aclose()  # type: ignore[attr-defined]

    # -- tools -----------------------------------------------------------------------------------

    async def _run_tools(self) -> AsyncIterator[events.Event]:
        for call in self.conversation.open_calls:
            intent: Intent | None = None
            try:
                intent = self.tools.intent(call)
                refusal, decided = await self._permission(intent)
                if refusal is not None:
                    self.keep(result_record(call.id, f"Refused: {refusal}", is_error=True))
                    yield events.CallRefused(call, intent, refusal, decided)
                    continue
                yield events.ToolStarted(call, intent, decided)
                outcome = await self._unless_stopped(self.tools.run(call))
            except BaileeError as error:
                hint = "" if error.hint is None else f" {error.hint}"
                outcome = ToolOutcome(f"{error.message}{hint}", is_error=True)
            except Interrupted:
                raise
            except Exception as error:  # a fault of ours costs a call, not the session
                outcome = ToolOutcome(f"The tool failed ({type(error).__name__}).", is_error=True)
                yield events.ToolFailed(error)
            self.keep(result_record(call.id, outcome.content, is_error=outcome.is_error))
            yield events.ToolEnded(call, intent, outcome)

    async def _permission(self, intent: Intent) -> tuple[str | None, events.Decided]:
        """None, or why not; and who decided."""
        verdict = self.rules.decide(intent)
        if verdict.effect == "allow":
            return None, "config"
        if verdict.effect == "deny":
            return verdict.why, "config"
        consent: Consent = await self._unless_stopped(self._asker.ask(intent))
        self.rules = self.rules.remembering(consent.remember)
        if consent.allowed:
            return None, "user_permanent" if consent.remember else "user_temporary"
        decided: events.Decided = "user_reject" if consent.attended else "config"
        return consent.reason or "the person said no.", decided

    # -- the rest --------------------------------------------------------------------------------

    async def _unless_stopped(self, work: Awaitable[T]) -> T:
        """The result of `work`; when the person interrupts, `work` is cancelled and waited for."""
        assert self._stop is not None
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise Interrupted
        finally:
            stop.cancel()
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    def keep(self, record: Record) -> None:
        """Takes a record into the conversation, and keeps it."""
        if self._transcripts is not None:
            try:
                self._transcripts.append(self.session, record)
            except StorageError as error:
                self._transcripts = None  # half a transcript after a gap would be a false one
                self._unkept.append(events.TranscriptNotKept(error.message))
        self.conversation.apply(record)

    def _warnings(self) -> list[events.Event]:
        made, self._unkept = self._unkept, []
        return made


def shortened(messages: list[Message], most: int = 2000) -> list[Message]:
    """The messages with long tool results cut: what a summary can do without. Pure."""

    def cut(block: Block) -> Block:
        content = block.get("content")
        if block.get("type") != "tool_result" or len(str(content)) <= most:
            return block
        return {**block, "content": f"{str(content)[:most]}\n[cut]"}

    return [{"role": m["role"], "content": [cut(b) for b in m["content"]]} for m in messages]


def _ending_of(answer: Answer) -> events.Ending:
    return {"max_tokens": "cut_off", "refusal": "declined"}.get(answer.stop_reason, "done")  # type: ignore[return-value]

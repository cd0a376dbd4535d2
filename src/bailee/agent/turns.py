"""The agent: takes a prompt, calls the model and the tools until the model is done.

It is the shell around `bailee.agent.conversation`, which decides what comes next. Rules kept here:

* Each answer and each result is kept (`Transcripts.append`) before the next step is taken: a crash
  loses what was under way, never what was done.
* Only one thing is under way at a time, and `interrupt` stops it, whatever it is: an answer, a
  tool, a question to the person. The conversation is well-formed afterwards.
* A call runs when a rule allows it or a person says yes; the reason for a no goes to the model.
* What fails in a tool goes to the model as that call's result.
* A request that fails is dealt with by `faults.RULES`, and nowhere else: made again, made without
  the part that is refused, or given up. The turn then ends with an error, the session is whole,
  and the same turn can be taken up again with `proceed`.
* A turn that goes in circles is ended (`progress`).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final, TypeVar

from bailee.agent import events
from bailee.agent.conversation import (
    Conversation,
    answer_record,
    left_out,
    prompt_record,
    result_record,
    text_of,
)
from bailee.agent.faults import RULES, ModelFault, remedy, wait
from bailee.agent.permissions import PermissionRules
from bailee.agent.ports import (
    Answer,
    AnswerPiece,
    Asker,
    Block,
    Call,
    Consent,
    Definition,
    Intent,
    Model,
    ModelRequest,
    Nobody,
    Record,
    ToolOutcome,
    Tools,
    Transcripts,
)
from bailee.agent.progress import TurnProgress
from bailee.agent.prompts import COMPACT
from bailee.agent.shortening import SHORTER, shortened
from bailee.errors import BaileeError, StorageError, UpstreamError
from bailee.json_values import well_formed
from bailee.records import dataclass

T = TypeVar("T")


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
    """One session. `records` are those of a session that is resumed. `sleep` waits between requests
    that failed. Used on one event loop's thread; it shows nothing and asks only its `asker`.
    """

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
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
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
        self.sleep = sleep
        self._refused_tools: set[str] = set()  # whose definitions the service does not take
        self._unkept: list[events.Event] = []
        self._stop: asyncio.Event | None = None

    # -- what a caller does ----------------------------------------------------------------------

    async def turn(self, prompt: str | list[Block]) -> AsyncIterator[events.Event]:
        """Takes a prompt and works until the model is done; yields what happens.

        Raises:
            UpstreamError: the model can't be reached or fails, after all tries; `proceed` takes the
                turn up again.
            InputError: the model refuses the request, and nothing can be taken out of it.
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
        progress = TurnProgress()
        ending: events.Ending = "done"
        try:
            while (step := self.conversation.step) != "wait":
                if step == "run_tools":
                    async for event in self._run_tools():
                        progress.take(event)
                        yield event
                    continue
                if progress.stuck():
                    ending = "stuck"
                    break
                if self.limits.calls is not None and calls >= self.limits.calls:
                    ending = "turn_limit"
                    break
                if self.conversation.tokens > self.limits.context_tokens * self.limits.compact_at:
                    async for event in self.compact():
                        yield event
                calls += 1
                try:
                    async for event in self._call_model():
                        progress.take(event)
                        yield event
                        if isinstance(event, events.Answered):
                            ending = _ending_of(event.answer)
                except ModelFault as fault:
                    if fault.fault == "too_long" and not compacted:
                        compacted = True
                        async for event in self.compact():
                            yield event
                    elif fault.fault == "refused" and (told := self._take_out(fault.said)):
                        yield events.Warned(f"{fault.why} {told}")
                    else:
                        raise fault.error from None
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
        summary = ""
        try:
            focused = COMPACT + (f"\n\nAbove all: {focus}" if focus else "")
            async for item in self._summary(focused):
                if isinstance(item, str):
                    summary = item
                else:
                    yield item
        except ModelFault as fault:
            raise fault.error from None
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
        request = ModelRequest(self._system, self.conversation.messages, self._definitions())
        said: dict[str, str] = {}
        try:
            async with aclosing(self._asked(request)) as items:
                async for item in items:
                    match item:
                        case Answer():
                            whole = self.conversation.admitted(item)
                            self.keep(answer_record(item))
                            yield events.Answered(whole)
                            if (cut := self._refuse_cut_off_call(item)) is not None:
                                yield cut
                        case AnswerPiece(kind, text):
                            said[kind] = said.get(kind, "") + text
                            yield item
                        case _:
                            said = {}
                            yield item
        except Interrupted:
            # What a person saw stays. Thinking is worth nothing without its signature.
            if said.get("text", "").strip():
                content: list[Block] = [{"type": "text", "text": said["text"]}]
                self.keep(answer_record(Answer(content, "interrupted", self.model.name)))
            raise

    async def _asked(
        self, request: ModelRequest
    ) -> AsyncGenerator[AnswerPiece | Answer | events.Retrying]:
        """An answer, whose last item is the whole of it; the request is made again as `faults`
        says. Raises `ModelFault` when it is given up.
        """
        attempt = 0
        while True:
            attempt += 1
            stream = self.model.stream(request)
            try:
                while item := await self._unless_stopped(anext(stream, None)):
                    yield item
                    if isinstance(item, Answer):
                        return
                raise ModelFault("broke_off")
            except ModelFault as fault:
                drawn = random.random()  # noqa: S311 - decides no secret
                seconds = wait(fault, attempt, drawn)
                if seconds is None:
                    raise
                again = events.Retrying(attempt, RULES[fault.fault].tries, fault.why, seconds)
            finally:
                with contextlib.suppress(Exception):
                    await stream.aclose()  # type: ignore[attr-defined]
            yield again
            await self._unless_stopped(self.sleep(seconds))

    def _definitions(self) -> list[Definition]:
        return [one for one in self.tools.definitions() if one["name"] not in self._refused_tools]

    def _take_out(self, said: str) -> str | None:
        """Takes out of the next request what the service refuses, by its words; what that is, for
        the person. None: there is nothing to take out.
        """
        without = remedy(said, [str(one["name"]) for one in self._definitions()])
        if without is None:
            return None
        if without.tool is not None:
            self._refused_tools.add(without.tool)
            return f"Going on without the tool {without.tool}."
        assert without.part is not None
        messages = self.conversation.messages
        for one in (messages[-1:], messages):
            if left_out(one, without.part) != one:
                self.keep({"type": "left_out", "part": without.part, "all": one is messages})
                return f"Going on without {without.part}, which stay in the transcript."
        return None

    def _refuse_cut_off_call(self, answer: Answer) -> events.Event | None:
        """A call in an answer that hit the token limit may lack half of its arguments."""
        if answer.stop_reason != "max_tokens" or not self.conversation.open_calls:
            return None
        call = self.conversation.open_calls[-1]
        why = "The answer hit the token limit within this call; it was not run. Use smaller steps."
        self.keep(result_record(call.id, why, is_error=True))
        return events.ToolEnded(call, None, ToolOutcome(why, is_error=True), malformed=True)

    async def _summary(self, instruction: str) -> AsyncIterator[str | events.Retrying]:
        """The summary, last; of less and less, as long as all of it is refused."""
        if self.conversation.open_calls:
            raise ValueError("a conversation with open calls can't be compacted")
        ask: Block = {"type": "text", "text": instruction}
        for most in (None, *SHORTER):
            messages = self.conversation.messages
            if most is not None:
                messages = shortened(messages, most, texts=most < SHORTER[0])
            if messages[-1]["role"] == "user":
                messages[-1]["content"].append(ask)
            else:
                messages.append({"role": "user", "content": [ask]})
            request = ModelRequest(self._system, messages, self._definitions(), may_call=False)
            try:
                async with aclosing(self._asked(request)) as items:
                    async for item in items:
                        if isinstance(item, events.Retrying):
                            yield item
                        elif isinstance(item, Answer):
                            if not (said := text_of(item.content)).strip():
                                raise UpstreamError(
                                    "the model gave no summary.", code="upstream_closed"
                                )
                            yield said
                            return
            except ModelFault as fault:
                if fault.fault not in ("too_long", "refused") or most == SHORTER[-1]:
                    raise

    # -- tools -----------------------------------------------------------------------------------

    async def _run_tools(self) -> AsyncIterator[events.Event]:
        for call in self.conversation.open_calls:
            intent: Intent | None = None
            if (wrong := self._wrong(call)) is not None:
                self.keep(result_record(call.id, wrong, is_error=True))
                yield events.ToolEnded(
                    call, None, ToolOutcome(wrong, is_error=True), malformed=True
                )
                continue
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
            outcome = _clean(outcome)
            self.keep(result_record(call.id, outcome.content, is_error=outcome.is_error))
            yield events.ToolEnded(call, intent, outcome)

    def _wrong(self, call: Call) -> str | None:
        """Why nothing can be meant by a call."""
        there = [str(one["name"]) for one in self._definitions()]
        if call.wrong is None and call.name not in there:
            return f"There is no tool {call.name}. There are {', '.join(there)}."
        return call.wrong

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
        """Takes a record into the conversation, and keeps it, in characters that can be sent."""
        record = well_formed(record)
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


def _clean(outcome: ToolOutcome) -> ToolOutcome:
    """An outcome in characters that can be sent and shown."""
    return replace(outcome, content=well_formed(outcome.content), shown=well_formed(outcome.shown))


def _ending_of(answer: Answer) -> events.Ending:
    return _ENDINGS.get(answer.stop_reason, "done")


_ENDINGS: Final[Mapping[str, events.Ending]] = {
    "max_tokens": "cut_off",
    "model_context_window_exceeded": "cut_off",
    "refusal": "declined",
}

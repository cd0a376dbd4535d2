"""One session's way through its machine: clone, let the agent work, commit, push; follow-ups.

Whatever ends it, it ends by its machine's end (`Machine.ended`): who stops a session destroys the
machine, and what was under way in it fails with that reason.

Rows: C1, C2, C5.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Final

from bailee.cloud.ports import Command, End, Machine
from bailee.cloud.sessions import task
from bailee.cloud.sessions.asked import Asked
from bailee.cloud.sessions.log import EventLog
from bailee.cloud.sessions.states import SessionState
from bailee.errors import MachineError

LARGEST_DIFF: Final = 4 << 20
_LARGEST_SAID: Final = 64 << 10
_FLUSH_SECONDS: Final = 2.0
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.A)
_PATIENCE: Final = 30.0  # between a command that failed and the word why its machine ended


class SessionEnded(Exception):
    """The session is over: why, and the code of what went wrong."""

    def __init__(self, end: End, problem: str | None = None) -> None:
        self.end: Final = end
        self.problem: Final = problem
        super().__init__(end.value)


class Leading:
    """Leads one session. `reached` is told each state; `keep_diff` and `keep_conversation` take
    what the policy may let be kept.
    """

    def __init__(
        self,
        asked: Asked,
        machine: Machine,
        log: EventLog,
        *,
        token: str,
        clone_address: str,
        git_authorization: str,
        reached: Callable[[SessionState], None],
        keep_diff: Callable[[str], None],
        keep_conversation: Callable[[str, list[str]], None],
    ) -> None:
        self._asked = asked
        self._machine = machine
        self._log = log
        self._token = token
        self._clone = task.clone(asked, clone_address, git_authorization)
        self._reached = reached
        self._keep_diff = keep_diff
        self._keep_conversation = keep_conversation
        self._follow_ups: asyncio.Queue[str] = asyncio.Queue()
        self._base = ""
        self._pushed = ""
        self._conversation: str | None = None
        self._problem: str | None = None

    def follow_up(self, text: str) -> None:
        """Ask the agent for more, as soon as it is done with what it does."""
        self._follow_ups.put_nowait(text)

    async def run(self) -> SessionEnded:
        """Take the session to its end; why it ended. The machine may still be there."""
        flushing = asyncio.create_task(self._flush_now_and_then())
        try:
            await self._begin()
            prompt: str | None = self._asked.task
            while prompt is not None:
                await self._turn(prompt)
                prompt = await self._next()
        except SessionEnded as ended:
            return ended
        except MachineError as error:
            await asyncio.wait({self._machine.ended}, timeout=_PATIENCE)
            if self._machine.ended.done():
                return SessionEnded(self._machine.ended.result())
            return SessionEnded(End.FAILED, error.code)
        finally:
            flushing.cancel()
        return SessionEnded(End.FINISHED if self._problem is None else End.FAILED, self._problem)

    # -- steps -----------------------------------------------------------------------------------

    async def _begin(self) -> None:
        self._reached(SessionState.CLONING)
        status, said = await self._said(self._clone)
        self._log.add("git", step="clone", ok=status == 0, text=said)
        if status != 0:
            raise SessionEnded(End.FAILED, "clone_failed")
        status, said = await self._said(task.prepare(self._asked))
        if status != 0:
            self._log.add("git", step="branch", ok=False, text=said)
            raise SessionEnded(End.FAILED, "clone_failed")
        self._base = self._pushed = said.split()[-1]

    async def _turn(self, prompt: str) -> None:
        self._reached(SessionState.WORKING)
        self._log.add("prompt", text=prompt)
        status = await self._work(prompt)
        self._problem = None if status == 0 else "agent_failed"
        if status != 0:
            self._log.add("output", stream="bailee", text=f"the agent ended with status {status}")
        await self._deliver(prompt)
        await self._save_conversation()
        self._log.flush()

    async def _work(self, prompt: str) -> int:
        lines = {"stdout": task.Lines(), "stderr": task.Lines()}

        def take(stream: str, data: bytes) -> None:
            for line in lines[stream].feed(data):
                self._line(stream, line)

        command = task.work(self._asked, self._token, prompt, self._conversation)
        status = await self._machine.execute(command, take)
        for stream, rest in lines.items():
            for line in rest.end():
                self._line(stream, line)
        return status

    def _line(self, stream: str, line: bytes) -> None:
        event = task.read_line(line) if stream == "stdout" else None
        if event is None:
            self._log.add("output", stream=stream, text=line.decode("utf-8", "replace"))
            return
        named = event.get("session_id")
        # It came from the guest: nothing but an id goes into a command or a row.
        if self._conversation is None and isinstance(named, str) and _ID.fullmatch(named):
            self._conversation = named
        self._log.add("agent", event=event)

    async def _deliver(self, prompt: str) -> None:
        """Commit what is changed, keep the patch, push what is new."""
        status, said = await self._said(task.commit(prompt))
        if status != 0:
            self._log.add("git", step="commit", ok=False, text=said)
            self._problem = "not_committed"
            return
        status, now_at = await self._said(task.head())
        if status != 0 or now_at.strip() == self._pushed:
            return
        patch, cut = await self._printed(task.changes(self._base), LARGEST_DIFF)
        text = patch.decode("utf-8", "replace")
        self._keep_diff(text + ("\n[the rest is left out]\n" if cut else ""))
        status, said = await self._said(task.push(self._asked))
        self._log.add("git", step="push", ok=status == 0, text=said)
        if status == 0:
            self._pushed = now_at.strip()
        else:
            self._problem = "not_pushed"

    async def _save_conversation(self) -> None:
        if self._conversation is None:
            return
        command = task.conversation(self._asked, self._conversation)
        records: list[str] = []
        if command is not None:
            printed, cut = await self._printed(command, 32 << 20)
            records = [] if cut else printed.decode("utf-8", "replace").splitlines()
        self._keep_conversation(self._conversation, records)

    async def _next(self) -> str | None:
        """The next follow-up; None when none comes in time."""
        if self._follow_ups.empty() and self._asked.linger <= 0:
            return None
        self._reached(SessionState.WAITING)
        asked: asyncio.Future[str] = asyncio.ensure_future(self._follow_ups.get())
        try:
            first: set[asyncio.Future[str] | asyncio.Future[End]] = {asked, self._machine.ended}
            await asyncio.wait(
                first,
                timeout=max(self._asked.linger, 0.001),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if asked.done():
                return asked.result()
            if self._machine.ended.done():
                raise SessionEnded(self._machine.ended.result())
            return None
        finally:
            asked.cancel()

    # -- inside ----------------------------------------------------------------------------------

    async def _said(self, command: Command) -> tuple[int, str]:
        """A command's status, and what it said, as far as a person wants to read it."""
        said = bytearray()

        def take(_stream: str, data: bytes) -> None:
            said.extend(data[: max(0, _LARGEST_SAID - len(said))])

        status = await self._machine.execute(command, take)
        return status, bytes(said).decode("utf-8", "replace").strip()

    async def _printed(self, command: Command, most: int) -> tuple[bytes, bool]:
        """What a command printed on standard output, and whether it was more than that."""
        printed, cut = bytearray(), False

        def take(stream: str, data: bytes) -> None:
            nonlocal cut
            if stream == "stdout":
                room = most - len(printed)
                printed.extend(data[: max(0, room)])
                cut = cut or len(data) > room

        await self._machine.execute(command, take)
        return bytes(printed), cut

    async def _flush_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            self._log.flush()

"""What a person does to a session before it is forgotten: keeps it, takes that back, exports it.

Rows: O7.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Final

from bailee.agent.conversation import Conversation, text_of
from bailee.agent.ports import Message, Transcripts
from bailee.client.keeping import KeptSessions
from bailee.client.machine import ClientMachine
from bailee.errors import InputError, StorageError
from bailee.words import Words


class PersonKeeps:
    """A `picking.Acts` over the machine's own transcripts; exports go into `folder`. The picker
    calls it on the event loop's thread. It never overwrites a file.
    """

    def __init__(
        self, machine: ClientMachine, store: Transcripts, folder: Path, words: Words
    ) -> None:
        self.store = store
        self._machine: Final = machine
        self._folder: Final = folder
        self._words: Final = words

    def kept(self) -> dict[str, datetime]:
        """Which sessions are kept, and until when."""
        return self._machine.kept("bailee")

    def keep(self, session: str) -> datetime:
        """Keep one for as long as the policy has it by itself; until when. Raises as
        `ClientMachine.keep` does.
        """
        return self._machine.keep("bailee", session, None).until

    def release(self, session: str) -> None:
        """Take it back. Raises as `KeptSessions.release` does."""
        KeptSessions(self._machine.data).release("bailee", session, self._machine.clock())

    def export(self, session: str) -> Path:
        """Write one as Markdown; the file.

        Raises:
            InputError: such a file is there.
            StorageError: it can't be read or written.
        """
        text = as_markdown(Conversation(self.store.load(session)).messages, self._words)
        target = self._folder / f"session-{session[:8]}.md"
        try:
            with target.open("x", encoding="utf-8", errors="replace") as opened:
                opened.write(text)
        except FileExistsError:
            raise InputError(self._words("command.exists", file=target)) from None
        except OSError as error:
            why = self._words("command.not_written", file=target, why=error.strerror)
            raise StorageError(why) from None
        return target


def as_markdown(messages: list[Message], words: Words) -> str:
    """A conversation for people to read. Pure."""
    parts = []
    for message in messages:
        if text := text_of(message["content"]):
            who = words("command.you" if message["role"] == "user" else "command.agent")
            parts.append(f"## {who}\n\n{text}")
        for block in message["content"]:
            if block["type"] == "tool_use":
                arguments = json.dumps(block["input"], ensure_ascii=False, indent=1)
                parts.append(f"### {block['name']}\n\n```json\n{arguments}\n```")
            elif block["type"] == "tool_result":
                said = block["content"]
                shown = said if isinstance(said, str) else words("command.not_text")
                fence = "`" * max(3, *(len(r) + 1 for r in _runs(shown)), 3)
                parts.append(f"{fence}\n{shown}\n{fence}")
    return "\n\n".join(parts) + "\n"


def _runs(text: str) -> list[str]:
    return re.findall("`+", text) or [""]

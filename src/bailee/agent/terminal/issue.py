"""After a report: a public issue, if the person wants one. They see it, edit it, and open it.

* The draft is made without the transcript; secrets are taken out of it, and again out of what an
  editor made of it.
* It is opened in the browser, filled in, or filed with the person's own token. Else nothing goes.

Rows: F2.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import tempfile
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path

from bailee.agent.assembly import variables
from bailee.agent.terminal.screen import Choice, Screen
from bailee.client import public_issue
from bailee.client.bug_report import IssueDraft, issue
from bailee.client.machine import ClientMachine
from bailee.errors import InputError


async def offer(
    screen: Screen,
    machine: ClientMachine,
    description: str,
    errors: Sequence[str],
    environment: dict[str, str],
) -> None:
    """Asks whether an issue is wanted, where a repository is set for that."""
    words = screen.words
    chosen = machine.settings.values.get("feedbackRepository")
    if chosen is None or not machine.flow("bug_report").on:
        return
    made = issue(str(chosen.value), description, errors=errors, environment=environment)
    screen.say(words("issue.question", repository=made.repository))
    choices = [
        Choice("e", "edit", words("issue.edit")),
        Choice("b", "browser", words("issue.browser")),
    ]
    secret = public_issue.token(machine)
    if secret is not None:
        choices.append(Choice("f", "file", words("issue.file")))
    choices.append(Choice("n", "no", words("issue.no")))
    while True:
        _show(screen, made)
        chosen_now = await screen.choose(choices, default="no")
        if chosen_now == "edit":
            made = await _edited(screen, variables(machine), made)
        elif chosen_now == "browser":
            _open(screen, made.url)
            return
        elif chosen_now == "file" and secret is not None:
            address = await asyncio.to_thread(public_issue.file, machine, made, secret)
            screen.say(words("issue.filed", address=address))
            return
        else:
            screen.say(words("issue.none"))
            return


def _show(screen: Screen, made: IssueDraft) -> None:
    screen.say(f"── {made.title}")
    screen.say(made.body)
    for secret in made.removed:
        told = screen.words("issue.removed", kind=secret.kind, beginning=secret.beginning)
        screen.say(told, "dim", indent=2)


async def _edited(screen: Screen, held: Mapping[str, str], made: IssueDraft) -> IssueDraft:
    """What the person's editor made of it: the first line is the title."""
    words = screen.words
    editor = held.get("VISUAL") or held.get("EDITOR")
    if not editor:
        title = await screen.ask(words("issue.title", title=made.title[:40]))
        body = await screen.ask(words("issue.body"))
        return made.edited(title or made.title, body or made.body)
    # In the person's own folder for temporary files, for them alone, and gone afterwards.
    with tempfile.TemporaryDirectory(prefix="bailee-issue-") as folder:
        file = Path(folder) / "ISSUE.md"
        file.write_text(f"{made.title}\n\n{made.body}\n")
        try:
            command = [*shlex.split(editor), str(file)]
            done = await asyncio.to_thread(subprocess.run, command, check=False)
            text = file.read_text()
        except (OSError, ValueError):
            raise InputError(words("issue.no_editor"), hint=words("issue.no_editor_hint")) from None
    if done.returncode != 0 or not text.strip():
        screen.say(words("issue.unchanged"), "dim")
        return made
    title, _, body = text.strip().partition("\n")
    return made.edited(title, body.strip())


def _open(screen: Screen, address: str) -> None:
    """In the browser where there is one; the address is shown in any case."""
    there = any(os.environ.get(n) for n in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))
    opened = there and webbrowser.open(address)
    screen.say(screen.words("issue.opened" if opened else "issue.open_this"))
    if not opened:
        screen.say(address)

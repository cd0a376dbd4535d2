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
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bailee.agent.terminal.asking import ask_line, choose
from bailee.client import public_issue
from bailee.client.bug_report import Issue, issue
from bailee.errors import InputError
from bailee.shown import lines as visible

if TYPE_CHECKING:
    from bailee.agent.terminal.app import Terminal


async def offer(
    app: Terminal, description: str, errors: Sequence[str], environment: dict[str, str]
) -> None:
    """Asks whether an issue is wanted, where a repository is set for that."""
    chosen = app.machine.settings.values.get("feedbackRepository")
    if chosen is None or not app.machine.flow("bug_report").on:
        return
    made = issue(str(chosen.value), description, errors=errors, environment=environment)
    app.say(f"A public issue at github.com/{made.repository} too? Anyone can read it.")
    while True:
        _show(app, made)
        choices = [
            ("e", "edit", "edit it"),
            ("b", "browser", "open it in the browser, to be sent there"),
        ]
        secret = public_issue.token(app.machine)
        if secret is not None:
            choices.append(("f", "file", "file it now with your own token (GITHUB_TOKEN)"))
        chosen_now = await choose([*choices, ("n", "no", "no issue")], default="no")
        if chosen_now == "edit":
            made = await _edited(app, made)
        elif chosen_now == "browser":
            _open(app, made.url)
            return
        elif chosen_now == "file" and secret is not None:
            address = await asyncio.to_thread(public_issue.file, app.machine, made, secret)
            app.say(f"Filed: {visible(address)}")
            return
        else:
            app.say("No issue is opened.")
            return


def _show(app: Terminal, made: Issue) -> None:
    app.say(f"── {visible(made.title)}")
    app.say(visible(made.body))
    for secret in made.removed:
        app.say(f"  taken out: {secret.kind} {secret.beginning}", "dim")


async def _edited(app: Terminal, made: Issue) -> Issue:
    """What the person's editor made of it: the first line is the title."""
    held = app.session.environment
    editor = held.get("VISUAL") or held.get("EDITOR")
    if not editor:
        title = await ask_line(f"Title (Enter: {made.title[:40]}) ")
        body = await ask_line("Text (Enter: as it is) ")
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
            raise InputError("the editor can't be used.", hint="is EDITOR right?") from None
    if done.returncode != 0 or not text.strip():
        app.say("Left as it was.", "dim")
        return made
    title, _, body = text.strip().partition("\n")
    return made.edited(title, body.strip())


def _open(app: Terminal, address: str) -> None:
    """In the browser where there is one; the address is shown in any case."""
    there = any(os.environ.get(n) for n in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))
    opened = there and webbrowser.open(address)
    app.say("Opened in the browser. Nothing is public until you send it there." if opened else
            "Open this in a browser; nothing is public until you send it there:")  # fmt: skip
    if not opened:
        app.say(address)

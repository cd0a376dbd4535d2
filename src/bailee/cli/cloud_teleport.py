"""Bringing a cloud session to this machine: its branch into a clone, its conversation to the agent.

The branch is fetched by the person's own git with the person's own credential: nothing of the
session's is used here. The agent's records become a local transcript, kept and forgotten like any
other; where none are kept on this machine, that is said and nothing is written.

Rows: C5.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from bailee.cli.answers import Fields
from bailee.errors import InputError


def bring(session: Fields, folder: Path, remote: str) -> dict[str, object]:
    """Check the session's branch out in `folder` and take over its conversation.

    Raises:
        InputError: the folder is no clone of the repository, has changes of its own, or the branch
            can't be fetched.
    """
    branch = session.text("push_branch")
    root = Path(_git(folder, "rev-parse", "--show-toplevel").strip())
    if _git(root, "status", "--porcelain", "--untracked-files=no").strip():
        raise InputError(
            f"{root} has changes that are not committed.", hint="commit or stash them first"
        )
    _git(root, "fetch", remote, f"refs/heads/{branch}:refs/remotes/{remote}/{branch}")
    _git(root, "checkout", "-B", branch, f"refs/remotes/{remote}/{branch}")
    return {
        "session": session["session"],
        "branch": branch,
        "folder": str(root),
        "conversation": _take_over(session, root),
    }


def _take_over(session: Fields, root: Path) -> str | None:
    """Keep the agent's records here; the conversation's id, if there is one to go on with."""
    if not session["conversation"] or not session["records"] or session["agent"] != "bailee":
        return None
    conversation, records = session.text("conversation"), session.texts("records")
    from bailee.client.machine import ClientMachine

    machine = ClientMachine.open(root)
    transcripts = machine.transcripts()
    if not transcripts.keeps:
        raise InputError(
            "no transcripts are kept on this machine, so there is nothing to continue.",
            hint="the branch is here; cleanupPeriodDays says for how many days they are kept",
        )
    known = len(transcripts.load(conversation))
    for line in records[known:]:
        try:
            record = json.loads(line)
        except ValueError:
            raise InputError("the session's conversation can't be read.") from None
        if record.get("type") == "session":
            record["folder"] = str(root)
        transcripts.append(conversation, record)
    transcripts.close()
    return conversation


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - the person's own
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise InputError("git is not installed here.", code="not_found") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise InputError(
            f"git {arguments[0]}: {said[-1] if said else 'failed'}",
            hint="run it in a clone of the session's repository, or name one with --folder",
        )
    return done.stdout

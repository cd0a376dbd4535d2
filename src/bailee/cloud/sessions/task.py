"""The commands that a session's guest is given, and how what they print is read. Pure.

All of them run as the guest's ordinary user. A person's words reach a command by standard input or
as one argument, never as part of a shell's text.

Rows: C2, C5.
"""

from __future__ import annotations

from typing import Final

import orjson

from bailee.cloud.ports import GUEST_PORTS, Command
from bailee.cloud.sessions.asked import Asked
from bailee.json_values import JsonObject

WORKSPACE: Final = "/workspace"
_PROXY: Final = f"http://127.0.0.1:{GUEST_PORTS['egress']}"
_MODEL: Final = f"http://127.0.0.1:{GUEST_PORTS['model']}"
_GIT: Final[dict[str, str]] = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}
_IDENTITY: Final = ("bailee cloud session", "cloud-session@bailee.invalid")
_LONGEST_SUBJECT: Final = 72
_NOTHING: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # git's empty tree


def clone(asked: Asked, address: str, authorization: str) -> Command:
    """Fetch the repository into the workspace, through the git proxy at `address`. What git shows
    there is noted in the clone, for the agent's own fetches and pushes; it is good at that proxy
    alone, and for as long as the session lasts.
    """
    branch = () if asked.branch is None else ("--branch", asked.branch)
    script = (
        'git -c core.hooksPath=/dev/null clone --quiet --config "http.$0.extraHeader=$SHOWN" '
        '"$@" "$0" .'
    )
    shown = f"Authorization: {authorization}"
    return Command(
        ("sh", "-c", script, address, *branch), environment=_GIT | {"SHOWN": shown}, timeout=1800.0
    )


def prepare(asked: Asked) -> Command:
    """Give the work a branch of its own and print the commit that it begins at."""
    script = (
        'git config user.name "$1" && git config user.email "$2" && '
        'git checkout --quiet -B "$3" && { git rev-parse --verify --quiet HEAD || echo "$4"; }'
    )
    return Command(
        ("sh", "-c", script, "sh", *_IDENTITY, asked.push_branch, _NOTHING),
        environment=_GIT,
        timeout=120.0,
    )


def environment(token: str) -> dict[str, str]:
    """What the agent finds around it: the model, the way out, and nothing that is a secret but the
    session's own token.
    """
    return {
        "ANTHROPIC_BASE_URL": _MODEL,
        "ANTHROPIC_AUTH_TOKEN": token,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        # With no network too: the proxy then says so, which a connection that fails does not.
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), _PROXY),
    }


def work(asked: Asked, token: str, prompt: str, resume: str | None) -> Command:
    """Let the agent carry out `prompt`, or go on with the conversation `resume`."""
    model = () if asked.model is None else ("--model", asked.model)
    going_on = () if resume is None else ("--resume", resume)
    if asked.agent == "claude":
        argv: tuple[str, ...] = (
            "claude", "-p", "--output-format", "stream-json", "--verbose",
            "--dangerously-skip-permissions", *model, *going_on,
        )  # fmt: skip
    else:
        argv = (
            "bailee", "code", "-p", "--output-format", "stream-json", "--no-sandbox",
            "--allowed-tools", "Bash,Edit,Write", *model, *going_on,
        )  # fmt: skip
    return Command(argv, environment=environment(token), stdin=prompt.encode())


def commit(prompt: str) -> Command:
    """Commit whatever is changed; nothing, if nothing is."""
    script = "git add --all && { git diff --cached --quiet || git commit --quiet -F -; }"
    return Command(
        ("sh", "-c", script), environment=_GIT, stdin=subject(prompt).encode(), timeout=600.0
    )


def subject(prompt: str) -> str:
    r"""The first line of a commit's message, from what was asked.

    >>> subject("Mend the orchard's\nfence.")
    "Mend the orchard's"
    """
    first = prompt.strip().splitlines()[0]
    line = "".join(c for c in first if c.isprintable()).strip() or "Do as was asked"
    return line if len(line) <= _LONGEST_SUBJECT else line[: _LONGEST_SUBJECT - 1] + "…"


def changes(base: str) -> Command:
    """Print all that changed since the session began, as a patch."""
    return Command(
        ("git", "diff", "--no-color", "--no-ext-diff", "--binary", base, "HEAD"),
        environment=_GIT,
        timeout=300.0,
    )


def head() -> Command:
    """Print the commit that the work has come to."""
    return Command(("git", "rev-parse", "HEAD"), environment=_GIT, timeout=60.0)


def push(asked: Asked) -> Command:
    """Push the work to the session's branch."""
    return Command(
        ("git", "push", "--porcelain", "origin", f"HEAD:refs/heads/{asked.push_branch}"),
        environment=_GIT,
        timeout=1800.0,
    )


def conversation(asked: Asked, session: str) -> Command | None:
    """Print the agent's own records of its conversation, a line of JSON each."""
    if asked.agent != "bailee":
        return None
    return Command(("bailee", "local", "export", session), timeout=120.0)


class Lines:
    """Output cut into lines, whatever pieces it comes in. What is longer than `longest` is cut."""

    def __init__(self, longest: int = 4 << 20) -> None:
        self._longest = longest
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are whole now."""
        self._rest += data
        *whole, rest = self._rest.split(b"\n")
        self._rest = bytearray(rest[: self._longest])
        return [bytes(line[: self._longest]) for line in whole]

    def end(self) -> list[bytes]:
        """What is left without a line's end."""
        rest, self._rest = bytes(self._rest), bytearray()
        return [rest] if rest else []


def read_line(line: bytes) -> JsonObject | None:
    """A line of the agent's as the object it is; None if it is none."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("type"), str) else None

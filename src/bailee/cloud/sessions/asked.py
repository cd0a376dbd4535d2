"""What a person asks of a cloud session, checked. Pure.

The branch that is pushed to always begins with `bailee/`, so that no session reaches a branch that
people work on.

Rows: C2, C5.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Final, Literal

import msgspec

from bailee.cloud.git import Repository
from bailee.errors import InputError

Network = Literal["none", "trusted", "full"]
Agent = Literal["bailee", "claude"]
NETWORKS: Final = ("none", "trusted", "full")
AGENTS: Final = ("bailee", "claude")
PREFIX: Final = "bailee/"
LONGEST_TASK: Final = 100_000
_BRANCH: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}", re.A)


@dataclass(frozen=True, slots=True)
class Asked:
    """A session as it was asked for. `branch`: where to begin (None: the default branch).
    `push_branch`: the only branch that can be pushed to. `linger`: for how many seconds after the
    task a follow-up is waited for. `model`: the one that the agent asks for, if not its own choice.
    """

    task: str
    repository: str
    branch: str | None
    push_branch: str
    network: str
    agent: str
    linger: float
    model: str | None = None

    def as_object(self) -> dict[str, object]:
        """As it is kept."""
        return asdict(self)

    @classmethod
    def of(cls, kept: object) -> Asked:
        """What `as_object` gave, from where it was kept."""
        return msgspec.convert(kept, cls)


@dataclass(frozen=True, slots=True)
class WantedSession:
    """A session as somebody says it; what is None, or empty, they leave to the settings. Nothing of
    it is checked yet.
    """

    task: str
    repository: str
    branch: str | None = None
    push_branch: str | None = None
    network: str | None = None
    agent: str | None = None
    linger: float | None = None
    model: str | None = None


def read(wanted: WantedSession, session: str, *, network: str, linger: float, plain: bool) -> Asked:
    """What was asked for, checked; `network` and `linger` are what holds when nothing is
    said; `plain`: whether a repository may be reached without TLS.

    Raises:
        InputError: something is missing, or is not what it should be.
    """
    if not wanted.task.strip():
        raise InputError("there is no task.", hint='bailee cloud start --repo URL "what to do"')
    if len(wanted.task) > LONGEST_TASK:
        raise InputError("the task is too long.", code="request_too_large")
    agent, asked_network = wanted.agent or "bailee", wanted.network or network
    if agent not in AGENTS:
        raise InputError(f"there is no agent {agent!r}.", hint="bailee, or claude")
    if asked_network not in NETWORKS:
        raise InputError(f"{asked_network!r} is not a network level.", hint="none, trusted or full")
    asked_linger = linger if wanted.linger is None else wanted.linger
    if not 0 <= asked_linger <= 86_400:
        raise InputError("the time to wait for follow-ups is from 0 to 86,400 seconds.")
    pushed = wanted.push_branch or session
    return Asked(
        wanted.task.strip(),
        repository(wanted.repository, plain=plain),
        _branch(wanted.branch, "--branch") if wanted.branch else None,
        _branch(PREFIX + pushed.removeprefix(PREFIX), "--push-branch"),
        asked_network,
        agent,
        float(asked_linger),
        _word(wanted.model) if wanted.model else None,
    )


def repository(given: str, *, plain: bool) -> str:
    """The repository's address, as the git proxy takes it. `plain`: without TLS will do.

    Raises:
        InputError: it is none, or a name or a password is in it.
    """
    if not given:
        raise InputError("there is no repository.", hint="--repo https://HOST/OWNER/NAME")
    read_as = Repository.read(given, plain=plain)
    return f"{'https' if read_as.tls else 'http'}://{read_as.authority}{read_as.path}"


def _branch(name: str, what: str) -> str:
    """A branch's name by git's own rules (check-ref-format), and of plain characters only."""
    if (
        not _BRANCH.fullmatch(name)
        or ".." in name
        or "//" in name
        or name.endswith(("/", "."))
        or any(part.startswith(".") or part.endswith(".lock") for part in name.split("/"))
    ):
        raise InputError(
            f"{what} is not the name of a branch.", hint="use letters, digits and . _ / -"
        )
    return name


def _word(name: str) -> str:
    if not _BRANCH.fullmatch(name.replace(":", "-")):
        raise InputError("--model is not the name of a model.")
    return name

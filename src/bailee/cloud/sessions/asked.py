"""What a person asks of a cloud session, checked. Pure.

The branch that is pushed to always begins with `bailee/`, so that no session reaches a branch that
people work on.

Rows: C2, C5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

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

    def as_object(self) -> dict[str, Any]:
        """As it is kept."""
        return asdict(self)


def read(
    arguments: Mapping[str, Any], session: str, *, network: str, linger: float, plain: bool
) -> Asked:
    """What was asked for, checked; `network` and `linger` are what holds when nothing is
    said; `plain`: whether a repository may be reached without TLS.

    Raises:
        InputError: something is missing, or is not what it should be.
    """
    task = arguments.get("task")
    if not isinstance(task, str) or not task.strip():
        raise InputError("there is no task.", hint='bailee cloud start --repo URL "what to do"')
    if len(task) > LONGEST_TASK:
        raise InputError("the task is too long.", code="request_too_large")
    agent = arguments.get("agent") or "bailee"
    asked_network = arguments.get("network") or network
    if agent not in AGENTS:
        raise InputError(f"there is no agent {agent!r}.", hint="bailee, or claude")
    if asked_network not in NETWORKS:
        raise InputError(f"{asked_network!r} is no network level.", hint="none, trusted or full")
    asked_linger = arguments.get("linger")
    if asked_linger is None:
        asked_linger = linger
    if not isinstance(asked_linger, int | float) or not 0 <= asked_linger <= 86_400:
        raise InputError("the time to wait for follow-ups is from 0 to 86,400 seconds.")
    branch, model = arguments.get("branch") or None, arguments.get("model") or None
    pushed = arguments.get("push_branch") or session
    return Asked(
        task.strip(),
        repository(arguments.get("repository"), plain=plain),
        None if branch is None else _branch(branch, "--branch"),
        _branch(PREFIX + pushed.removeprefix(PREFIX), "--push-branch"),
        asked_network,
        agent,
        float(asked_linger),
        None if model is None else _word(model),
    )


def repository(given: object, *, plain: bool) -> str:
    """The repository's address, as the git proxy takes it. `plain`: without TLS will do.

    Raises:
        InputError: it is none, or a name or a password is in it.
    """
    if not isinstance(given, str) or not given:
        raise InputError("there is no repository.", hint="--repo https://HOST/OWNER/NAME")
    read_as = Repository.read(given, plain=plain)
    return f"{'https' if read_as.tls else 'http'}://{read_as.authority}{read_as.path}"


def _branch(name: object, what: str) -> str:
    """A branch's name by git's own rules (check-ref-format), and of plain characters only."""
    if (
        not isinstance(name, str)
        or not _BRANCH.fullmatch(name)
        or ".." in name
        or "//" in name
        or name.endswith(("/", "."))
        or any(part.startswith(".") or part.endswith(".lock") for part in name.split("/"))
    ):
        raise InputError(
            f"{what} is no name of a branch.", hint="letters, digits and . _ / - make one"
        )
    return name


def _word(name: object) -> str:
    if not isinstance(name, str) or not _BRANCH.fullmatch(name.replace(":", "-")):
        raise InputError("--model is no name of a model.")
    return name

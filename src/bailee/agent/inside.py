"""What is agreed on between the sandbox and what runs in it. Pure; imported at every start."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bailee.records import dataclass

GIT_CONFIG: Final = "/tmp/bailee-gitconfig"  # noqa: S108 - in the sandbox's own
"""Where git finds the person's settings, inside."""
PORT: Final = 3128
"""Where the proxy is, inside."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What a person lets commands have: `read`, folders and files beside the workspace; `hidden`,
    what stays out of sight wherever it lies; `names`, which are no settings and which they may
    write in the workspace.
    """

    read: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    names: tuple[str, ...] = ()


def inside_variables() -> dict[str, str]:
    """What commands inside need to be told. Git remembers no resolution of a conflict there, nor
    applies one: it would read and write what its notes name, anywhere.
    """
    return {
        "TMPDIR": "/tmp",  # noqa: S108
        "GIT_CONFIG_GLOBAL": GIT_CONFIG,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "rerere.enabled",
        "GIT_CONFIG_VALUE_0": "false",
    }

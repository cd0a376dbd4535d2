"""Whether commands run in a sandbox, and in which: what this machine has, and what is said of it.

Inside: the system and toolchains to read, the workspace to write, no other processes, no way to
the session's sockets and keys, and no network but what `egress` lets through, if the settings allow
hosts (`confining`). Of the person's variables a command gets the known ones, sandbox or not
(`variables`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from bailee.agent import variables
from bailee.agent.inside import PORT, Granted, inside_variables
from bailee.agent.programs import beyond
from bailee.records import dataclass
from bailee.words import Words

if TYPE_CHECKING:  # what a start needs none of
    from bailee.agent.confining import SandboxedCommand

Why = Literal["off", "missing", "broken", "forbidden"]
_NOTHING: Final = Granted()


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Whether commands run in a sandbox, and in which. `program` None: they don't, and `why` names
    why not. `hosts`: what commands may reach, by the proxy alone. `granted`, `names`: the folders
    and variables that the person adds.
    """

    program: str | None
    why: Why = "off"
    hosts: tuple[str, ...] = ()
    granted: Granted = _NOTHING
    names: tuple[str, ...] = ()

    def label(self, words: Words) -> str:
        """A word or two for the status line."""
        if self.program is None:
            return words("sandbox.label_none")
        if not self.hosts:
            return words("sandbox.label_closed")
        return words.count("sandbox.label_hosts", len(self.hosts))

    def sentence(self, words: Words) -> str:
        """What the model is told, and a person."""
        if self.program is None:
            return words("sandbox.none", why=words(f"sandbox.why_{self.why}"))
        if not self.hosts:
            return words("sandbox.closed")
        return words("sandbox.hosts", hosts=words("list.comma").join(self.hosts))

    def confine(
        self,
        roots: Sequence[Path],
        environment: Mapping[str, str],
        egress: Path | None = None,
    ) -> SandboxedCommand | None:
        """The surroundings of one command, the first of `roots` its folder; `egress` is the proxy's
        socket. None where there is no sandbox. Blocks.
        """
        if self.program is None:
            return None
        from bailee.agent.confining import SandboxedCommand

        return SandboxedCommand(self.program, roots, environment, self.granted, egress)

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """What of the person's variables a command gets. In the sandbox their proxy, whose address
        may hold a password, is out of reach: programs are led to the sandbox's own, if it has one.
        """
        made = variables.for_commands(given, self.names, proxies=self.program is None)
        if self.program is None:
            return made
        made |= inside_variables()
        if not self.hosts:
            return made
        at = f"http://127.0.0.1:{PORT}"
        led = {name: at for proxy in variables.PROXIES[:3] for name in (proxy, proxy.lower())}
        return {**made, **led, "NO_PROXY": "", "no_proxy": "", "NODE_USE_ENV_PROXY": "1"}


def find(
    *,
    wanted: bool = True,
    hosts: Sequence[str] = (),
    granted: Granted = _NOTHING,
    names: Sequence[str] = (),
    roots: Sequence[Path] = (),
) -> Sandbox:
    """The sandbox this machine has, tried out once; its program lies in none of `roots`."""
    if not wanted:
        return Sandbox(None, "off", names=tuple(names))
    program = shutil.which("bwrap", path=beyond(os.environ, roots)["PATH"])
    if program is None:
        return Sandbox(None, "missing", names=tuple(names))
    trial = (
        *("--unshare-user-try", "--unshare-pid", "--unshare-net", "--cap-drop", "ALL"),
        *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"),  # noqa: S108
    )
    try:
        done = subprocess.run(  # noqa: S603
            [program, *trial, "true"], capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return Sandbox(None, "broken", names=tuple(names))
    if done.returncode != 0:
        return Sandbox(None, "forbidden", names=tuple(names))
    return Sandbox(program, hosts=tuple(hosts), granted=granted, names=tuple(names))

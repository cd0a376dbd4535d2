"""Whether commands run in a sandbox, and in which: what this machine has, and what is said of it.

Inside: the system and toolchains to read, the workspace to write, no other processes, no way to
the session's sockets and keys, and no network but what `egress` lets through, if the settings allow
hosts (`confining`). Of the person's variables a command gets the known ones, sandbox or not
(`variables`).
"""

from __future__ import annotations

import contextlib
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


class SandboxTrial:
    """A sandbox that is tried out while its owner does other things: a process that does nothing,
    and ends by itself. Whoever wants to know hands it to `find`; on any thread, once.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        """Begins it, with a program that lies in none of `roots`."""
        self.program: Final = shutil.which("bwrap", path=beyond(os.environ, roots)["PATH"])
        self._process: subprocess.Popen[bytes] | None = None
        if self.program is None:
            return
        line = (
            *(self.program, "--unshare-user-try", "--unshare-pid", "--unshare-net"),
            *("--cap-drop", "ALL", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
            *("--tmpfs", "/tmp", "true"),  # noqa: S108
        )
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(  # noqa: S603
                line,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )

    def failure(self) -> Why | None:
        """Why there is none; None: there is one. Waits for its end, for ten seconds at most."""
        if self.program is None:
            return "missing"
        if self._process is None:
            return "broken"
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            return "broken"
        return "forbidden" if self._process.returncode else None


def find(
    *,
    wanted: bool = True,
    hosts: Sequence[str] = (),
    granted: Granted = _NOTHING,
    names: Sequence[str] = (),
    roots: Sequence[Path] = (),
    trial: SandboxTrial | None = None,
) -> Sandbox:
    """The sandbox this machine has, tried out once (`trial`, where that was begun before); its
    program lies in none of `roots`.
    """
    if not wanted:
        return Sandbox(None, "off", names=tuple(names))
    trial = trial or SandboxTrial(roots)
    if (why := trial.failure()) is not None:
        return Sandbox(None, why, names=tuple(names))
    return Sandbox(trial.program, hosts=tuple(hosts), granted=granted, names=tuple(names))

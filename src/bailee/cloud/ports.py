"""How a session, a machine and what serves it meet. No implementation is here.

A machine is isolated: whatever leaves it leaves through a stream that a program inside opened to
one of the machine's services, and each service is a function of the host that is given that
stream. A service that was not named when the machine was started does not exist inside.

Inside the guest, on its loopback:

    127.0.0.1:3128   service "egress"   an HTTP proxy (HTTP_PROXY, HTTPS_PROXY)
    127.0.0.1:8418   service "git"      git's smart HTTP
    127.0.0.1:8787   service "model"    the Messages API of the gateway
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from bailee.outbound.streams import Writer

GUEST_PORTS: Final[Mapping[str, int]] = {"egress": 3128, "git": 8418, "model": 8787}
"""The service behind each port of the guest's loopback."""


Service = Callable[[asyncio.StreamReader, "Writer"], Awaitable[None]]
"""Serves one stream from its first byte to its end; it closes the stream itself."""

Output = Callable[[str, bytes], None]
"""Takes a piece of a command's output: `stdout` or `stderr`, and the bytes. Must not block."""


class End(StrEnum):
    """Why a machine, or the session in it, ended."""

    FINISHED = "finished"  # the task came to its end
    FAILED = "failed"  # the task could not be carried out; the machine was well
    STOPPED = "stopped"  # somebody asked for it
    WALL_CLOCK = "wall_clock"  # the longest time was reached
    IDLE = "idle"  # nothing happened for too long
    DISK = "disk"  # the scratch disk is full
    EGRESS = "egress"  # the egress policy ends the session
    GUEST_CRASHED = "guest_crashed"  # the guest's kernel or agent died
    MACHINE_KILLED = "machine_killed"  # the emulator's process died
    RUNNER_LOST = "runner_lost"  # the host process that led it died
    REFUSED = "refused"  # it was never started


@dataclass(frozen=True, slots=True)
class MachineLimits:
    """What one machine may use. Sizes in bytes, times in seconds."""

    memory: int = 1 << 30
    cpus: int = 1
    disk: int = 8 << 30
    processes: int = 512
    wall_clock: float = 2 * 3600.0
    idle: float = 20 * 60.0


@dataclass(frozen=True, slots=True)
class Command:
    """A command to run in the guest, as its ordinary user unless `root`.

    `argv` is not given to a shell. `timeout` in seconds; past it the command's whole process group
    is killed and the status is 124.
    """

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = "/workspace"
    stdin: bytes = b""
    timeout: float | None = None
    root: bool = False


class Machine(Protocol):
    """A machine that runs."""

    @property
    def ended(self) -> asyncio.Future[End]:
        """Done when the machine is gone, by itself or because `destroy` was called."""

    @property
    def security(self) -> str:
        """What isolates it: `kvm`, or `emulation`, which is for development."""

    async def execute(self, command: Command, output: Output) -> int:
        """Run a command and return its exit status; 128 + N when signal N killed it.

        Raises:
            MachineError: the machine ended before the command did.
        """

    async def destroy(self, reason: End) -> None:
        """End it and wait until process, disk and memory are gone. May be called again."""


class Machines(Protocol):
    """What starts machines."""

    async def start(
        self, session: str, services: Mapping[str, Service], limits: MachineLimits
    ) -> Machine:
        """Start one for a session, ready to execute commands.

        Raises:
            MachineError: code `no_machine`: none can be had here, and the hint says what is
                missing. There is never a weaker sandbox in its place.
        """

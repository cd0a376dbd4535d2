"""Real machines for tests: one image for the whole run, cached by its content under `.images/`, or
in the folder that the environment names, which several checkouts may have in common.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
from collections.abc import Awaitable, Mapping
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest
import uvloop

from bailee.cloud.image import store
from bailee.cloud.image.build import build
from bailee.cloud.machine import QemuMachines
from bailee.cloud.machine.command_line import Accelerator
from bailee.cloud.machine.machine import QemuMachine
from bailee.cloud.machine.machines import see_that_it_can_be
from bailee.cloud.ports import Command, End, MachineLimits, Service
from bailee.errors import MachineError
from support.servers.short_index import short_index

ROOT = Path(__file__).parents[3]
IMAGES = Path(os.environ.get(store.VARIABLE, ROOT / ".images"))
NAME = f"tests-{hashlib.sha256(bytes(ROOT)).hexdigest()[:12]}"  # of this checkout's image
LIMITS = MachineLimits(memory=512 << 20, disk=512 << 20)
# What makes a server's machines like those above: all are then started from one template.
SETTINGS = {
    "BAILEE_CLOUD_IMAGES": str(IMAGES),
    "BAILEE_CLOUD_IMAGE": NAME,
    "BAILEE_CLOUD_MEMORY_MB": str(LIMITS.memory >> 20),
    "BAILEE_CLOUD_DISK_MB": str(LIMITS.disk >> 20),
}
T = TypeVar("T")


def extra() -> list[str]:
    """What is in the tests' image besides: a package from each source that this machine has."""
    return ["jq", "pypi:cowsay", *(["npm:semver"] if shutil.which("npm") else [])]


def image() -> store.Image:
    """The image of this checkout; skips the test when no machine can be had here."""
    built = _built()
    if isinstance(built, str):
        pytest.skip(f"a virtual machine: {built}")
    return built


@cache
def _built() -> store.Image | str:
    """The image, or why there is none; found out once in a run, by the first process of it that
    needs to know.
    """
    try:
        see_that_it_can_be(LIMITS)
        IMAGES.mkdir(parents=True, exist_ok=True)
        with (IMAGES / f".{NAME}").open("a+") as run:
            fcntl.flock(run, fcntl.LOCK_EX)
            run.seek(0)
            ours = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
            if ours and run.read() == ours:
                return store.find(IMAGES, NAME)
            with short_index():
                image = build(IMAGES, name=NAME, extra=extra())
            run.truncate(0)
            run.write(ours)
            return image
    except MachineError as error:
        return error.message


class Town:
    """An event loop with machines of the tests' image, emulated: what every machine can do."""

    def __init__(self, *, templates: Path | None = IMAGES / "templates") -> None:
        self.image = image()
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.machines = QemuMachines(
            self.image, templates=templates, accelerator=Accelerator.EMULATION
        )
        self._started: list[QemuMachine] = []

    def run(self, work: Awaitable[T]) -> T:
        """Run something on the loop, for five minutes at most."""

        async def bounded() -> T:
            async with asyncio.timeout(300):
                return await work

        return self._runner.run(bounded())

    def start(
        self, services: Mapping[str, Service] | None = None, limits: MachineLimits = LIMITS
    ) -> QemuMachine:
        """Start a machine; `close` ends it."""
        machine = self.run(self.machines.start("test", services or {}, limits))
        self._started.append(machine)
        return machine

    def told(self, machine: QemuMachine, *argv: str, **how: object) -> tuple[int, str, str]:
        """Run a command: exit status, standard output, standard error."""
        out: dict[str, bytes] = {"stdout": b"", "stderr": b""}

        def take(name: str, data: bytes) -> None:
            out[name] += data

        status = self.run(machine.execute(Command(argv, **how), take))  # type: ignore[arg-type]
        return status, out["stdout"].decode(), out["stderr"].decode()

    def ended(self, machine: QemuMachine) -> End:
        """Wait until a machine has ended, and give the reason."""

        async def wait() -> End:
            return await asyncio.shield(machine.ended)

        return self.run(wait())

    def close(self) -> None:
        """End every machine."""
        for machine in self._started:
            self.run(machine.destroy(End.STOPPED))
        self._runner.close()

"""Templates: a guest that has started, kept, so that machines need not start from nothing.

A template is made once for an image, a QEMU, a host and the machine's size; it is a folder with
the guest's memory, the rest of its state, and its scratch disk. A machine maps the memory
copy-on-write, so what it does not change it shares with the template and with every other.

Rules kept here:

* A template is made before any session and has served none: it holds no token, no content, and no
  entropy that is used. Each machine made from it is given its own entropy and the time.
* It is put in place whole, by a rename, and believed only if everything it was made of is the same.
* One that can't be restored is removed, and the machine is started from nothing.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import logging
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from bailee.cloud.image.store import Image
from bailee.cloud.machine import disk
from bailee.cloud.machine.command_line import PROGRAM, Accelerator, Memory
from bailee.cloud.machine.process import Emulator
from bailee.cloud.ports import MachineLimits
from bailee.errors import MachineError
from bailee.json_values import JsonObject

log = logging.getLogger(__name__)

FORMAT: Final = 1
_IGNORE_SHARED: Final = [{"capability": "x-ignore-shared", "state": True}]
_EVENTS: Final = [*_IGNORE_SHARED, {"capability": "events", "state": True}]
MAKING: Final = ".making-"
_UNUSED: Final = 14 * 86400.0
_MIGRATION: Final = 120.0
_RESTORE: Final = 30.0


@dataclass(frozen=True, slots=True)
class Template:
    """A template on disk."""

    folder: Path

    @property
    def memory(self) -> Path:
        """The guest's memory."""
        return self.folder / "memory"

    @property
    def state(self) -> Path:
        """The rest of the machine's state."""
        return self.folder / "state"

    @property
    def scratch(self) -> Path:
        """The scratch disk, as the guest left it."""
        return self.folder / "scratch"

    @property
    def exists(self) -> bool:
        """Whether it has been made."""
        return self.folder.is_dir()


def template_for(
    folder: Path, image: Image, limits: MachineLimits, accelerator: Accelerator
) -> Template:
    """Where the template of such machines is, or will be."""
    facts = {
        "format": FORMAT,
        "image": image.digest,
        "emulator": _emulator(),
        "host": _host(),
        "accelerator": accelerator.value,
        "memory": limits.memory,
        "cpus": limits.cpus,
        "disk": disk.size_for(limits.disk),
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return Template(folder / digest[:24])


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time makes templates in a folder. What makers left that were killed, and
    what nobody has used for long, is removed: it holds a guest's memory, if nobody's session.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for found in folder.iterdir():
            unused = time.time() - found.stat().st_mtime > _UNUSED
            if found.name.startswith(MAKING) or (found.is_dir() and unused):
                shutil.rmtree(found, ignore_errors=True)
        yield


class Migration:
    """Waits for what the monitor says of a migration."""

    def __init__(self) -> None:
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def told(self, event: str, data: JsonObject) -> None:
        """Take an event."""
        status = data.get("status")
        if event == "MIGRATION" and status in ("completed", "failed") and not self._over.done():
            self._over.set_result(status)

    async def completed(self, emulator: Emulator, patience: float) -> None:
        """Wait until it has succeeded.

        Raises:
            MachineError: it has not.
        """
        gone = asyncio.create_task(emulator.process.wait())
        either: list[asyncio.Future[str] | asyncio.Future[int]] = [self._over, gone]
        try:
            await asyncio.wait(either, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        if not self._over.done() or self._over.result() != "completed":
            raise MachineError(f"the state was not taken. {' '.join(emulator.said)}".strip())


async def keep(emulator: Emulator, making: Path, migration: Migration) -> None:
    """Stop a guest and keep its state; its memory and scratch disk are in `making` already."""
    monitor = emulator.monitor
    await monitor.run("stop")
    await monitor.run("migrate-set-capabilities", capabilities=_EVENTS)
    with (making / "state").open("wb") as state:
        await monitor.run("getfd", descriptor=state.fileno(), fdname="state")
        await monitor.run("migrate", uri="fd:state")
        await migration.completed(emulator, _MIGRATION)


async def restore(emulator: Emulator, template: Template, migration: Migration) -> None:
    """Give a machine that waits for a state that of the template; it runs then.

    Raises:
        MachineError: it does not take it.
    """
    monitor = emulator.monitor
    os.utime(template.folder)
    await monitor.run("migrate-set-capabilities", capabilities=_EVENTS)
    with template.state.open("rb") as state:
        await monitor.run("getfd", descriptor=state.fileno(), fdname="state")
        await monitor.run("migrate-incoming", uri="fd:state")
        await migration.completed(emulator, _RESTORE)
    await monitor.run("cont")  # it was stopped when its state was kept


def memory_of(template: Template, limits: MachineLimits) -> Memory:
    """A machine's memory on top of a template's."""
    return Memory(limits.memory, template.memory)


def scratch_of(template: Template, scratch: int) -> int:
    """Give an empty scratch disk what the template's has; gives its descriptor."""
    with template.scratch.open("rb") as source:
        disk.copy(source.fileno(), scratch)
    return scratch


def _emulator() -> list[str | int]:
    found = shutil.which(PROGRAM)
    if found is None:
        return []
    changed = Path(found).stat().st_mtime_ns
    return [_version(found, changed), changed]


@cache
def _version(program: str, changed: int) -> str:  # noqa: ARG001 — another file, another version
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout


def _host() -> list[str]:
    about = Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0].splitlines()
    fields = [
        line for line in about if line.startswith(("model", "flags", "stepping", "microcode"))
    ]
    return [platform.release(), *fields]

"""A host that starts a machine, says so, and waits to be killed. Run as a program.

    python machine_host.py SCRATCH IMAGE TEMPLATES

`TEMPLATES` may be `-`: the machine boots. It prints the emulator's process id when it runs.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bailee.cloud.image.store import Image
from bailee.cloud.machine import QemuMachines
from bailee.cloud.machine.command_line import Accelerator
from bailee.cloud.ports import Command
from support.machines.emulated import LIMITS


async def host(scratch: str, image: str, templates: str) -> None:
    """Start a machine, put something on its disk, and stay."""
    machines = QemuMachines(
        Image.load(Path(image)),
        scratch=Path(scratch),
        templates=None if templates == "-" else Path(templates),
        accelerator=Accelerator.EMULATION,
    )
    print("starting", flush=True)
    machine = await machines.start("s", {}, LIMITS)
    await machine.execute(
        Command(["sh", "-c", "echo secret > file; sync"]), lambda name, data: None
    )
    print(machine.process, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(host(*sys.argv[1:]))

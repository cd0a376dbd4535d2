"""A cloud session's machine: how soon it runs a command, what it holds, how fast bytes leave it.

Emulated guests say nothing about KVM ones; the ratios between ways to start do.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from bailee.cloud.image import store
from bailee.cloud.image.build import build
from bailee.cloud.machine import QemuMachines
from bailee.cloud.machine.machine import QemuMachine
from bailee.cloud.ports import Command, End, MachineLimits
from bailee.errors import MachineError
from bench.result import Unavailable

LIMITS = MachineLimits(memory=512 << 20, disk=1 << 30)
STARTS = 5
BYTES = 64 << 20
IMAGES = Path(__file__).parents[1] / ".images"


def unheard(name: str, data: bytes) -> None:
    """Output that nobody wants."""


async def first_command(machines: QemuMachines) -> tuple[float, float, QemuMachine]:
    """Seconds to a machine that is ready, and to the end of its first command."""
    began = time.perf_counter()
    machine = await machines.start("bench", {}, LIMITS)
    ready = time.perf_counter() - began
    await machine.execute(Command(["true"]), unheard)
    return ready, time.perf_counter() - began, machine


def held(process: int) -> tuple[int, int]:
    """What a process has resident, and what of it no other shares; in bytes."""
    fields = dict.fromkeys(("Rss", "Private_Clean", "Private_Dirty"), 0)
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in fields:
            fields[name] = int(value.split()[0]) << 10
    return fields["Rss"], fields["Private_Clean"] + fields["Private_Dirty"]


async def output_rate(machine: QemuMachine) -> float:
    """MB/s of a command's output, from the guest to the host."""
    began = time.perf_counter()
    await machine.execute(Command(["head", "-c", str(BYTES), "/dev/zero"]), unheard)
    return BYTES / (time.perf_counter() - began) / 1e6


async def measure(image: store.Image, templates: Path) -> list[tuple[str, str, str]]:
    """All of it, one machine at a time."""
    booting = QemuMachines(image)
    kind = (await booting.accelerator()).value
    restoring = QemuMachines(image, templates=templates, accelerator=await booting.accelerator())
    began = time.perf_counter()
    await restoring.prepare(LIMITS)
    made = time.perf_counter() - began
    cold, cold_ready, warm, warm_ready = [], [], [], []
    for _ in range(STARTS):
        ready, first, machine = await first_command(booting)
        cold.append(first)
        cold_ready.append(ready)
        cold_memory = held(machine.process)
        await machine.destroy(End.FINISHED)
        ready, first, machine = await first_command(restoring)
        warm.append(first)
        warm_ready.append(ready)
        warm_memory = held(machine.process)
        rate = await output_rate(machine)
        await machine.destroy(End.FINISHED)
    slow, quick = statistics.median(cold), statistics.median(warm)
    return [
        (f"cold boot to first command ({kind})", f"{slow:.2f} s", "1"),
        ("template to first command", f"{quick:.2f} s", f"{slow / quick:.1f} times as soon"),
        ("template, ready", f"{statistics.median(warm_ready):.2f} s", f"its making: {made:.0f} s"),
        (
            "memory, cold boot",
            f"{cold_memory[0] / 1e6:.0f} MB",
            f"{cold_memory[1] / 1e6:.0f} MB private",
        ),
        (
            "memory, template",
            f"{warm_memory[0] / 1e6:.0f} MB",
            f"{warm_memory[1] / 1e6:.0f} MB private",
        ),
        ("output of a command", f"{rate:.0f} MB/s", "through the channel"),
    ]


def main() -> list[tuple[str, str, str]]:
    """See the module."""
    try:
        image = build(IMAGES, name="bench", log=print)
        with tempfile.TemporaryDirectory(dir=IMAGES) as templates:
            return asyncio.run(measure(image, Path(templates)))
    except MachineError as error:
        raise Unavailable(error.message) from None

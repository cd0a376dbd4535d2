"""What bounds QEMU's process from outside, as well as this machine allows an ordinary user.

With a control group of our own (cgroup v2, delegated, as systemd gives with `Delegate=yes`) CPU,
memory and processes are bounded together. Without one, resource limits bound the one process:
address space, files, descriptors, processor time; and it is said that there is no group.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from bailee.cloud.ports import MachineLimits

_ROOT: Final = Path("/sys/fs/cgroup")
_WANTED: Final = {"cpu", "memory", "pids"}
_OVERHEAD: Final = 512 << 20  # QEMU itself: translated code, devices, libraries
_ADDRESSES: Final = 3 << 30  # what it maps besides, most of it never touched
_THREADS: Final = 64
_PERIOD: Final = 100_000


@dataclass(frozen=True, slots=True)
class Confinement:
    """How one process is bounded: `limits` is for `launch.py`, `group` is to be removed after."""

    limits: str
    group: Path | None

    def remove(self) -> None:
        """Remove the control group; its process is gone."""
        if self.group is not None:
            with suppress(OSError):
                self.group.rmdir()


def delegated() -> Path | None:
    """The control group of this process, when groups can be made beside it that bound something."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        (own,) = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
        parent = (_ROOT / own).parent
        given = set((parent / "cgroup.subtree_control").read_text().split())
    except (OSError, ValueError):
        return None
    may = os.access(parent, os.W_OK) and os.access(parent / "cgroup.procs", os.W_OK)
    return parent if may and given >= _WANTED and parent != _ROOT else None


def confine(limits: MachineLimits, disk: int, parent: Path | None) -> Confinement:
    """Bound a machine's process, in a new group below `parent` if there is one."""
    bounds = {
        "AS": limits.memory + _ADDRESSES,
        "FSIZE": max(disk, limits.memory) + (1 << 20),
        "NOFILE": 256,
        "CORE": 0,
        "CPU": int(limits.wall_clock * (limits.cpus + 2)) + 60,
    }
    words = [f"{name}={value}" for name, value in bounds.items()]
    if parent is None:
        return Confinement(",".join(words), None)
    group = parent / f"bailee-{uuid4().hex[:12]}"
    group.mkdir()
    (group / "memory.max").write_text(str(limits.memory + _OVERHEAD))
    with suppress(OSError):  # where there is no swap there is no such file
        (group / "memory.swap.max").write_text("0")
    (group / "pids.max").write_text(str(_THREADS))
    (group / "cpu.max").write_text(f"{_PERIOD * limits.cpus} {_PERIOD}")
    return Confinement(",".join([*words, f"cgroup={group}"]), group)

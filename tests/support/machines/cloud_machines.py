"""What can be seen of machines from outside: their processes, memory and disks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.machines.emulated import IMAGES


def emulators(under: int | None = None) -> set[int]:
    """The processes of QEMU that run our images; only those below a process, if one is named."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if b"qemu-system" in command.split(b"\0")[0] and str(IMAGES).encode() in command:
            pid = int(folder.name)
            if under is None or under in ancestors(pid):
                found.add(pid)
    return found


def ancestors(pid: int) -> list[int]:
    """A process's parents, up to the first."""
    line = []
    while pid > 1:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return line
        pid = int(re.findall(r"(?m)^PPid:\s+(\d+)$", status)[0])
        line.append(pid)
    return line


def memory_of(pid: int) -> Iterator[bytes]:
    """All that can be read of a process's memory: of an emulator, the guest's whole RAM too."""
    try:
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except PermissionError:
        pytest.skip("only root may read another process's memory here")
    try:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights = line.split()[:2]
            if "r" not in rights or line.endswith(("[vvar]", "[vsyscall]")):
                continue
            start, end = (int(part, 16) for part in place.split("-"))
            yield from _pieces(memory, start, end)
    finally:
        os.close(memory)


def open_files_of(pid: int) -> Iterator[bytes]:
    """What the files hold that a process has open and that have no name: its scratch disk."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        if " (deleted)" in str(link.readlink()) and link.stat().st_size:
            with link.open("rb") as file:
                while piece := file.read(16 << 20):
                    yield piece


def _pieces(memory: int, start: int, end: int) -> Iterator[bytes]:
    step, overlap = 16 << 20, 256
    at = start
    while at < end:
        try:
            piece = os.pread(memory, min(step, end - at), at)
        except OSError:
            return
        if not piece:
            return
        yield piece
        at += max(len(piece) - overlap, 1) if at + len(piece) < end else len(piece)

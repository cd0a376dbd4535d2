"""QEMU's command line for one machine. Pure.

A microVM with the fewest devices: disks, one serial port, no network card, no screen, no bus that
anything could be plugged into. QEMU's own sandbox forbids it to start programs, to gain rights and
to change limits. The scratch disk, the channel and the monitor are descriptors that QEMU inherits:
they have no name anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

PROGRAM: Final = "qemu-system-x86_64"
KVM: Final = Path("/dev/kvm")
"""Who may read and write it has machines that are not emulated."""
PORT: Final = "bailee"
_SANDBOX: Final = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
_MACHINE: Final = (
    "microvm,acpi=on,pcie=off,usb=off,graphics=off,x-option-roms=off,rtc=on,isa-serial=off,"
    "memory-backend=ram,dump-guest-core=off"
)
_KERNEL: Final = (
    "random.trust_cpu=on mitigations=off cryptomgr.notests noreplace-smp 8250.nr_uarts=0 "
    "panic=-1 reboot=t quiet"
)
_TRANSLATED: Final = 128  # MB of translated code; without a bound it grows to a gigabyte
_SCRATCH_SET: Final = 1


class Accelerator(StrEnum):
    """What runs the guest's instructions; also what isolates it (`Machine.security`)."""

    KVM = "kvm"
    EMULATION = "emulation"  # for development: QEMU does not call it a security boundary


@dataclass(frozen=True, slots=True)
class InheritedDescriptors:
    """What QEMU inherits, by number."""

    channel: int
    monitor: int
    scratch: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Where the guest's memory is: nowhere (`file` is None), in a file that it is kept in
    (`shared`), or on top of a file that stays as it is.
    """

    size: int
    file: Path | None = None
    shared: bool = False


def command_line(
    *,
    kernel: Path,
    initramfs: Path,
    disks: Mapping[str, Path],
    accelerator: Accelerator,
    cpus: int,
    memory: Memory,
    descriptors: InheritedDescriptors,
    tsc_khz: int,
    incoming: bool = False,
) -> list[str]:
    """The words that start a machine; with `incoming` it waits for a state to be restored."""
    words = [PROGRAM, "-M", _MACHINE, "-no-user-config", "-nodefaults", "-display", "none"]
    words += ["-no-reboot", "-sandbox", _SANDBOX, "-smp", str(cpus), "-m", f"{memory.size >> 20}M"]
    words += _accelerated(accelerator)
    words += ["-object", _backend(memory)]
    words += ["-kernel", str(kernel), "-initrd", str(initramfs)]
    words += ["-append", kernel_line(accelerator, tsc_khz)]
    for name, path in disks.items():
        words += [
            "-drive",
            f"if=none,id={name},file={_quoted(path)},format=raw,readonly=on,file.locking=off",
        ]
        words += ["-device", f"virtio-blk-device,drive={name},serial={name}"]
    words += ["-add-fd", f"fd={descriptors.scratch},set={_SCRATCH_SET}"]
    words += [
        "-drive",
        f"if=none,id=scratch,file=/dev/fdset/{_SCRATCH_SET},format=raw,"
        "auto-read-only=off,discard=unmap,file.locking=off,cache=unsafe,werror=stop,rerror=report",
    ]
    words += ["-device", "virtio-blk-device,drive=scratch,serial=scratch"]
    words += ["-chardev", f"socket,id=channel,fd={descriptors.channel}"]
    words += ["-device", "virtio-serial-device,max_ports=2"]
    words += ["-device", f"virtserialport,chardev=channel,name={PORT}"]
    words += ["-chardev", f"socket,id=monitor,fd={descriptors.monitor}"]
    words += ["-mon", "chardev=monitor,mode=control"]
    return words + (["-incoming", "defer"] if incoming else [])


def kernel_line(accelerator: Accelerator, tsc_khz: int) -> str:
    """The kernel's command line. Emulated, it must be told the clock that it can't measure."""
    if accelerator is Accelerator.KVM:
        return _KERNEL
    return f"tsc=reliable tsc_early_khz={tsc_khz} {_KERNEL}"


def _accelerated(accelerator: Accelerator) -> list[str]:
    if accelerator is Accelerator.KVM:
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", f"tcg,tb-size={_TRANSLATED}", "-cpu", "max"]


def _backend(memory: Memory) -> str:
    if memory.file is None:
        return f"memory-backend-memfd,id=ram,size={memory.size},share=off"
    share = "on" if memory.shared else "off"
    return (
        f"memory-backend-file,id=ram,size={memory.size},share={share},"
        f"mem-path={_quoted(memory.file)}"
    )


def _quoted(path: Path) -> str:
    """A path as an option's value: QEMU ends one at a comma, unless it is doubled."""
    return str(path).replace(",", ",,")

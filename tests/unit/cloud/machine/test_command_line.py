"""What QEMU is started with, and what it is never started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from bailee.cloud.machine.command_line import (
    Accelerator,
    InheritedDescriptors,
    Memory,
    command_line,
)


def words(accelerator: Accelerator = Accelerator.EMULATION, **changes: object) -> list[str]:
    """A command line."""
    arguments = {
        "kernel": Path("/i/vmlinux"),
        "initramfs": Path("/i/initramfs"),
        "disks": {"layer0": Path("/i/a,b"), "layer1": Path("/i/c")},
        "accelerator": accelerator,
        "cpus": 1,
        "memory": Memory(1 << 30),
        "descriptors": InheritedDescriptors(channel=5, monitor=6, scratch=7),
        "tsc_khz": 2_000_000,
        **changes,
    }
    return command_line(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("accelerator", Accelerator)
def test_there_is_no_network_card_and_no_way_to_add_devices(accelerator: Accelerator) -> None:
    """No network of any kind, no defaults, no bus, and QEMU's sandbox is on."""
    line = " ".join(words(accelerator))

    assert "-nodefaults" in line
    assert "pcie=off,usb=off" in line
    assert "elevateprivileges=deny,spawn=deny,resourcecontrol=deny" in line
    assert not any(word in line for word in ("-net", "-nic", "vsock", "virtfs", "9p", "vnc"))


def test_nothing_that_is_written_has_a_name() -> None:
    """The scratch disk and the memory are no paths; what has a path is read-only."""
    drives = [word for word in words() if word.startswith("if=none")]

    assert ["readonly=on" in drive for drive in drives] == [True, True, False]
    assert "file=/dev/fdset/1" in drives[-1]
    assert "memory-backend-memfd,id=ram,size=1073741824,share=off" in words()


def test_a_template_s_memory_is_mapped_copy_on_write() -> None:
    """A machine made from a template changes nothing of it."""
    backend = "memory-backend-file,id=ram,size=1024,share=off,mem-path=/t/memory"

    assert backend in words(memory=Memory(1024, Path("/t/memory")), incoming=True)


def test_a_comma_in_a_path_ends_no_option() -> None:
    """A path can't smuggle an option in."""
    assert any("file=/i/a,,b," in word for word in words())


def test_only_an_emulated_guest_is_told_the_clock_rate() -> None:
    """With KVM the guest measures it."""
    assert any("tsc_early_khz=2000000" in word for word in words())
    assert not any("tsc_early_khz" in word for word in words(Accelerator.KVM))

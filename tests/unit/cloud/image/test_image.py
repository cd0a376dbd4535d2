"""The pure parts of making an image."""

from __future__ import annotations

import lz4.block
import pytest

from bailee.cloud.image.initramfs import cpio, initramfs, needed
from bailee.cloud.image.kernel import unpack
from bailee.cloud.image.packages import WantedPackages, wanted
from bailee.errors import InputError, MachineError


def module(depends: str) -> bytes:
    """A kernel module, as far as is looked at."""
    return b"\x7fELF\0license=GPL\0depends=" + depends.encode() + b"\0name=x\0"


def test_modules_are_loaded_after_what_they_need() -> None:
    """The order is that of their dependencies, and what is built in is left out."""
    modules = {
        "a": module("b,c-d"),
        "b": module("c-d"),
        "c_d": module(""),
        "other": module(""),
    }

    assert ["c_d", "b", "a"] == needed(modules, ["a", "built_in"])


def test_an_archive_is_the_same_for_the_same_files() -> None:
    """No time, no order of insertion is in it; the kernel finds its end."""
    files = {"b": (0o100644, b"x"), "a": (0o40755, b"")}
    again = dict(reversed(files.items()))

    assert cpio(files) == cpio(again)
    assert b"TRAILER!!!" in cpio(files)
    assert 0 == len(cpio(files)) % 4


def test_the_initial_file_system_holds_the_script_and_the_modules() -> None:
    """What the script reads is there."""
    archive = initramfs(b"shell", {"virtio_mmio": module("")})

    assert b"modules/order\0" in archive
    assert b"virtio_mmio.ko" in archive


def test_a_kernel_is_found_among_what_surrounds_it() -> None:
    """The packed ELF file comes out whole; something else with the same mark does not."""
    elf = b"\x7fELF" + bytes(range(256)) * 100
    block = lz4.block.compress(elf, store_size=False)
    packed = b"\x02\x21\x4c\x18" + len(block).to_bytes(4, "little") + block
    mark = b"\x02\x21\x4c\x18\x04\0\0\0junk"

    assert elf == unpack(b"MZ" + mark + b"." * 50 + packed + b"\0\0\0\0rest")
    with pytest.raises(MachineError):
        unpack(b"MZ" + mark)


def test_packages_are_named_by_where_they_come_from() -> None:
    """Debian unless it says otherwise; each once, sorted."""
    names = ["zsh", "pypi:uv>=0.5", "npm:@a/b@1.2", "fish", "zsh"]

    assert WantedPackages(("fish", "zsh"), ("uv>=0.5",), ("@a/b@1.2",)) == wanted(names)


@pytest.mark.parametrize("name", ["", "-o", "pypi:-r", "pypi:x y", "npm:--x", "npm:../x", "A b"])
def test_what_is_no_package_s_name_is_refused(name: str) -> None:
    """Nothing that a package manager could take for an option gets through."""
    with pytest.raises(InputError, match="not the name of a package"):
        wanted([name])

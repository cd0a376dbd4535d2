"""The kernel proper, out of the file that a boot loader would unpack. Pure.

A microVM starts the ELF file itself (by its PVH note), which saves unpacking it in the guest.
"""

from __future__ import annotations

import struct
from typing import Final

import lz4.block

from bailee.errors import MachineError

_LZ4_LEGACY: Final = b"\x02\x21\x4c\x18"
_BLOCK: Final = 8 << 20  # what one block of the legacy format unpacks to, at most


def unpack(vmlinuz: bytes) -> bytes:
    """The ELF file within a `vmlinuz` that is packed with lz4, as Debian's cloud kernel is.

    Raises:
        MachineError: there is none in it.
    """
    place = vmlinuz.find(_LZ4_LEGACY)
    while place >= 0:
        out = _unpack(vmlinuz, place + len(_LZ4_LEGACY))
        if out.startswith(b"\x7fELF"):
            return out
        place = vmlinuz.find(_LZ4_LEGACY, place + 1)
    raise MachineError(
        "no lz4 kernel in this vmlinuz.",
        code="no_machine",
        hint="use Debian 12's linux-image-cloud-amd64",
    )


def _unpack(data: bytes, place: int) -> bytes:
    out = bytearray()
    while place + 4 <= len(data):
        (size,) = struct.unpack_from("<I", data, place)
        block = data[place + 4 : place + 4 + size]
        if size == 0 or len(block) < size:
            break
        try:
            out += lz4.block.decompress(block, uncompressed_size=_BLOCK)
        except lz4.block.LZ4BlockError:
            break  # what follows the last block is no block
        place += 4 + size
    return bytes(out)

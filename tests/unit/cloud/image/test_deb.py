"""A package's two parts are found and unpacked, however they are packed."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from bailee.cloud.image import deb
from bailee.errors import StorageError

PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".xz": lzma.compress,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
}


def tar(**files: bytes) -> bytes:
    """An archive of tar."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def ar(**members: bytes) -> bytes:
    """An archive of ar; each member begins at an even place."""
    made = b"!<arch>\n"
    for name, content in members.items():
        made += b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (
            name.encode(),
            0,
            0,
            0,
            b"100644",
            len(content),
        )
        made += content + b"\n" * (len(content) % 2)
    return made


@pytest.fixture(params=list(PACKED))
def package(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A package's file, packed in one of the ways that there are."""
    how, pack = request.param, PACKED[request.param]
    parts = {
        "debian-binary": b"2.0\n",
        f"control.tar{how}": pack(tar(control=b"Package: quince\n")),
        f"data.tar{how}": pack(tar(quince=b"a quince tree" * 10_000)),
    }
    file = tmp_path / "quince.deb"
    file.write_bytes(ar(**parts))
    return file


def test_both_parts_are_there(package: Path) -> None:
    """Each holds its files, whatever its size."""

    def read(name: deb.Part) -> dict[str, bytes]:
        with (
            deb.part(package, name) as unpacked,
            tarfile.open(fileobj=unpacked, mode="r|") as archive,
        ):
            found = ((one.name, archive.extractfile(one)) for one in archive)
            return {name: content.read() for name, content in found if content is not None}

    assert {"./control": b"Package: quince\n"} == read("control")
    assert {"./quince": b"a quince tree" * 10_000} == read("data")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\3\4",
        ar(),
        ar(**{"debian-binary": b"2.0\n", "control.tar.xz": b"-"}),
        ar(**{"data.tar.lz4": b"-"}),
        ar(**{"data.tar": b"-" * 100})[:-1],
        ar(**{"data.tar": b"-"})[:40],
        ar(**{"data.tar": b"-"}).replace(b"1         `", b"-1        `"),
    ],
)
def test_what_is_no_package_is_refused(tmp_path: Path, content: bytes) -> None:
    """Another file, one without the part, one that ends too soon; with what to do."""
    file = tmp_path / "quince.deb"
    file.write_bytes(content)

    with pytest.raises(StorageError, match=r"quince\.deb can't be read") as refused:
        deb.part(file, "data")
    assert "build again" in str(refused.value.hint)

"""An OCI image layout as one stream of files, without a root user and without unpacking it.

The layers are put over each other by name alone: later ones replace, whiteouts remove. What comes
out is a tar that `sqfstar` packs, so no file of the image is ever written to this machine's file
system under a name of its own choosing, and owners are kept although nobody here is root.

Follows the OCI image specification 1.1: image layout, manifests, layers and whiteouts.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tarfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

import zstandard

from bailee.errors import InputError, IntegrityError
from bailee.json_values import Json, JsonObject, members, text

_INDEXES: Final = ("image.index", "manifest.list")
_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"
_MOST_DOCUMENT: Final = 4 << 20
_MOST_LINKS: Final = 40


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer's file, and what it is packed with."""

    path: Path
    packing: str  # "", gzip or zstd
    digest: str


def layers(folder: Path) -> list[Layer]:
    """The layers of the image in a layout, lowest first, each checked against its digest.

    Raises:
        InputError: it is no layout, or has no image for x86-64 Linux.
        IntegrityError: a file is not what its digest says.
    """
    try:
        index = json.loads((folder / "index.json").read_text())
        manifest = _manifest(folder, index)
        return [_layer(folder, members(one)) for one in _listed(manifest, "layers")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder} is not an OCI image layout ({type(error).__name__}).",
            hint="make one with skopeo copy ... oci:DIR, or podman save --format oci-dir",
        ) from None


def _manifest(folder: Path, index: object) -> JsonObject:
    """The manifest that an index leads to, for x86-64 Linux."""
    for entry in map(members, _listed(members(index), "manifests")):
        platform = members(entry.get("platform", {"architecture": "amd64", "os": "linux"}))
        if (platform["architecture"], platform["os"]) != ("amd64", "linux"):
            continue
        document = json.loads(_blob(folder, text(entry["digest"])).read_text())
        if str(entry.get("mediaType", "")).split("+")[0].endswith(_INDEXES):
            return _manifest(folder, document)
        return members(document)
    raise InputError("the layout has no image for x86-64 Linux.", code="not_found")


def _listed(document: JsonObject, name: str) -> list[Json]:
    found = document[name]
    if not isinstance(found, list):
        raise TypeError(name)
    return found


def _layer(folder: Path, entry: JsonObject) -> Layer:
    kind = str(entry["mediaType"])
    packing = "zstd" if kind.endswith("zstd") else "gzip" if kind.endswith("gzip") else ""
    digest = text(entry["digest"])
    return Layer(_blob(folder, digest), packing, digest)


def _blob(folder: Path, digest: str) -> Path:
    """The file with a digest, checked."""
    algorithm, _, value = digest.partition(":")
    if algorithm != "sha256" or len(value) != 64 or not value.isalnum():
        raise InputError(f"an OCI digest that is no SHA-256: {digest[:80]!r}.")
    path = folder / "blobs" / "sha256" / value
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != value:
        raise IntegrityError(f"the file {value[:16]}… of the OCI layout is not what it should be.")
    return path


def write(found: Sequence[Layer], target: IO[bytes], work: Path) -> None:
    """Write all files of an image as a tar; `work` holds layers while they are read."""
    with ExitStack() as stack:
        files: dict[str, tuple[tarfile.TarFile, tarfile.TarInfo]] = {}
        for number, layer in enumerate(found):
            unpacked = work / f"layer{number}.tar"
            _unpack(layer, unpacked)
            _apply(files, stack.enter_context(tarfile.open(unpacked)))
        with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as out:
            for name in sorted(files):
                archive, member = files[name]
                _put(out, name, archive, member)


def _unpack(layer: Layer, target: Path) -> None:
    with layer.path.open("rb") as packed, target.open("wb") as plain:
        if layer.packing == "zstd":
            zstandard.ZstdDecompressor().copy_stream(packed, plain)
        elif layer.packing == "gzip":
            with gzip.open(packed) as stream:
                shutil.copyfileobj(stream, plain, 1 << 20)
        else:
            shutil.copyfileobj(packed, plain, 1 << 20)


Files = dict[str, tuple[tarfile.TarFile, tarfile.TarInfo]]


def _apply(files: Files, archive: tarfile.TarFile) -> None:
    """Put a layer over what is there: first what it removes, then what it has."""
    members = [(_name(member.name), member) for member in archive]
    for name, _ in members:
        place = PurePosixPath(name)
        if place.name == _OPAQUE:
            _remove(files, _resolved(files, str(place.parent)), itself=False)
        elif place.name.startswith(_WHITEOUT):
            hidden = place.with_name(place.name.removeprefix(_WHITEOUT))
            _remove(files, _resolved(files, str(hidden)), itself=True)
    for name, member in members:
        if name == "." or PurePosixPath(name).name.startswith(_WHITEOUT):
            continue
        place = PurePosixPath(name)
        there = str(PurePosixPath(_resolved(files, str(place.parent), last=True)) / place.name)
        if there in files and not (member.isdir() and files[there][1].isdir()):
            _remove(files, there, itself=True)
        files[there] = archive, member


def _name(name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise InputError("the OCI image has a file outside of its root.")
    return "/".join(parts) or "."


def _remove(files: Files, name: str, *, itself: bool) -> None:
    below = "" if name == "." else f"{name}/"
    for other in [one for one in files if one.startswith(below)]:
        del files[other]
    if itself:
        files.pop(name, None)


def _resolved(files: Files, name: str, *, last: bool = False) -> str:
    """A name with the links among its folders followed; its own too if it is a folder (`last`)."""
    followed = 0
    todo = [part for part in name.split("/") if part != "."]
    done: list[str] = []
    while todo:
        part = todo.pop(0)
        if part == "..":
            done = done[:-1]
            continue
        here = "/".join([*done, part])
        known = files.get(here)
        if known is not None and known[1].issym() and (todo or last):
            followed += 1
            if followed > _MOST_LINKS:
                raise InputError("the OCI image has links that lead in a circle.")
            link = known[1].linkname
            if link.startswith("/"):
                done = []
            todo = [one for one in link.split("/") if one not in ("", ".")] + todo
            continue
        done.append(part)
    return "/".join(done) or "."


def _put(
    out: tarfile.TarFile, name: str, archive: tarfile.TarFile, member: tarfile.TarInfo
) -> None:
    """Write one file; a hard link becomes the file it is a link to, which is packed once."""
    source = member
    if member.islnk():
        source = archive.getmember(member.linkname)
    if source.ischr() or source.isblk():
        return  # the guest's kernel makes devices
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.REGTYPE if source.isreg() else source.type
    entry.mode, entry.uid, entry.gid = source.mode, source.uid, source.gid
    entry.linkname = source.linkname if source.issym() else ""
    if source.isreg():
        entry.size = source.size
        out.addfile(entry, archive.extractfile(source))
    else:
        out.addfile(entry)

"""The folder of images: finding them, and putting one in.

    images/
      parts/KEY/       what was made, by a digest of what it was made of
      DIGEST/          an image: manifest.json, vmlinux, initramfs, layer0.squashfs, ...
      names/NAME       a link to one
      apt/             what apt knows and has downloaded

The files of an image are links to those of its parts, so two images share what they have alike.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

from bailee.errors import MachineError
from bailee.json_values import JsonObject, elements, members

VARIABLE: Final = "BAILEE_CLOUD_IMAGES"
FORMAT: Final = 2
MANIFEST: Final = "manifest.json"
DEFAULT: Final = "default"


def default_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where images are when nobody says: they can be made again, so with what is cached."""
    if named := environment.get(VARIABLE):
        return Path(named)
    return platformdirs.user_cache_path("bailee") / "images"


@dataclass(frozen=True, slots=True)
class Image:
    """An image on disk. `digest` is the SHA-256 of its manifest, which has those of its files."""

    folder: Path
    digest: str
    manifest: JsonObject

    @property
    def kernel(self) -> Path:
        """The ELF file that is started."""
        return self.folder / "vmlinux"

    @property
    def initramfs(self) -> Path:
        """The initial file system."""
        return self.folder / "initramfs"

    @property
    def disks(self) -> dict[str, Path]:
        """The squashfs files by their disks' serials: `layerN` is of the root, lowest first;
        `toolN` lies beside it, when the root is not ours.
        """
        return {
            f"{kind}{number}": self.folder / str(name)
            for kind in ("layer", "tool")
            for number, name in enumerate(elements(self.manifest[f"{kind}s"]))
        }

    @classmethod
    def load(cls, folder: Path) -> Image:
        """The image in a folder.

        Raises:
            MachineError: there is none.
        """
        try:
            data = (folder / MANIFEST).read_bytes()
        except OSError:
            raise MachineError(
                f"there is no image in {folder}.",
                code="no_machine",
                hint="build one: bailee cloud image build",
            ) from None
        manifest = json.loads(data)
        if manifest["format"] != FORMAT:
            raise MachineError(
                f"the image in {folder} is of another version of bailee.",
                code="no_machine",
                hint="rebuild it: bailee cloud image build",
            )
        return cls(folder.resolve(), hashlib.sha256(data).hexdigest(), manifest)

    def damaged(self) -> list[str]:
        """The files whose content is not what the manifest says."""
        return [
            name
            for name, said in members(self.manifest["files"]).items()
            if digest_of(self.folder / name) != said
        ]


def find(folder: Path, name: str = DEFAULT) -> Image:
    """An image by name, or by the beginning of its digest.

    Raises:
        MachineError: there is none, or it is damaged beyond reading.
    """
    link = folder / "names" / name
    if link.exists():
        return Image.load(link)
    fitting = [path.parent for path in folder.glob(f"{name}*/{MANIFEST}")] if len(name) > 3 else []
    if len(fitting) == 1:
        return Image.load(fitting[0])
    raise MachineError(
        f"there is no image {name!r} in {folder}.",
        code="no_machine",
        hint="build one: bailee cloud image build",
    )


def every(folder: Path) -> list[tuple[Image, list[str]]]:
    """Each image with its names, newest first."""
    names: dict[Path, list[str]] = {}
    for link in sorted(folder.glob("names/*")):
        names.setdefault(link.resolve(), []).append(link.name)
    found = sorted(
        folder.glob(f"*/{MANIFEST}"), key=lambda path: (path.stat().st_mtime, path), reverse=True
    )
    images = []
    for path in found:
        with suppress(MachineError):  # it is of another version
            images.append((Image.load(path.parent), names.get(path.parent.resolve(), [])))
    return images


def put(folder: Path, name: str, manifest: JsonObject, files: Mapping[str, Path]) -> Image:
    """Make an image of parts' files, and give it a name. What is there already stays."""
    document = {**manifest, "files": {file: digest_of(path) for file, path in files.items()}}
    data = json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"
    place = folder / hashlib.sha256(data).hexdigest()[:16]
    if not (place / MANIFEST).exists():
        making = folder / f".making-{place.name}"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        for file, path in files.items():
            os.link(path, making / file)
        (making / MANIFEST).write_bytes(data)
        making.rename(place)
    link = folder / "names" / name
    link.parent.mkdir(exist_ok=True)
    fresh = link.with_name(f".{name}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(f"../{place.name}")
    fresh.replace(link)
    return Image.load(place)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file; empty when it is not there."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def write_facts(part: Path, facts: Mapping[str, object]) -> None:
    """Keep beside a part what a manifest says of it."""
    (part / "facts.json").write_text(json.dumps(facts, sort_keys=True))


def read_facts(part: Path) -> JsonObject:
    """What was kept beside a part."""
    facts: JsonObject = json.loads((part / "facts.json").read_text())
    return facts

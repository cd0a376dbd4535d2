"""Builds an image in one go: packages in, a folder with a manifest out.

Each part is made once for what it is made of, its key, and taken from there afterwards. The same
input gives the same bytes: owners are fixed, times are zero, names are sorted.

Rows: C1.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Final

import bailee
from bailee.cloud.image import deb, initramfs, kernel, software, store, tree
from bailee.cloud.image import oci as oci_files
from bailee.cloud.image.debian import Archive, Package, require
from bailee.cloud.image.oci import Layer, layers
from bailee.cloud.image.packages import SYSTEM, TOOLS, wanted
from bailee.errors import InputError
from bailee.json_values import JsonObject

_PACKING: Final = (
    *("-comp", "lz4", "-all-time", "0", "-mkfs-time", "0"),
    *("-no-xattrs", "-quiet", "-no-progress"),
)

Log = Callable[[str], None]
"""Takes a line that says what is being done."""


def build(
    folder: Path,
    *,
    extra: Sequence[str] = (),
    oci: Path | None = None,
    name: str = store.DEFAULT,
    log: Log = lambda _: None,
) -> store.Image:
    """Build an image and name it; `extra` is what `--with` says, `oci` a layout to be the root.

    Raises:
        InputError: a package that is not there, or can't be installed without running its scripts;
            a folder that is no OCI layout.
        IntegrityError: a file of the OCI layout is not what its digest says.
        MachineError: code `no_machine`: a program or the archive is missing.
    """
    more = wanted(list(extra))
    require(["apt-get", "mksquashfs", "sqfstar", "unsquashfs", "tar"])
    found = [] if oci is None else layers(oci)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".work-") as work:
        maker = _Maker(folder, Path(work), log)
        log("reading Debian's package lists")
        archive = Archive(folder / "apt")
        archive.update()
        log("downloading packages")
        packages = archive.fetch([*SYSTEM, *TOOLS, *more.debian])
        base = maker.base(packages)
        boot = maker.boot(packages)
        python = maker.software(base, more.pypi, more.npm)
        own = maker.bailee(base)
        ours = [base, python, own]
        root, tools = ([maker.foreign(found)], ours) if found else (ours, [])
        manifest: JsonObject = {
            "format": store.FORMAT,
            "bailee": bailee.__version__,
            "root": "oci" if found else "debian",
            "oci": [layer.digest for layer in found],
            "layers": [f"layer{number}.squashfs" for number in range(len(root))],
            "tools": [f"tool{number}.squashfs" for number in range(len(tools))],
            "packages": {
                "debian": {package.name: package.version for package in packages},
                **store.read_facts(python),
            },
            "with": [*sorted(extra)],
            **store.read_facts(base),
        }
        files = {"vmlinux": boot / "vmlinux", "initramfs": boot / "initramfs"}
        files |= {f"layer{n}.squashfs": part / "squashfs" for n, part in enumerate(root)}
        files |= {f"tool{n}.squashfs": part / "squashfs" for n, part in enumerate(tools)}
        return store.put(folder, name, manifest, files)


class _Maker:
    """Makes parts that are not there yet."""

    def __init__(self, folder: Path, work: Path, log: Log) -> None:
        self._parts = folder / "parts"
        self._work = work
        self._log = log
        self._tree: Path | None = None

    def base(self, packages: Sequence[Package]) -> Path:
        """Debian itself."""
        key = _key("base", _source(tree), _source(deb), *(package.digest for package in packages))
        if (part := self._parts / key).exists():
            return part
        self._log(f"unpacking {len(packages)} packages")
        self._tree = self._work / "tree"
        scripts = tree.unpack(packages, self._tree)
        self._put_aside(self._tree)
        tree.set_up(self._tree)
        self._log("compiling Python's library")
        for name in ("usr/lib/python3.11", "usr/lib/python3/dist-packages"):
            tree.compile_python(self._tree, self._tree / name, self._tree)
        self._log("packing the system")
        return self._put(key, self._tree, {"scripts_not_run": scripts})

    def boot(self, packages: Sequence[Package]) -> Path:
        """The kernel and the initial file system."""
        (image,) = [
            p for p in packages if p.name.startswith("linux-image-") and p.name[12].isdigit()
        ]
        (busybox,) = [p for p in packages if p.name == "busybox-static"]
        key = _key("boot", _source(initramfs), _source(kernel), image.digest, busybox.digest)
        if (part := self._parts / key).exists():
            return part
        unpacked = self._work / "kernel"
        if not unpacked.exists():  # the system was made before
            self._log("unpacking the kernel")
            made = self._work / "boot"
            tree.unpack([image, busybox], made)
            self._put_aside(made)
        (vmlinuz,) = (unpacked / "boot").glob("vmlinuz-*")
        modules = {
            path.stem.replace("-", "_"): path.read_bytes() for path in unpacked.rglob("*.ko")
        }
        making = self._making(key)
        (making / "vmlinux").write_bytes(kernel.unpack(vmlinuz.read_bytes()))
        (making / "initramfs").write_bytes(
            initramfs.initramfs((unpacked / "busybox").read_bytes(), modules)
        )
        return self._done(making, key)

    def _put_aside(self, system: Path) -> None:
        """Take what a machine starts with out of a system that was unpacked."""
        aside = self._work / "kernel"
        aside.mkdir()
        for name in tree.KERNEL:
            (system / name).rename(aside / Path(name).name)
        shutil.copyfile(system / "bin/busybox", aside / "busybox")

    def software(self, base: Path, pypi: Sequence[str], npm: Sequence[str]) -> Path:
        """What bailee needs, and what was asked for besides."""
        required = software.requirements()
        key = _key("software", _source(software), base.name, *required, "+", *pypi, "+", *npm)
        if (part := self._parts / key).exists():
            return part
        layer = self._work / "software"
        layer.mkdir()
        self._log("installing Python packages")
        versions = {
            "pypi": software.write_python(self._unpacked(base), layer, pypi, required=required)
        }
        if npm:
            self._log("installing npm packages")
        versions["npm"] = software.write_npm(layer, npm)
        return self._put(key, layer, versions)

    def bailee(self, base: Path) -> Path:
        """What bailee itself is, and the guest's agent."""
        key = _key("bailee", _source(software), base.name, software.source_digest())
        if (part := self._parts / key).exists():
            return part
        self._log("adding bailee")
        layer = self._work / "bailee"
        software.write_bailee(self._unpacked(base), layer)
        return self._put(key, layer, {})

    def foreign(self, found: Sequence[Layer]) -> Path:
        """The files of an OCI image."""
        key = _key("oci", _source(oci_files), *(layer.digest for layer in found))
        if (part := self._parts / key).exists():
            return part
        self._log(f"packing {len(found)} OCI layers")
        work = self._work / "oci"
        work.mkdir()
        making = self._making(key)
        packing = subprocess.Popen(  # noqa: S603
            ["sqfstar", *_PACKING, making / "squashfs"],  # noqa: S607
            stdin=subprocess.PIPE,
            env=_environment(),
        )
        assert packing.stdin is not None
        with packing.stdin as stream:
            oci_files.write(found, stream, work)
        if packing.wait() != 0:
            raise InputError("the files of the OCI image could not be packed.")
        return self._done(making, key)

    def _unpacked(self, base: Path) -> Path:
        if self._tree is None:
            self._tree = self._work / "tree"
            subprocess.run(  # noqa: S603
                [  # noqa: S607
                    "unsquashfs",
                    "-quiet",
                    "-no-progress",
                    "-dest",
                    self._tree,
                    base / "squashfs",
                    *tree.PYTHON_NEEDS,
                ],
                check=True,
                stdout=subprocess.DEVNULL,
            )
        return self._tree

    def _put(self, key: str, layer: Path, facts: Mapping[str, object]) -> Path:
        making = self._making(key)
        pack(layer, making / "squashfs")
        store.write_facts(making, facts)
        return self._done(making, key)

    def _making(self, key: str) -> Path:
        making = self._parts / f".making-{key}"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        return making

    def _done(self, making: Path, key: str) -> Path:
        return making.rename(self._parts / key)


def pack(layer: Path, target: Path) -> None:
    """Pack a folder: the same bytes for the same files, whoever owns them and since whenever."""
    subprocess.run(  # noqa: S603
        ["mksquashfs", layer, target, "-all-root", *_PACKING],  # noqa: S607
        check=True,
        env=_environment(),
    )


def _environment() -> dict[str, str]:
    """Ours, without the variable that would contradict the times that are set."""
    return {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}


def _key(kind: str, *inputs: str) -> str:
    whole = hashlib.sha256("\0".join((str(store.FORMAT), kind, *inputs)).encode())
    return f"{kind}-{whole.hexdigest()[:24]}"


def _source(module: ModuleType) -> str:
    return store.digest_of(Path(str(module.__file__)))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One build in a folder at a time; another waits."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

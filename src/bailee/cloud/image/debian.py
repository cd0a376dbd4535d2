"""Debian's archive: which packages, and their files, by apt as an ordinary user.

apt keeps its state in a folder of ours and believes nothing is installed, so what it would install
is everything an image needs. It checks the archive's signature and each file's digest. Nothing of
the host's own configuration of apt is used but its proxy variables.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from bailee.errors import InputError, MachineError

KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR: Final = "http://deb.debian.org"
_SUITES: Final = (
    ("debian", "bookworm"),
    ("debian", "bookworm-updates"),
    ("debian-security", "bookworm-security"),
)
_CONFIGURATION: Final = (
    "sourceparts",
    "main",
    "parts",
    "preferences",
    "preferencesparts",
    "trusted",
    "trustedparts",
)
_URI: Final = re.compile(r"^'[^']+' (\S+) (\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Package:
    """A package's file."""

    name: str
    version: str
    path: Path
    digest: str  # SHA-256 of the file


def require(programs: Sequence[str]) -> None:
    """See that programs are there.

    Raises:
        MachineError: one is not; the hint names Debian's package for it.
    """
    homes = {
        "apt-get": "apt",
        "mksquashfs": "squashfs-tools",
        "sqfstar": "squashfs-tools",
        "unsquashfs": "squashfs-tools",
    }
    if missing := [name for name in programs if shutil.which(name) is None]:
        raise MachineError(
            f"to build an image, {' and '.join(missing)} must be there.",
            code="no_machine",
            hint=f"install {' '.join(sorted({homes.get(name, name) for name in missing}))}",
        )


class Archive:
    """apt with its state in `folder`."""

    def __init__(self, folder: Path, mirror: str = MIRROR) -> None:
        self._folder = folder
        for name in ("lists/partial", "archives/partial", "empty/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(
            "".join(
                f"deb [signed-by={KEYRING}] {mirror}/{archive} {suite} main\n"
                for archive, suite in _SUITES
            )
        )
        quoted = str(folder.resolve()).replace('"', "")
        none = f"{quoted}/none"
        (folder / "apt.conf").write_text(
            "".join(
                f'{name} "{value}";\n'
                for name, value in {
                    "Dir::State": quoted,
                    "Dir::State::lists": f"{quoted}/lists",
                    "Dir::State::status": f"{quoted}/status",
                    "Dir::Cache": quoted,
                    "Dir::Cache::archives": f"{quoted}/archives",
                    "Dir::Log": quoted,
                    "Dir::Etc::sourcelist": f"{quoted}/sources.list",
                    **{f"Dir::Etc::{part}": none for part in _CONFIGURATION},
                    "APT::Architecture": "amd64",
                    "APT::Architectures": "amd64",
                    "APT::Sandbox::User": "",
                    "APT::Install-Recommends": "false",
                    "Acquire::Languages": "none",
                    "Acquire::Retries": "3",
                    "Debug::NoLocking": "true",
                }.items()
            )
        )

    def update(self) -> None:
        """Read the archive's lists anew.

        Raises:
            MachineError: the archive can't be reached, or its signature is not Debian's.
        """
        if not KEYRING.exists():
            raise MachineError(
                "Debian's archive keys are not on this machine.",
                code="no_machine",
                hint="install debian-archive-keyring",
            )
        self._apt("update", "--error-on=any")

    def resolve(self, names: Sequence[str]) -> list[str]:
        """The files of these packages and all they depend on, sorted by name.

        Raises:
            InputError: there is no such package.
        """
        # What lies in the archives already is not listed: look from where there are none.
        empty = f"Dir::Cache::archives={self._folder / 'empty'}"
        out = self._apt("-o", empty, "--print-uris", "--yes", "install", *names)
        return sorted(file for file, _ in _URI.findall(out))

    def fetch(self, names: Sequence[str]) -> list[Package]:
        """Download them, as far as they are not there; apt checks each."""
        files = self.resolve(names)
        self._apt("--yes", "--download-only", "install", *names)
        packages = []
        for file in files:
            path = self._folder / "archives" / file
            name, version, _ = path.name.removesuffix(".deb").split("_")
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            packages.append(Package(name, unquote(version), path, digest))
        return packages

    def _apt(self, *arguments: str) -> str:
        environment = {
            **{k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")},
            "PATH": os.environ.get("PATH", os.defpath),
            "APT_CONFIG": str(self._folder / "apt.conf"),
            "LC_ALL": "C.UTF-8",
        }
        done = subprocess.run(  # noqa: S603
            ["apt-get", "-q", *arguments],  # noqa: S607
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return done.stdout
        told = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        message = told[0][2:].strip() if told else "apt-get failed"
        if missing := re.search(r"Unable to locate package (\S+)", done.stderr):
            raise InputError(
                f"Debian has no package {missing.group(1)}.",
                code="not_found",
                hint="search for it with apt-cache, or on packages.debian.org",
            )
        raise MachineError(
            f"Debian's packages can't be fetched: {message}",
            code="no_machine",
            hint="see that the archive can be reached: http_proxy is respected",
        )

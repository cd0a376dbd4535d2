"""What goes into an image, and how a person names more of it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bailee.errors import InputError

SYSTEM: Final = ("?essential", "apt", "busybox-static", "e2fsprogs", "linux-image-cloud-amd64")
"""What a system needs, as names and patterns of apt."""

TOOLS: Final = (
    "build-essential",
    "ca-certificates",
    "curl",
    "file",
    "git",
    "less",
    "mount",
    "nodejs",
    "npm",
    "patch",
    "procps",
    "python3",
    "python3-pip",
    "python3-venv",
    "ripgrep",
    "unzip",
    "xz-utils",
)
"""What people who write software expect to find."""

_DEBIAN: Final = re.compile(r"[a-z0-9][a-z0-9+.-]+\Z")
_PYPI: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?([<>=!~]=?[\w.*+!]+)?\Z"
)
_NPM: Final = re.compile(r"(@[a-z0-9][a-z0-9._~-]*/)?[a-z0-9][a-z0-9._~-]*(@[\w.^~<>=-]+)?\Z")


@dataclass(frozen=True, slots=True)
class WantedPackages:
    """Packages by where they come from."""

    debian: tuple[str, ...] = ()
    pypi: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()


def wanted(names: list[str]) -> WantedPackages:
    """What `--with` names: `NAME` is Debian's, `pypi:NAME` and `npm:NAME` say so; sorted.

    Raises:
        InputError: one is not the name of a package.
    """
    found: dict[str, set[str]] = {"debian": set(), "pypi": set(), "npm": set()}
    forms = {"debian": _DEBIAN, "pypi": _PYPI, "npm": _NPM}
    for name in names:
        source, _, rest = (
            name.rpartition(":") if name.startswith(("pypi:", "npm:")) else ("", "", name)
        )
        source = source or "debian"
        if not forms[source].match(rest):
            raise InputError(
                f"{name!r} is not the name of a package.",
                hint="NAME for Debian, pypi:NAME for PyPI, npm:NAME for npm",
            )
        found[source].add(rest)
    return WantedPackages(**{source: tuple(sorted(names)) for source, names in found.items()})

"""What of a machine a command sees beside the workspace: the system, and the person's toolchains.

Rules kept here:

* Folders are named that hold programs and their libraries; whatever is not named is not there. Of
  the home that is what PATH leads to and the folders below, which hold no credential.
* Of a home that is in sight all the same (it is the workspace, or was granted), what begins with a
  dot is not: credentials have any name there, and shells run what they find.
* The system's folders are those of every Linux; of /etc what everybody may read.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

SYSTEM: Final = tuple(
    map(
        Path,
        (
            *("/bin", "/etc", "/gnu", "/home/linuxbrew", "/lib", "/lib32", "/lib64", "/libx32"),
            *("/nix", "/opt", "/run/current-system", "/sbin", "/snap", "/sys", "/usr"),
        ),
    )
)
_IN_HOME: Final = (
    *(".asdf", ".bun/bin", ".bun/install", ".cabal/bin", ".cabal/packages", ".cargo/bin"),
    *(".cargo/env", ".cargo/git", ".cargo/registry", ".config/git/ignore", ".deno/bin"),
    *(".dotnet/dotnet", ".dotnet/host", ".dotnet/sdk", ".dotnet/shared", ".dotnet/tools", ".fnm"),
    *(".ghcup", ".gradle/caches", ".gradle/wrapper", ".jdks", ".local/bin", ".local/lib"),
    *(".local/share/fnm", ".local/share/mise", ".local/share/pipx", ".local/share/pnpm"),
    *(".local/share/uv/python", ".local/share/uv/tools", ".m2/repository", ".nix-profile", ".nvm"),
    *(".opam", ".pyenv", ".rbenv", ".rustup", ".sdkman/candidates", ".volta", "anaconda3"),
    *("go/bin", "go/pkg", "miniconda3", "miniforge3"),
)
# Of what begins with a dot in a home: what is git's, and neither a credential nor obeyed.
_IN_SIGHT: Final = frozenset(
    {".editorconfig", ".git", ".gitattributes", ".gitignore", ".gitmodules"}
)
_AUTHORITIES: Final = (
    *("CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR"),
    "SSL_CERT_FILE",
)


def visible(environment: Mapping[str, str], home: Path) -> Iterator[Path]:
    """The folders of toolchains that are there, besides the system's; and the authorities that
    certificates are checked with.
    """
    for name in _AUTHORITIES:
        if (authority := Path(environment.get(name) or ".")).is_absolute():
            yield authority
    for name in _IN_HOME:
        if (home / name).exists():
            yield home / name
    for text in environment.get("PATH", "").split(os.pathsep):
        folder = Path(text)
        if not folder.is_absolute() or _holds(folder, home) or not folder.is_dir():
            continue
        yield folder
        # A program's libraries lie beside its folder: PREFIX/bin, PREFIX/lib.
        prefix = folder.parent
        around = folder.name in ("bin", "sbin", "shims") and any(
            (prefix / name).is_dir() for name in ("lib", "libexec")
        )
        if around and not _holds(prefix, home) and prefix != home / ".local":
            if any(
                (prefix / name).exists() for name in (".env", ".git")
            ):  # somebody's work, with what else is in it
                yield from (
                    prefix / name for name in ("lib", "libexec") if (prefix / name).is_dir()
                )
            else:
                yield prefix
            yield from _behind(prefix / "pyvenv.cfg")


def private_in_home(home: Path) -> Iterator[Path]:
    """What begins with a dot at the top of a home."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(home):
            if entry.name.startswith(".") and entry.name not in _IN_SIGHT:
                yield Path(entry.path)


def private_in_etc() -> Iterator[Path]:
    """What in /etc others may not read. Who is not root can't either, and needs no list."""
    if os.geteuid() != 0:
        return
    waiting = [Path("/etc")]
    while waiting:
        for entry in os.scandir(waiting.pop()):
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode) and mode & stat.S_IROTH:
                waiting.append(Path(entry.path))
            elif not stat.S_ISLNK(mode) and not mode & stat.S_IROTH:
                yield Path(entry.path)


def _behind(config: Path) -> Iterator[Path]:
    """The Python that a virtual environment was made of."""
    try:
        lines = config.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        name, _, value = line.partition("=")
        if name.strip() == "home" and (base := Path(value.strip())).is_dir():
            yield Path(os.path.realpath(base)).parent


def _holds(folder: Path, home: Path) -> bool:
    return folder == home or folder in home.parents

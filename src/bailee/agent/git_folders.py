"""Finding git directories and settings in folders, as git and other programs would find them.

Rules kept here:

* A repository is what git takes for one: a `.git` folder, a `.git` file and where it leads, or a
  folder that looks like a git directory itself (HEAD beside objects and refs), in any subfolder.
* Links are not followed on the way; what they lead to is found where it lies, if it lies inside.
* Nothing is run.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bailee.agent.obeyed import GIT, SETTINGS

Identity = tuple[int, int]
_MOST: Final = 500_000  # entries of a workspace that are looked at
_LONGEST: Final = 4096  # bytes of a file that names another
_OBEYED: Final = frozenset({GIT, *SETTINGS})
# Where packages lie, with settings of their own that nobody opens.
_PACKAGES: Final = frozenset({"node_modules", "site-packages"})


@dataclass(slots=True)
class FoundFolders:
    """What was found. `obeyed`: each file or folder that a program would obey, by its identity on
    the disk; `repositories`: git directories; `whole`: whether everything was looked at.
    """

    obeyed: dict[Identity, Path] = field(default_factory=dict)
    repositories: list[Path] = field(default_factory=list)
    whole: bool = True


def look(roots: Iterable[Path], *, insist: bool = False) -> FoundFolders:
    """Looks through folders. `insist`: also through those that can be entered and not listed; their
    modes are changed for the while.
    """
    found = FoundFolders()
    waiting = list(dict.fromkeys(roots))
    left = _MOST
    while waiting:
        folder = waiting.pop()
        entries = _entries(folder, insist=insist)
        left -= len(entries)
        if left < 0:
            found.whole = False
            break
        names = {entry.name for entry in entries}
        if "HEAD" in names and ("commondir" in names or {"objects", "refs"} <= names):
            _note(found, folder / "HEAD", folder)
            continue
        packages = not _PACKAGES.isdisjoint(folder.parts)
        for entry in entries:
            if entry.name == GIT or (entry.name in _OBEYED and not packages):
                path = folder / entry.name
                _note(found, path, git_folder(path) if entry.name == GIT else None)
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(folder / entry.name)
    return found


def _entries(folder: Path, *, insist: bool) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as scanned:
            return list(scanned)
    except PermissionError:
        if not insist:
            return []
    except OSError:
        return []
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(folder.lstat().st_mode)
        folder.chmod(mode | 0o500)
        try:
            return _entries(folder, insist=False)
        finally:
            folder.chmod(mode)
    return []


def _note(found: FoundFolders, path: Path, repository: Path | None) -> None:
    with contextlib.suppress(OSError):
        here = path.lstat()
        found.obeyed[here.st_dev, here.st_ino] = path
    if repository is not None:
        found.repositories.append(repository)


def git_folder(path: Path) -> Path | None:
    """The git directory that a `.git` is or leads to; None where it is none."""
    led = _led(path, path.parent, b"gitdir:") if path.is_file() else path
    if led is None or not (led / "HEAD").is_file():
        return None
    return Path(os.path.realpath(led))


def parts_of(repository: Path) -> Iterator[Path]:
    """The git directories that belong together, the outermost first: what a worktree shares with
    others, itself, and those of its submodules.
    """
    common = _led(repository / "commondir", repository, b"")
    if common is not None and (common / "objects").is_dir():
        yield Path(os.path.realpath(common))
    yield repository
    for folder, below, files in os.walk(repository / "modules"):
        if "HEAD" in files:
            yield Path(folder)
            below[:] = [name for name in below if name == "modules"]


def enclosing(root: Path, home: Path) -> tuple[Path, Path] | None:
    """The folder above `root` in which git finds a repository, and its git directory; None where
    `root` has one itself, or where that folder holds the person's home.
    """
    if (root / GIT).exists():
        return None
    for folder in root.parents:
        if folder == home or folder in home.parents:
            return None
        if (found := git_folder(folder / GIT)) is not None:
            return folder, found
    return None


def _led(file: Path, base: Path, before: bytes) -> Path | None:
    """Where a file of one line leads, relative to `base`."""
    try:
        with file.open("rb") as opened:
            line = opened.read(_LONGEST)
    except OSError:
        return None
    if not line.startswith(before) or b"\0" in line:
        return None
    return base / os.fsdecode(line[len(before) :].strip())

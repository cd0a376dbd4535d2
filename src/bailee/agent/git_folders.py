"""Finding git directories and settings in folders, as git and other programs would find them.

Rules kept here:

* A repository is what git takes for one: a `.git` folder, a `.git` file and where it leads, or a
  folder that looks like a git directory itself (HEAD beside objects and refs), in any subfolder.
* Links are not followed on the way; what they lead to is found where it lies, if it lies inside.
* A document counts that tells a program what to start or to permit, whatever it is called.
* Nothing is run.
* A bound on what is looked at hides nothing from a second look: folders that the first one saw are
  looked at again whatever lies in them, and of the others those count as found, unseen, for which
  the bound leaves no room.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bailee.agent.inert import GITHUB, is_among_packages
from bailee.agent.obeyed import GIT, is_settings
from bailee.agent.telling import file_tells, may_tell

Identity = tuple[int, int]
_MOST: Final = 500_000  # entries of a workspace that are looked at
_LONGEST: Final = 4096  # bytes of a file that names another
_GIT_DIRECTORY: Final = frozenset({"HEAD", "commondir", "objects", "refs"})
# Where packages lie, with settings of their own that nobody opens.
_PACKAGES: Final = frozenset({"node_modules", "site-packages"})


@dataclass(slots=True)
class FoundFolders:
    """What was found. `obeyed`: each file or folder that a program would obey, and its identity on
    the disk; `repositories`: git directories; `folders`: those that were looked at; `unseen`: new
    ones, each with all that lies in it, for which there was no room; `whole`: whether everything
    was looked at, or is unseen.
    """

    obeyed: dict[Path, Identity] = field(default_factory=dict)
    repositories: list[Path] = field(default_factory=list)
    folders: set[Identity] = field(default_factory=set)
    unseen: set[Path] = field(default_factory=set)
    whole: bool = True


def look(
    roots: Iterable[Path],
    *,
    insist: bool = False,
    since: FoundFolders | None = None,
    most: int = _MOST,
    granted: Collection[str] = (),
) -> FoundFolders:
    """Looks through folders. `insist`: also through those that can be entered and not listed; their
    modes are changed for the while. `since`: what an earlier look found, if that was whole; `most`
    entries are then those of folders that are new. `granted`: see `obeyed.is_settings`.
    """
    found = FoundFolders()
    waiting: list[tuple[Path, Path | None]] = [(root, None) for root in dict.fromkeys(roots)]
    tops = [root for root, _ in waiting]
    left = most
    while waiting:
        folder, new = waiting.pop()  # and the outermost new folder that it lies in, or is
        with contextlib.suppress(OSError):
            here = folder.lstat()
            identity = (here.st_dev, here.st_ino)
            found.folders.add(identity)
            if new is None and since is not None and identity not in since.folders:
                new = folder
        counts = new is not None or since is None
        settings, documents = _settings_in(folder, tops, granted)
        entries, number = _entries(
            folder,
            left + 1 if counts else None,
            lambda name: settings(name) or documents(name),  # noqa: B023 - used at once
            insist=insist,
        )
        left -= number if counts else 0
        if left < 0 and counts:
            left = -1
            if new is None:
                found.whole = False
                break
            found.unseen.add(new)
            continue
        names = {entry.name for entry in entries}
        if "HEAD" in names and ("commondir" in names or {"objects", "refs"} <= names):
            _note(found, folder / "HEAD", folder)  # and what lies in it is looked at all the same
        for entry in entries:
            if entry.name == GIT or settings(entry.name):
                path = folder / entry.name
                _note(found, path, git_folder(path) if entry.name == GIT else None)
            elif entry.is_dir(follow_symlinks=False):
                waiting.append((folder / entry.name, new))
            elif documents(entry.name) and file_tells(
                path := folder / entry.name, whole=since is not None
            ):
                _note(found, path, None)
    return found


def settings_at(roots: Iterable[Path], granted: Collection[str] = ()) -> Iterator[Path]:
    """Settings at the top of folders, without git's."""
    for root in roots:
        settings, documents = _settings_in(root, [root], granted)
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(root)):  # noqa: PTH208 - names alone
                if settings(name) or (documents(name) and file_tells(root / name, whole=False)):
                    yield root / name


def _settings_in(
    folder: Path, tops: Sequence[Path], granted: Collection[str]
) -> tuple[Callable[[str], bool], Callable[[str], bool]]:
    """What says of an entry's name, in a folder, whether it is settings, and whether it may be by
    what it says.
    """
    above = _below(folder, tops)
    if not _PACKAGES.isdisjoint(above):
        return _never, _never
    packages, called = is_among_packages(above), folder.name
    return (
        lambda name: is_settings(name, called, among_packages=packages, granted=granted),
        _never
        if packages or GITHUB in above
        else lambda name: name not in granted and may_tell(name),
    )


def _never(_: str) -> bool:
    return False


def _entries(
    folder: Path, most: int | None, settings: Callable[[str], bool], *, insist: bool
) -> tuple[list[os.DirEntry[str]], int]:
    """What matters of a folder's entries, and how many were looked at. A folder may hold more files
    than should be in memory at once.
    """
    kept, number = [], 0
    try:
        with os.scandir(folder) as scanned:
            for entry in itertools.islice(scanned, most):
                number += 1
                if (
                    _is_gits(entry.name)
                    or settings(entry.name)
                    or entry.is_dir(follow_symlinks=False)
                ):
                    kept.append(entry)
    except PermissionError:
        if not insist:
            return kept, number
    except OSError:
        return kept, number
    else:
        return kept, number
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(folder.lstat().st_mode)
        folder.chmod(mode | 0o500)
        try:
            return _entries(folder, most, settings, insist=False)
        finally:
            folder.chmod(mode)
    return kept, number


def _is_gits(name: str) -> bool:
    """Whether an entry counts by its name, whatever it is: git takes links, and files too, for the
    folders that it looks for.
    """
    return name == GIT or name in _GIT_DIRECTORY


def _below(folder: Path, tops: Iterable[Path]) -> tuple[str, ...]:
    """The names that lead from one of `tops` to a folder; where that itself lies does not count."""
    return min(
        (folder.relative_to(top).parts for top in tops if folder.is_relative_to(top)), key=len
    )


def _note(found: FoundFolders, path: Path, repository: Path | None) -> None:
    with contextlib.suppress(OSError):
        here = path.lstat()
        found.obeyed[path] = (here.st_dev, here.st_ino)
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

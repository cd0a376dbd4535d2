"""Whether a home is its owner's alone, asked at every start and command.

Who can rename, replace or write what lies in a home can have keys made in a folder of theirs, and
read everything. So, for every folder on the way to a home, and for what lies in it:

* It belongs to who runs this, or to root.
* Nobody else can write to it. A folder on the way may be sticky instead, as `/tmp` is: there,
  others can't rename what is not theirs; or its group may write, when that is ours and has nobody
  else in it, or root's.
* On the way a link of ours or root's may stand, and where it leads is looked at likewise. In a home
  none may: what looks like a folder or a file is one. The settings may be a link.
* A file has one name. Another (a hard link) would be a way in, or somebody else's file.

A mode that lets others in is mended when the folder or file is ours; all else is refused, with what
is to be done and by whom. The root key's file is not mended: who could read it may have.

Access control lists, and what a file system's server lets others do, are not looked at.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bailee.errors import InputError, StorageError

_OTHERS_WRITE: Final = 0o022
_OTHERS: Final = 0o077
_LINKS: Final = 40
_ROOT_KEY: Final = "root.json"


@dataclass(frozen=True, slots=True)
class ProcessUser:
    """Who asks: their user id; the group that is theirs alone, if there is one; the id under which
    the system shows owners that it has no number for, if it does that.
    """

    user: int
    own_group: int | None
    unmapped: int | None


def objection(status: os.stat_result, who: ProcessUser, *, on_the_way: bool) -> str | None:
    """What is wrong with a folder, file or link, in words that follow its name; None: nothing.
    `on_the_way`: it is a folder that leads to a home. Pure.
    """
    owners = {who.user, 0}
    if on_the_way and who.unmapped is not None:
        owners.add(who.unmapped)
    if status.st_uid not in owners:
        return f"belongs to {name_of(status.st_uid)}"
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        return None
    if on_the_way and mode & stat.S_ISVTX:
        return None
    writers = mode & _OTHERS_WRITE
    if on_the_way and status.st_gid in (0, who.own_group):
        writers &= ~stat.S_IWGRP
    return "can be written by others" if writers else None


def name_of(user: int) -> str:
    """A user's name, else their number."""
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"the user {user}"


def standing() -> ProcessUser:
    """Who runs this process."""
    return ProcessUser(os.geteuid(), _own_group(), _unmapped())


def check_way(path: Path, who: ProcessUser, *, mend: bool = False) -> None:
    """Every folder on the way to `path`, and itself if it is there. Links are followed, each where
    it stands. `mend`: a mode of itself that lets others write is changed, if it is ours.

    Raises:
        InputError: code `configuration`: somebody else could put another folder in its place.
        StorageError: a folder can't be looked at.
    """
    waiting = list(reversed(path.absolute().parts))
    place = Path(waiting.pop())
    _look(place, who, on_the_way=True)
    links = 0
    while waiting:
        part = waiting.pop()
        if part == "..":
            place = place.parent
            continue
        try:
            last = not waiting
            status = _look(place / part, who, on_the_way=not last, mend=mend and last)
        except FileNotFoundError:
            return
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _LINKS:
                raise StorageError(f"{path} is a loop of links.")
            target = (place / part).readlink()
            waiting += reversed(target.parts[1:] if target.is_absolute() else target.parts)
            place = Path("/") if target.is_absolute() else place
        else:
            place = place / part


def check_secret(path: Path) -> None:
    """A file with a secret that a setting names, such as a TLS key: everybody must not read it, and
    nobody else write it. A group may read it, as those who renew certificates have it. One that is
    not there is for whoever reads it to tell.

    Raises:
        InputError: code `configuration`, with what is to be done.
    """
    check_way(path, standing())
    try:
        status = path.stat()
    except OSError:
        return
    if status.st_mode & stat.S_IROTH:
        raise _refused(
            path, "can be read by everybody", f"chmod o-r {path}, and have a new key made"
        )


def check_home(home: Path, folders: tuple[str, ...], settings: str, who: ProcessUser) -> None:
    """The way to a home, the home, and what lies in it, as far as it is there.

    Raises:
        InputError: code `configuration`: somebody else can put things in it, or has.
        StorageError: something can't be looked at.
    """
    before = home.stat() if home.is_dir() else None
    check_way(home, who, mend=True)
    if before is not None:
        _check_inside(home, folders, settings, who, opened=_closed(home, before))


def _check_inside(
    home: Path, folders: tuple[str, ...], settings: str, who: ProcessUser, *, opened: bool
) -> None:
    """The home's own folders, and what lies in them. Of the vault's many files only the folders are
    looked at. What lies deeper is, when the folder above had let others write.
    """
    for name in folders:
        folder = home / name
        try:
            status = _look(folder, who, on_the_way=False)
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(status.st_mode):
            raise _refused(folder, "is no folder", "put a folder there, or mount one")
        all_below = _closed(folder, status) or opened
        for path in _inside(folder, all_below=all_below):
            if name != "vault" or all_below or path.is_dir() or path.is_symlink():
                _check_one(path, who)
    check_way(home / settings, who, mend=not (home / settings).is_symlink())


def _inside(folder: Path, *, all_below: bool) -> Iterator[Path]:
    """What lies in a folder, and what lies below, if anybody could have put something there."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        yield Path(entry.path)
        if all_below and entry.is_dir(follow_symlinks=False):
            yield from _inside(Path(entry.path), all_below=True)


def _check_one(path: Path, who: ProcessUser) -> None:
    try:
        status = _look(path, who, on_the_way=False)
    except FileNotFoundError:
        return  # it went meanwhile: what a server that runs does
    mode = status.st_mode
    if stat.S_ISLNK(mode) or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISSOCK(mode)):
        raise _refused(path, "is no file and no folder", "find out who put it there; remove it")
    if stat.S_ISREG(mode) and status.st_nlink > 1:
        raise _refused(
            path, "has another name elsewhere", f"find it: find / -xdev -samefile {path}"
        )
    if stat.S_ISREG(mode) and mode & _OTHERS:
        if path.name == _ROOT_KEY:
            raise _refused(
                path, "can be read by others", f"chmod 600 {path}, and ask who has read it since"
            )
        _mend(path, 0o600)


def _look(path: Path, who: ProcessUser, *, on_the_way: bool, mend: bool = True) -> os.stat_result:
    try:
        status = path.lstat()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageError(f"{path} can't be looked at ({error.strerror}).") from error
    wrong = objection(status, who, on_the_way=on_the_way)
    if wrong is None:
        return status
    if wrong.startswith("belongs"):
        raise _refused(
            path,
            wrong,
            f"run this as {name_of(status.st_uid)}, choose another home with --home, or let root "
            f"give it to {name_of(who.user)} (chown)",
        )
    if mend and not on_the_way and status.st_uid == who.user and path.name != _ROOT_KEY:
        _mend(path, 0o700 if stat.S_ISDIR(status.st_mode) else 0o600)
        return status
    by = "you" if status.st_uid == who.user else name_of(status.st_uid)
    raise _refused(path, wrong, f"let {by} run: chmod go-w {path}; or choose another --home")


def _closed(folder: Path, before: os.stat_result) -> bool:
    """Make a folder of ours one for us alone; whether others could write to it before."""
    if before.st_mode & _OTHERS and before.st_uid == os.geteuid():
        _mend(folder, 0o700)
    return bool(before.st_mode & _OTHERS_WRITE)


def _mend(path: Path, mode: int) -> None:
    """Change a mode, by a handle: what is a link by now is left alone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return  # a socket: its folder guards it
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _refused(path: Path, wrong: str, hint: str) -> InputError:
    return InputError(f"{path} {wrong}.", code="configuration", hint=hint)


def _own_group() -> int | None:
    """Our primary group, when it is ours alone: it has our name and no other member."""
    import grp
    import pwd

    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
        group = grp.getgrgid(os.getegid())
    except KeyError:
        return None
    return group.gr_gid if group.gr_name == name and set(group.gr_mem) <= {name} else None


def _unmapped() -> int | None:
    """In a namespace of users, the number that stands for all who have none in it."""
    try:
        if Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]:
            return None
        return int(Path("/proc/sys/kernel/overflowuid").read_text())
    except (OSError, ValueError):
        return None

"""A git directory as a command in the sandbox sees it, and what comes back of it.

In the place of the git directory stands a folder of ours (in `bailee-…` within the real one, so
that it survives us). In it are the folders of data as they are, copies of the files of data, and
everything else read-only. The command can put into it what it likes; afterwards the files of data
are taken over, and nothing else (`git_data`).

Rules kept here:

* What git obeys is not written, whatever it is called: only what is known as data comes back.
* Credentials that stand in the configuration stay outside.
* Each file is taken over as git does it (NAME.lock, then its name), and only where the real one is
  what it was: what changed outside meanwhile stays. packed-refs alone is merged, ref by ref.
* A shadow that a crash left is taken over by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bailee.agent import git_data

_PREFIX: Final = "bailee-"
_LARGEST: Final = 512 * 1024 * 1024  # bytes of a file that is copied


class GitShadow:
    """One git directory during one command. Made before it, `take_back` once nothing of the command
    runs any more. On one thread at a time.

    Raises (when it is made):
        OSError: the git directory can't be written to.
    """

    def __init__(self, real: Path) -> None:
        self._real = real
        # Whatever a command moves, what is held open is the one that was found.
        self._held = os.open(real, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        self._at = Path(f"/proc/self/fd/{self._held}")
        try:
            self._begin()
        except BaseException:
            os.close(self._held)
            raise

    def _begin(self) -> None:
        for left in sorted(self._at.glob(f"{_PREFIX}*")):
            self._finish(left)
        for name in ("logs", "refs"):  # a new one would stay inside
            (self._at / name).mkdir(exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._at))
        inside = self._folder / "inside"
        inside.mkdir()
        self._strange = set(_strange(self._at))
        self._base: dict[str, bytes | None] = {}
        for name, content in _data(self._at):
            self._base[name] = content if name == git_data.PACKED else _digest(content)
            (inside / name).parent.mkdir(exist_ok=True)
            (inside / name).write_bytes(content)
        self._lock = self._noted()

    def mounts(self) -> Iterator[str]:
        """Bubblewrap's arguments that put it into its place."""
        real = self._real
        yield from ("--bind", str(real / self._folder.name / "inside"), str(real))
        for entry in sorted(os.scandir(real), key=lambda entry: entry.name):
            name = entry.name
            if name.startswith(_PREFIX) or name in git_data.FOLDERS:
                continue
            if git_data.is_file(name) or name == git_data.PACKED:
                continue
            if entry.is_dir() or entry.is_file():
                how = "--bind" if name in git_data.LIVE and entry.is_dir() else "--ro-bind"
                yield from (how, str(real / name), str(real / name))

    def take_back(self) -> list[str]:
        """Takes the data over; the names of what was not taken over."""
        try:
            found = _taken_back(self._at, self._folder, self._base, self._strange)
        finally:
            os.close(self._lock)
            os.close(self._held)
        return [f"{self._real}/{name}" for name in found]

    # -- what a crash leaves ---------------------------------------------------------------------

    def _noted(self) -> int:
        """Writes down what the real one was; the file is locked for as long as we live."""
        noted = {
            "strange": [list(one) for one in self._strange],
            "base": {n: b.decode("latin-1") for n, b in self._base.items() if b is not None},
        }
        handle = os.open(self._folder / "base", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        with os.fdopen(os.dup(handle), "w") as file:
            json.dump(noted, file)
        return handle

    def _finish(self, folder: Path) -> None:
        """Takes over what a crash left, unless it is somebody's who lives."""
        handle = -1
        try:
            handle = os.open(folder / "base", os.O_RDWR | os.O_NOFOLLOW)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with os.fdopen(os.dup(handle)) as file:
                noted = json.load(file)
            base = {name: text.encode("latin-1") for name, text in noted["base"].items()}
            _taken_back(self._at, folder, base, {(name, led) for name, led in noted["strange"]})
        except (OSError, ValueError, KeyError):  # somebody's, or not even begun
            return
        finally:
            if handle >= 0:
                os.close(handle)


def _taken_back(
    real: Path, folder: Path, base: Mapping[str, bytes | None], strange: set[tuple[str, str]]
) -> list[str]:
    not_taken: list[str] = []
    mine = dict(_data(folder / "inside"))
    for name in sorted({*mine, *base}):
        content, before, theirs = mine.get(name), base.get(name), _content(real / name)
        if name == git_data.PACKED:
            merged = git_data.packed_refs(before or b"", content or b"", theirs or b"")
            fine = merged == (theirs or b"") or _replace(real / name, merged)
        elif _digest(content) == before:
            continue
        else:
            fine = (
                git_data.may_come_out(name, content)
                and _digest(theirs) in (before, _digest(content))
                and _replace(real / name, content)
            )
        if not fine:
            not_taken.append(name)
    for name in git_data.FOLDERS:
        with contextlib.suppress(OSError):  # not there, or not empty
            (real / name).rmdir()
    for name, _ in set(_strange(real)) - strange:
        (real / name).unlink(missing_ok=True)
        not_taken.append(name)
    for top, below, _ in os.walk(folder):  # a command may have closed some to their owner
        for name in below:
            if not (inner := Path(top, name)).is_symlink():
                inner.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
    return not_taken


def _data(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The files of data in a git directory, by name."""
    for entry in os.scandir(folder):
        if git_data.is_file(entry.name) or entry.name == git_data.PACKED:
            if (content := _content(folder / entry.name)) is not None:
                if entry.name.startswith("config"):
                    content = git_data.without_credentials(content)
                yield entry.name, content
        elif entry.name in git_data.FOLDERS and entry.is_dir(follow_symlinks=False):
            with contextlib.suppress(PermissionError):  # as a command may have left it
                for inner in os.scandir(entry.path):
                    name = f"{entry.name}/{inner.name}"
                    if (content := _content(folder / name)) is not None:
                        yield name, content


def _content(file: Path) -> bytes | None:
    """An ordinary file's bytes; None where it is none."""
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:
            found = os.fstat(opened.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
                return None
            return opened.read()
    except OSError:
        return None


def _digest(content: bytes | None) -> bytes | None:
    return None if content is None else hashlib.blake2b(content, digest_size=16).digest()


def _replace(file: Path, content: bytes | None) -> bool:
    """Puts `content` in a file's place under git's own lock, or takes the file away; whether it
    could.
    """
    lock = file.with_name(f"{file.name}.lock")
    try:
        if file.parent.name in git_data.FOLDERS:
            file.parent.mkdir(exist_ok=True)
        handle = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    except OSError:
        return False
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(content or b"")
        if content is None:
            file.unlink(missing_ok=True)
            lock.unlink()
        else:
            lock.replace(file)
    except OSError:
        lock.unlink(missing_ok=True)
        return False
    return True


def _strange(real: Path) -> Iterator[tuple[str, str]]:
    """What git would follow elsewhere, or wait for, in the folders that commands write to: whatever
    is neither a file nor a folder; by name, and what it leads to.
    """
    for top in git_data.LIVE:
        deepest = 1 if top == "objects" else None  # below there, objects' own folders
        waiting = [(top, 0)] if not (real / top).is_symlink() else []
        while waiting:
            folder, depth = waiting.pop()
            with contextlib.suppress(OSError):
                for entry in os.scandir(real / folder):
                    name = f"{folder}/{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        if deepest is None or depth < deepest:
                            waiting.append((name, depth + 1))
                    elif not entry.is_file(follow_symlinks=False):
                        yield name, str(Path(entry).readlink()) if entry.is_symlink() else ""

"""A Debian system, unpacked: packages' files, and what their scripts would have made of them.

No package's script runs. What the scripts of the packages in `packages.py` do that a machine needs
is done here: users and groups, links for alternatives, the certificates' bundle, the linker's
cache, compiled Python, and dpkg's record of it all, so that apt works inside. A package that was
named with `--with` and whose script does more is not set up by it; the manifest names those.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Final

from bailee.cloud.image import deb
from bailee.cloud.image.debian import Package
from bailee.errors import StorageError

_MERGED: Final = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")
_ALTERNATIVES: Final[Mapping[str, str]] = {
    "awk": "mawk",
    "c++": "g++",
    "c89": "c89-gcc",
    "c99": "c99-gcc",
    "cc": "gcc",
    "js": "node",
    "lzma": "xz",
    "nawk": "mawk",
    "pager": "less",
    "which": "which.debianutils",
}
_COPIES: Final[Mapping[str, str]] = {
    "usr/share/base-passwd/passwd.master": "etc/passwd",
    "usr/share/base-passwd/group.master": "etc/group",
    "usr/share/libc-bin/nsswitch.conf": "etc/nsswitch.conf",
    "usr/share/base-files/profile": "etc/profile",
    "usr/share/base-files/dot.bashrc": "root/.bashrc",
    "usr/share/base-files/dot.profile": "root/.profile",
}
_FOLDERS: Final = ("workspace", "home/session", "opt", "srv", "mnt", "media", "var/mail")
KERNEL: Final = ("boot", "usr/lib/modules")
"""Where the kernel and its modules lie: what a machine starts with, and nobody reads in it."""
# What else nobody reads in a machine without a person at it.
_UNWANTED: Final = (
    *KERNEL,
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
)
PYTHON: Final = "python3.11"
PYTHON_NEEDS: Final = (  # of the tree, to run Python out of it
    "lib",
    "lib64",
    "usr/bin/python3.11",
    "usr/lib64",
    "usr/lib/python3",
    "usr/lib/python3.11",
    "usr/lib/x86_64-linux-gnu",
)
_UNCOMPILED: Final = "(/(tests?|lib2to3|idlelib)/|bad_coding|badsyntax)"
_USER: Final = "session:x:1000:1000::/home/session:/bin/bash\n"


def unpack(packages: Sequence[Package], tree: Path) -> list[str]:
    """Unpack packages into `tree` and set it up; gives those with a script that did not run."""
    tree.mkdir(parents=True)
    for name in _MERGED:
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    info = tree / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    records, scripts = [], []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for package, record, has_script in pool.map(lambda p: _unpack_one(p, tree, info), packages):
            records.append(record)
            if has_script:
                scripts.append(package.name)
    (info.parent / "status").write_text("\n".join(records))
    for name in ("available", "diversions", "statoverride", "lock"):
        (info.parent / name).touch()
    (info / "format").write_text("1\n")
    return scripts


def _unpack_one(package: Package, tree: Path, info: Path) -> tuple[Package, str, bool]:
    """Unpack one package; gives its record for dpkg, and whether it has a script to set it up."""
    control = info / f".{package.name}"
    _unpack_control(package, control)
    listed = _unpack_files(package, tree)
    fields = (control / "control").read_text().rstrip("\n")
    same = "Multi-Arch: same" in fields
    stem = f"{package.name}:amd64" if same else package.name
    names = [line.removeprefix(".").rstrip("/") or "/." for line in listed.splitlines()]
    (info / f"{stem}.list").write_text("".join(f"{name}\n" for name in names))
    conffiles = ""
    for file in sorted(control.iterdir()):
        if file.name == "control":
            continue
        if file.name == "conffiles":
            lines = [line for line in file.read_text().splitlines() if line.startswith("/")]
            conffiles = "".join(f"\n {line} {_md5(tree, line)}" for line in lines)
        file.rename(info / f"{stem}.{file.name}")
    shutil.rmtree(control)
    head, _, rest = fields.partition("\n")
    record = f"{head}\nStatus: install ok installed\n{rest}\n"
    if conffiles:
        record += f"Conffiles:{conffiles}\n"
    return package, record, (info / f"{stem}.postinst").exists()


def _unpack_control(package: Package, control: Path) -> None:
    control.mkdir()
    with (
        deb.part(package.path, "control") as unpacked,
        tarfile.open(fileobj=unpacked, mode="r|") as archive,
    ):
        for member in archive:
            content = archive.extractfile(member)
            if content is None:  # the folder itself
                continue
            file = control / PurePosixPath(member.name).name
            file.write_bytes(content.read())
            file.chmod(member.mode & 0o777)


def _unpack_files(package: Package, tree: Path) -> str:
    """Unpack a package's files; gives their names, a line each."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as listed:
        command = [
            "tar",
            "--extract",
            "--verbose",
            "--preserve-permissions",
            "--no-same-owner",
            "--keep-directory-symlink",
            "--delay-directory-restore",
            "--directory",
            str(tree),
            "--file=-",
        ]
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        unpacking = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=listed, env=environment
        )
        assert unpacking.stdin is not None
        try:
            with deb.part(package.path, "data") as unpacked, unpacking.stdin as into:
                shutil.copyfileobj(unpacked, into, 1 << 20)
        except BrokenPipeError:
            pass  # tar has ended, and says why
        finally:
            status = unpacking.wait()
        if status != 0:
            raise subprocess.CalledProcessError(status, command)
        listed.seek(0)
        return listed.read()


def _md5(tree: Path, name: str) -> str:
    path = tree / name.lstrip("/")
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def set_up(tree: Path) -> None:
    """Do what the packages' scripts would have done."""
    for name in _FOLDERS:
        (tree / name).mkdir(parents=True, exist_ok=True)
    for source, target in _COPIES.items():
        if (tree / source).exists():
            shutil.copyfile(tree / source, tree / target)
    _users(tree / "etc")
    for link, target in _ALTERNATIVES.items():
        if (tree / "usr/bin" / target).exists() and not os.path.lexists(tree / "usr/bin" / link):
            (tree / "usr/bin" / link).symlink_to(target)
    (tree / "etc/shells").write_text("/bin/sh\n/bin/bash\n/usr/bin/bash\n")
    (tree / "etc/hostname").write_text("bailee\n")
    (tree / "etc/resolv.conf").write_text("# There is no resolver: see HTTP_PROXY.\n")
    _certificates(tree)
    for name in _UNWANTED:
        shutil.rmtree(tree / name, ignore_errors=True)
    subprocess.run(  # noqa: S603
        [shutil.which("ldconfig") or "/sbin/ldconfig", "-r", tree],
        check=False,  # without its cache the linker looks in the folders itself
        capture_output=True,
    )
    (tree / "var/cache/ldconfig/aux-cache").unlink(missing_ok=True)


def _users(etc: Path) -> None:
    with (etc / "passwd").open("a") as passwd, (etc / "group").open("a") as group:
        passwd.write(_USER)
        group.write("session:x:1000:\n")
    names = [line.split(":")[0] for line in (etc / "passwd").read_text().splitlines()]
    (etc / "shadow").write_text("".join(f"{name}:*:19000:0:99999:7:::\n" for name in names))
    (etc / "shadow").chmod(0o600)


def _certificates(tree: Path) -> None:
    found = sorted((tree / "usr/share/ca-certificates").rglob("*.crt"))
    if not found:
        return
    target = tree / "etc/ssl/certs/ca-certificates.crt"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(path.read_text().rstrip("\n") + "\n" for path in found))
    (tree / "usr/lib/ssl").mkdir(parents=True, exist_ok=True)
    cert = tree / "usr/lib/ssl/cert.pem"
    if not os.path.lexists(cert):
        cert.symlink_to("/etc/ssl/certs/ca-certificates.crt")


def python(tree: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the tree's own Python on this machine, through the tree's own linker."""
    library = tree / "usr/lib/x86_64-linux-gnu"
    environment = {
        **{
            k: v
            for k, v in os.environ.items()
            if k.startswith("PIP_") or k.lower().endswith("_proxy")
        },
        "HOME": os.environ.get("HOME", "/nonexistent"),
        "PATH": "/usr/bin:/bin",
        "PYTHONHOME": str(tree / "usr"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        # pip writes all of it there first: on the same disk it is renamed, and not copied.
        "TMPDIR": str(tree.parent),
        "LC_ALL": "C.UTF-8",
    }
    return subprocess.run(  # noqa: S603
        [
            library / "ld-linux-x86-64.so.2",
            "--library-path",
            library,
            tree / "usr/bin" / PYTHON,
            "-s",
            *arguments,
        ],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )


def compile_python(tree: Path, folder: Path, root: Path) -> None:
    """Compile the modules below `folder`, which will lie where they lie within `root`.

    A guest without compiled modules takes seconds for each start of Python. The files are of the
    kind that is never compared with its source, so that no time is in them. A module that is not of
    this Python's language is left as it is.

    Raises:
        StorageError: the compiler itself ended before its end.
    """
    done = python(
        tree,
        "-W",
        "ignore",
        "-m",
        "compileall",
        "-q",
        "--invalidation-mode",
        "unchecked-hash",
        "-s",
        root,
        "-p",
        "/",
        "-j",
        "2",
        "-x",  # is looked for in whole paths: where the tree lies must not count
        f"^{re.escape(str(root))}.*{_UNCOMPILED}",
        folder,
    )
    if done.stderr or done.returncode not in {0, 1}:
        raise StorageError(
            f"Python's modules could not be compiled (exit status {done.returncode}).",
            hint="see that the machine has memory left, and build again",
        )

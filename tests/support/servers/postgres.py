"""A server of PostgreSQL that is not ours, Debian's, which runs as an ordinary user; and databases
on it, each new.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import psycopg
import pytest

_NEW = "TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"


def programs() -> Path | None:
    """The folder with the server's programs; None: it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class PostgresServer:
    """One server on a port of 127.0.0.1. Whoever made it calls `end`."""

    def __init__(self, options: Sequence[str] = (), *, of: PostgresServer | None = None) -> None:
        """`of`: it is a standby of that one, and has a slot there."""
        found = programs()
        if found is None:
            pytest.skip("needs PostgreSQL")
        self._programs = found
        self.folder = _folder()
        self.files = self.folder / "files"
        self._as = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port = taken.getsockname()[1]
        if of is None:
            self._lay_out()
        else:
            self._run("pg_basebackup", "--no-sync", "-c", "fast", "-R", "-D", str(self.files),
                      "-C", "-S", f"standby_{self.port}",
                      "-d", f"host=127.0.0.1 port={of.port} user=bailee")  # fmt: skip
        self._options = options
        self.start()
        self._count = 0
        self._made: list[str] = []

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = [
            *("-h", "127.0.0.1", "-p", str(self.port), "-k", str(self.folder)),
            *("-c", "max_connections=200", "-c", "log_statement=all"),
            *self._options,
        ]
        self._run("pg_ctl", "-D", str(self.files), "-l", str(self.folder / "said"), "-w",
                  "-o", " ".join(options), "start")  # fmt: skip

    def stop(self, how: str = "fast") -> None:
        """Stop it; its files stay. `immediate`: as a crash does."""
        self._run("pg_ctl", "-D", str(self.files), "-w", "-m", how, "stop")

    def promote(self) -> None:
        """A standby takes writes from now on, and follows nobody."""
        self._run("pg_ctl", "-D", str(self.files), "-w", "promote")

    def follow_nobody(self) -> None:
        """A standby gets nothing more."""
        self.do("ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")

    def follow(self, primary: PostgresServer) -> None:
        """A standby gets what there is, again."""
        at = f"host=127.0.0.1 port={primary.port} user=bailee"
        self.do(f"ALTER SYSTEM SET primary_conninfo = '{at}'", "SELECT pg_reload_conf()")

    def end(self) -> None:
        """Stop it, and remove what there is of it."""
        for _ in range(3):
            try:
                self.stop("immediate")
                break
            except subprocess.CalledProcessError:
                time.sleep(0.2)
        shutil.rmtree(self.folder, ignore_errors=True)

    def said(self) -> str:
        """What it has written into its log, every statement among it."""
        return (self.folder / "said").read_text("utf-8", "replace")

    def _lay_out(self) -> None:
        """Its files, copied from those that the first of this process had made."""
        if not _laid_out:
            folder = _folder()
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            self._run("initdb", "--no-sync", "-A", "trust", "-U", "bailee", "-E", "UTF8",
                      "--locale=C", "-D", str(folder / "files"))  # fmt: skip
            _laid_out.append(folder / "files")
        subprocess.run(["cp", "-a", _laid_out[0], self.files], check=True)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self._as, str(self._programs / program), *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            cwd="/",
            timeout=120,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        )

    def address(self, name: str, user: str = "bailee", *others: PostgresServer) -> str:
        """The address of a database; `others` may have it as well."""
        servers = ",".join(f"127.0.0.1:{one.port}" for one in (self, *others))
        return f"postgresql://{user}@{servers}/{name}"

    def do(self, *statements: str, at: str = "postgres") -> None:
        """Run statements, each in a transaction of its own."""
        with psycopg.connect(self.address(at), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]

    def new(self, how: str = _NEW, *, stays: bool = False) -> str:
        """A new database; its address. `stays`: until the server ends, and not for one test."""
        self._count += 1
        name = f"d{os.getpid()}_{self._count}"
        self.do(f"CREATE DATABASE {name} {how}")
        if not stays:
            self._made.append(name)
        return self.address(name)

    def drop(self, *, but: Collection[str]) -> None:
        """Remove the databases that were made, but for those that are named: each is a thousand
        files.
        """
        gone = [name for name in self._made if name not in but]
        if gone:
            self.do(*(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in gone))
            self._made = [*but]


def _folder() -> Path:
    """A new one, the server's own, which refuses to run as root. It is beside the tests' folders:
    where they lie in memory, a commit waits for no disk.
    """
    made = Path(tempfile.mkdtemp(prefix="pg.", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(made, user.pw_uid, user.pw_gid)
    return made


_laid_out: list[Path] = []
_shared: list[PostgresServer] = []


def shared() -> PostgresServer:
    """The server of this process: of a run, each of its workers has one, from the first test on
    that wants it.
    """
    if not _shared:
        _shared.append(PostgresServer())
    return _shared[0]


def is_running() -> bool:
    """Whether there is one."""
    return bool(_shared)


def end() -> None:
    """The process ends: so does its server."""
    while _shared:
        _shared.pop().end()

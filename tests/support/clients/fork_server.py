"""Runs `bailee` in processes that need not import it first. Run as a program by `processes`.

    python fork_server.py CONTROL

It imports the command line and the server once, and forks for each command. Such a process has its
own environment, folder, arguments and standard streams, and nothing else of this one's open; from
there on it is `python -m bailee`, or a program that a test has for itself. When it is over, by its
own or with a status, it ends as Python does, but for taking down what this one has imported: that
copies all of it first, ten times the work of most commands. On `CONTROL`, a socket
of packets, come a command as JSON and its descriptors: one to answer on, then standard input,
output and error, or three times the terminal that is to control it. Answered are the number of the
process, and, when it has ended, its wait status.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import json
import os
import pkgutil
import resource
import runpy
import selectors
import socket
import sys
import tempfile
import termios
import threading
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import cheap_hashes
import compiled_statements
import compiled_templates
import spare_workbench

# What a command imports besides that prints a table; a server that writes its metrics down.
OF_TABLES = ("bailee.plain_console", "rich.table")
OF_METRICS = ("bailee.telemetry.columns", "pyarrow.compute")
# What talks to PostgreSQL, a tenth of a second of each process that has its databases there.
OF_POSTGRESQL = ("psycopg", "sqlalchemy.dialects.postgresql.psycopg")
# What `bailee code` imports besides, three seconds long: when it is first asked for.
OF_CODE = ("bailee.agent.assembly", "bailee.agent.terminal.app", "anthropic")


class NoPandas:
    """Hides what developers alone have: pyarrow imports it where it is there, which takes half a
    second of each server that writes its metrics down.
    """

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        """See `importlib.abc.MetaPathFinder`."""
        if name == "pandas":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def load() -> None:
    """Import what commands and the server run on, without starting a thread."""
    sys.meta_path.insert(0, NoPandas)
    import bailee.app
    import bailee.cli
    import bailee.policy

    bailee.cli.whole()
    of_the_server = [m.name for m in pkgutil.iter_modules(bailee.app.__path__, "bailee.app.")]
    for name in (*of_the_server, *OF_TABLES, *OF_METRICS, *OF_POSTGRESQL):
        import_module(name)
    _read_commands()
    bailee.policy.load()  # what comes with the package; kept for who asks for it again
    compiled_statements.share()
    cheap_hashes.share()
    _of_homes("made_databases").share()
    _of_homes("small_files").share()
    _open_a_home()
    _lay_out_a_console()
    _serve_a_home()
    _settle()


def _read_commands() -> None:
    """Read once what the commands' functions take: each process reads it of those it builds."""
    from bailee.cli import whole

    typer: Any = import_module("typer.main")
    typer.get_params_from_function = cache(typer.get_params_from_function)
    typer.get_command(whole())


def _of_homes(name: str) -> ModuleType:
    """What makes homes less costly in the tests' own processes, which have it for themselves."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    try:
        return import_module(f"support.homes.{name}")
    finally:
        del sys.path[0]


def _open_a_home() -> None:
    """Do once what every process that opens a home does: its statements are compiled then, and
    what comes with the package is read.
    """
    from bailee.home import Home
    from bailee.node import verifying
    from bailee.node.node import Node

    with tempfile.TemporaryDirectory() as folder:
        for _ in ("new", "as it was left"):
            with Node.open(Home(Path(folder) / "home")) as node:
                node.sweep(node.clock())
                verifying.known(node)
    tempfile.tempdir = None  # who is forked finds it by their own environment


def _lay_out_a_console() -> None:
    """Do once what every server does: the patterns of its routes are compiled, and its pages."""
    from bailee.console import Parts
    from bailee.console.site import Site
    from bailee.policy.diagram import Configuration

    nothing: Any = SimpleNamespace(policy=None, registry=None)  # none of it is asked for
    running = Configuration("http://127.0.0.1:1", False, (), "folder", "file")
    Site(Parts(nothing, running, nothing))
    compiled_templates.share()
    compiled_templates.warm()


def _serve_a_home() -> None:
    """Do once what every server does with its home, and with an exchange."""
    import warmed

    with tempfile.TemporaryDirectory() as folder:
        warmed.serve_once(Path(folder) / "home")
    tempfile.tempdir = None


def _load_code() -> None:
    if OF_CODE[-1] not in sys.modules:
        for name in OF_CODE:
            import_module(name)
        _settle()


def _settle() -> None:
    assert 1 == len(os.listdir("/proc/self/task")), "a thread would not be there after a fork"  # noqa: PTH208
    gc.collect()
    gc.freeze()


def serve(control: socket.socket) -> None:
    """Fork for whoever asks; returns in the new process, which has become what was asked."""
    waiting = selectors.DefaultSelector()
    waiting.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.data is not None:  # a process has ended
                pid, answers = key.data
                waiting.unregister(key.fd)
                os.close(key.fd)
                _tell(answers, os.waitpid(pid, 0)[1])
                answers.close()
                continue
            data, descriptors, _, _ = socket.recv_fds(control, 1 << 20, 4)
            if not data:
                sys.exit()
            asked = json.loads(data)
            if asked["arguments"][:1] == ["code"] or asked["program"].endswith("code_at.py"):
                _load_code()
            if (pid := os.fork()) == 0:
                _forget(waiting)
                os.close(descriptors[0])
                _become(asked, descriptors[1:])
                return
            answers = socket.socket(fileno=descriptors[0])
            waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, answers))
            for descriptor in descriptors[1:]:
                os.close(descriptor)
            _tell(answers, pid)


def _tell(answers: socket.socket, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
        answers.sendall(b"%d" % number)


def _forget(waiting: selectors.BaseSelector) -> None:
    """Close what is the server's. The objects are closed: they would close the numbers later."""
    for key in list(waiting.get_map().values()):
        if key.data is None:
            cast("socket.socket", key.fileobj).close()
        else:
            os.close(key.fd)
            key.data[1].close()
    waiting.close()


def _become(asked: dict[str, Any], streams: list[int]) -> None:
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    if asked["terminal"]:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    # That of this one may be of a moment in which a test had fewer.
    resource.setrlimit(resource.RLIMIT_NOFILE, asked["descriptors"])
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.path[0] = asked["folder"]
    sys.argv[:] = [asked["program"], *asked["arguments"]]
    if asked["program"] == "bailee" and asked["arguments"][:1] == ["up"]:
        spare_workbench.beside()


def _run() -> None:
    if sys.argv[0] == "bailee":
        runpy.run_module("bailee", run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(sys.argv[0])  # noqa: PTH120
        runpy.run_path(sys.argv[0], run_name="__main__")


def _end(status: int) -> None:
    """End as Python does: wait for threads, let go what asked for it, write what is still to be
    written. Returns if that fails: Python has its own way then.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(status)


if __name__ == "__main__":
    load()
    serve(socket.socket(fileno=int(sys.argv[1])))
    try:
        _run()
    except SystemExit as over:
        if over.code is None or isinstance(over.code, int):
            _end(over.code or 0)
        raise
    _end(0)

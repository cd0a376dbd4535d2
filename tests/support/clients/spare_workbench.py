"""The process that takes exchanges apart for a forked server, forked beside it.

To start Python and import what it needs takes four times as long as all else that it costs a
server of a test's. `beside` forks it before its server has become one: with nothing open, on one
thread, knowing of no home. It is the server's child like any, and is given what
`vault.workbench_process` gives: its socket, and an environment. One that is started after the first
is started as ever; so is that of a server that is not forked.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NoReturn

from bailee.gateway import taking_apart
from bailee.vault import workbench_process


class _Forked:
    """What `WorkbenchProcess` uses of `subprocess.Popen`. Its child is not waited for elsewhere."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def kill(self) -> None:
        """End it. It is there until it was waited for."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Its exit status."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def beside() -> None:
    """Fork it now; the first that this process starts is that one."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if (pid := os.fork()) == 0:
        ours.close()
        _wait(its)
    its.close()
    spare = [pid]

    def started(
        command: Sequence[str], *, stdin: int, stdout: int, stderr: int, env: Mapping[str, str]
    ) -> Any:
        if not spare or tuple(command) != taking_apart.COMMAND:
            return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, env=env)
        with ours:
            socket.send_fds(ours, [json.dumps(dict(env)).encode()], [stdin])
        return _Forked(spare.pop())

    workbench_process.subprocess = SimpleNamespace(  # type: ignore[assignment]
        Popen=started, DEVNULL=subprocess.DEVNULL
    )


def _wait(asked: socket.socket) -> NoReturn:
    """Become what is asked for; end if its server ends before."""
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):  # else whoever reads what the server says would wait for this too
            os.dup2(nowhere, stream)
        os.close(nowhere)
        with asked:
            environment, descriptors, _, _ = socket.recv_fds(asked, 1 << 20, 1)
        if environment:
            os.dup2(descriptors[0], 0)
            os.close(descriptors[0])
            os.environ.clear()
            os.environ.update(json.loads(environment))
            workbench_process.serve(taking_apart.interpret)
    finally:
        os._exit(0)

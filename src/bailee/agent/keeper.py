"""Runs a command, and ends all that it left behind, also what has a session of its own.

    python -I -S keeper.py COMMAND...

The kernel gives the orphans of a command to this process (a subreaper). When the command has ended,
or SIGTERM comes, or whoever started us is gone, they are killed; then this process ends as the
command did. On SIGTERM they have a second for a last word.

Stands alone: it is run by its path, with the standard library and nothing of bailee's. Linux.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36
_GRACE = 1


def main() -> int:
    """Runs the command; its exit status, as a shell gives it, where it was no signal."""
    above = os.getppid()
    libc = ctypes.CDLL(None)
    libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _told)
    signal.signal(signal.SIGALRM, lambda *_: _kill(signal.SIGKILL))
    libc.prctl(_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    child = os.fork()
    if child == 0:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        try:
            os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - its arguments are the command
        finally:
            os._exit(127)
    if os.getppid() != above:
        _told(signal.SIGTERM, None)
    status = 0
    while True:
        try:
            ended, found = os.waitpid(-1, 0)
        except ChildProcessError:
            signal.setitimer(signal.ITIMER_REAL, 0)
            break
        if ended == child:
            status = os.waitstatus_to_exitcode(found)
            _kill(signal.SIGKILL)
    if status < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status if status >= 0 else 128 - status


def _told(_number: int, _frame: object) -> None:
    _kill(signal.SIGTERM)
    signal.alarm(_GRACE)


def _kill(number: int) -> None:
    """All below this process. Who is born meanwhile comes to us as an orphan, and the next SIGKILL
    finds it: `main` waits until there is nobody.
    """
    waiting, below = [os.getpid()], list[int]()
    while waiting:
        tasks = f"/proc/{waiting.pop()}/task"
        with contextlib.suppress(OSError):
            for task in os.listdir(tasks):  # noqa: PTH208 - pathlib is slow to import
                with open(f"{tasks}/{task}/children") as children:  # noqa: PTH123
                    found = [int(pid) for pid in children.read().split()]
                below += found
                waiting += found
    for pid in below:
        with contextlib.suppress(OSError):
            os.kill(pid, number)
    if number == signal.SIGKILL and below:
        signal.setitimer(signal.ITIMER_REAL, 0.05)


if __name__ == "__main__":
    sys.exit(main())

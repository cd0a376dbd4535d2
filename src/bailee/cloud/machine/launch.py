"""Becomes QEMU: a program of its own, so that nothing runs between fork and exec in a process
that has threads.

    python -I launch.py PARENT LIMITS WORD...

It asks to be killed when the parent dies, sees that the parent has not died already, sets limits
(`name=value`, joined by commas; `cgroup=` names a control group to enter), and executes the words.
It imports the standard library only and is started by its path.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Never returns."""
    parent, limits, *words = sys.argv[1:]
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit("the parent has died")
    for limit in filter(None, limits.split(",")):
        name, _, value = limit.partition("=")
        if name == "cgroup":
            with open(os.path.join(value, "cgroup.procs"), "w") as procs:  # noqa: PTH118, PTH123
                procs.write("0")
        else:
            number = int(value)
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (number, number))
    os.umask(0o077)
    os.execvp(words[0], words)  # noqa: S606


main()

"""`bailee` in a line of a shell (`processes.shell`): has it forked, and ends as it does.

    python -I -S forked.py CONTROL ARGUMENT...

`CONTROL` is the number of the socket of the process that forks (`fork_server`). What is forked has
this process's environment, folder and standard streams. It imports next to nothing, and is the same
program to the shell: what its streams lead to, and its exit status, are the shell's doing and its.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys


def main(control: int, *arguments: str) -> int:
    """Ask for it, and wait for its end; the exit status."""
    answers, answering = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    asked = {
        "program": "bailee",
        "arguments": arguments,
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109
        "terminal": False,
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE),
    }
    with socket.socket(fileno=control) as server:
        socket.send_fds(server, [json.dumps(asked).encode()], [answering.fileno(), 0, 1, 2])
    answering.close()
    answers.recv(100)  # its number
    for stream in range(3):  # who reads what it says waits for its end, not for ours
        os.close(stream)
    status = os.waitstatus_to_exitcode(int(answers.recv(100)))
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    os._exit(main(int(sys.argv[1]), *sys.argv[2:]))

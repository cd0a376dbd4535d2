"""Inside the sandbox: offers the proxy's socket on loopback, and runs a command.

    python -I -S relay.py SOCKET PORT COMMAND...

Stands alone: it is run by its path, with the standard library and nothing of bailee's.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading


def main() -> int:
    """Runs the command beside the relay; its exit status, as a shell gives it."""
    path, port, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    listener = socket.create_server(("127.0.0.1", port), backlog=64)
    child = os.fork()
    if child == 0:
        listener.close()
        try:
            os.execvp(command[0], command)  # noqa: S606 - its arguments are the command
        finally:
            os._exit(127)
    threading.Thread(target=_accept, args=(listener, path), daemon=True).start()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _accept(listener: socket.socket, path: str) -> None:
    while True:
        near, _ = listener.accept()
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(path)
        except OSError:
            near.close()
            far.close()
            continue
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=_copy, args=(source, target), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        for end, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
            with contextlib.suppress(OSError):
                end.shutdown(how)


if __name__ == "__main__":
    sys.exit(main())

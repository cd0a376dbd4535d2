"""A real Ray cluster of one machine, started as the guide says."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from support.clients.programs import clean_environment


class RayCluster:
    """The cluster, which a module of tests starts and ends. `environment`: for its clients."""

    def __init__(self, workers: int = 2) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
        token = self.folder / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        self.environment = clean_environment(
            self.folder,
            RAY_AUTH_MODE="token",
            RAY_AUTH_TOKEN_PATH=str(token),
            RAY_USAGE_STATS_ENABLED="0",
            RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S="120",  # 30 are few beside other work
        )
        self.port, client = _free(), _free()
        self.address = f"ray://127.0.0.1:{client}"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
                *("--node-ip-address=127.0.0.1", f"--port={self.port}", f"--num-cpus={workers}"),
                *(f"--ray-client-server-port={client}", "--include-dashboard=false"),
                *("--disable-usage-stats", "--object-store-memory=80000000"),
                f"--temp-dir={self.folder / 't'}",
            ],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def wait(self) -> None:
        """Until it listens to clients.

        Raises:
            OSError: it has ended, or does not begin.
        """
        port = int(self.address.rpartition(":")[2])
        for _ in range(3000):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                if self._process.poll() is not None:
                    raise
                time.sleep(0.1)
            else:
                return
        raise OSError("the cluster does not begin")

    def processes(self) -> dict[int, str]:
        """Its own, with their command lines; not what a worker has beside it."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                environment = (path / "environ").read_bytes()
            except OSError:
                continue
            if str(self.folder) in command or str(self.folder).encode() in environment:
                found[int(path.name)] = command
        return {pid: said for pid, said in found.items() if "training.working" not in said}

    def files(self) -> list[Path]:
        """What it has on disk and in shared memory."""
        shared = [one for one in Path("/dev/shm").glob("*") if one.is_file()]  # Ray makes no folder
        return shared + [one for one in self.folder.rglob("*") if one.is_file()]

    def close(self) -> None:
        """End it, with all its processes."""
        for pid in [*self.processes(), self._process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])

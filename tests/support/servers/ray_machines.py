"""A real Ray cluster of two machines: network namespaces with an address of their own each, on one
bridge with a third, which is where the tests run. What they have in common with it is hidden.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from types import TracebackType
from typing import Final, Self

import trustme

from support.clients.programs import clean_environment

_NET: Final = f"10.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250}"
HOME: Final = f"{_NET}.1"
"""The address of the machine that the tests run on, as the others reach it."""
_BRIDGE: Final = f"bl{os.getpid()}"
_PORT, _CLIENTS = 6379, 10001


class RayMachines:
    """The cluster, for one `with`. `environment`: for its clients; `nodes`: its addresses."""

    def __init__(self, hidden: Path) -> None:
        """`hidden`: a folder of the home's machine that the others don't have."""
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
        self.nodes = (f"{_NET}.2", f"{_NET}.3")
        self.address = f"ray://{self.nodes[0]}:{_CLIENTS}"
        self._hidden = hidden
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(self.folder / "ca.pem")
        token = self.folder / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        self.environment = self._named(HOME)
        self._machines: list[subprocess.Popen[bytes]] = []
        self._started: list[subprocess.Popen[bytes]] = []

    def _named(self, address: str) -> dict[str, str]:
        given = self._authority.issue_cert(address, "127.0.0.1", "localhost")
        given.cert_chain_pems[0].write_to_path(self.folder / f"{address}.pem")
        given.private_key_pem.write_to_path(self.folder / f"{address}.key")
        return {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.folder / "token"),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_USE_TLS": "1",
            "RAY_TLS_SERVER_CERT": str(self.folder / f"{address}.pem"),
            "RAY_TLS_SERVER_KEY": str(self.folder / f"{address}.key"),
            "RAY_TLS_CA_CERT": str(self.folder / "ca.pem"),
        }

    def __enter__(self) -> Self:
        try:
            _ip(f"link add {_BRIDGE} type bridge")
            _ip(f"addr add {HOME}/24 dev {_BRIDGE}")
            _ip(f"link set {_BRIDGE} up")
            for number, address in enumerate(self.nodes):
                self._machines.append(self._machine(number, address))
            head = ("--head", f"--port={_PORT}", f"--ray-client-server-port={_CLIENTS}")
            self._start(0, *head, "--include-dashboard=false")
            self._wait(_PORT)
            self._start(1, f"--address={self.nodes[0]}:{_PORT}")
            self._wait(_CLIENTS)
            self._joined()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traced: TracebackType | None,
    ) -> None:
        self.close()

    def _machine(self, number: int, address: str) -> subprocess.Popen[bytes]:
        """A network and mounts of its own, which last as long as the process that has them."""
        made = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", "echo; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert made.stdout is not None
        made.stdout.readline()
        end = f"{_BRIDGE}v{number}"
        _ip(f"link add {end} type veth peer name eth0 netns {made.pid}")
        _ip(f"link set {end} master {_BRIDGE} up")
        inside = _inside(made.pid)
        for command in (
            f"ip addr add {address}/24 dev eth0",
            "ip link set eth0 up",
            "ip link set lo up",
            f"mount -t tmpfs none {self._hidden}",
        ):
            subprocess.run([*inside, *command.split()], check=True)
        return made

    def _start(self, number: int, *options: str) -> None:
        address = self.nodes[number]
        home = self.folder / f"home{number}"
        home.mkdir()
        self._started.append(
            subprocess.Popen(
                [
                    *_inside(self._machines[number].pid),
                    *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *options),
                    *(f"--node-ip-address={address}", "--num-cpus=1", "--disable-usage-stats"),
                    *("--object-store-memory=80000000", f"--temp-dir={self.folder / str(number)}"),
                ],
                env=clean_environment(home, **self._named(address)),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )

    def _wait(self, port: int) -> None:
        for _ in range(3000):
            with suppress(OSError):
                return socket.create_connection((self.nodes[0], port), 1).close()
            assert self._started[-1].poll() is None, "a node has ended"
            time.sleep(0.1)
        raise OSError("the cluster does not begin")

    def _joined(self) -> None:
        """Until both of its nodes are there. Ray gives a client's server half a minute to start; a
        busy machine may take longer, and is asked again.
        """
        said = f"""
import ray, time
ray.init({self.address!r}, log_to_driver=False)
for _ in range(600):
    if ray.cluster_resources().get("CPU") == 2:
        break
    time.sleep(0.2)
else:
    raise SystemExit(1)
"""
        environment = clean_environment(self.folder, **self.environment)
        for _ in range(5):
            asked = subprocess.run(
                [sys.executable, "-c", said], env=environment, check=False, timeout=300
            )
            if asked.returncode == 0:
                return
        raise OSError("the cluster takes no client")

    def close(self) -> None:
        """End all of it."""
        ours = str(self.folder).encode()
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if ours in (path / "environ").read_bytes() + (path / "cmdline").read_bytes():
                    os.kill(int(path.name), signal.SIGKILL)
        for process in [*self._started, *self._machines]:
            process.kill()
            process.wait()
        for machine in self._machines:
            for stream in (machine.stdin, machine.stdout):
                if stream is not None:
                    stream.close()
        with suppress(subprocess.CalledProcessError):
            _ip(f"link del {_BRIDGE}")
        rmtree(self.folder, ignore_errors=True)


def _inside(pid: int) -> list[str]:
    return ["nsenter", f"--target={pid}", "--net", "--mount"]


def _ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True)

"""A server that is attacked, and what the attack may cost.

`House` is a real `bailee up` on a home of its own, in front of a scripted model. What an attack
costs is measured from outside the process: memory, processor time, its event loop's share of that,
descriptors, threads, the home's size, and the answers of a neighbour, who has an account of their
own and goes on asking through it all. A case of `tests/hostile/` is three lines:

    def test_a_million_numbers(house: House) -> None:     # a docstring that states the claim
        with house.within(memory=120, cpu=3.0):
            house.post(b'{"messages":[' + b"0," * 999_999 + b"0]}")

Nothing here bounds how long something takes by the clock, but for the neighbour: an answer is late
when it takes longer than a busy machine can explain. A busy machine also does less in each second
of processor time, and in each second of the clock: how much less is measured by a piece of work,
and bounds grow with that.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from bailee.home import Home, HomeLock
from bailee.node.node import Node
from bailee.testing.upstream import Received, ScriptedUpstream, Text, Turn
from support.browsers.browsing import Visitor
from support.clients.asking import ask_server
from support.clients.programs import Bailee

MIB: Final = 1024 * 1024
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_QUIET: Final = 1.2  # seconds without work, after which nothing is taken to go on behind
_STEP: Final = 0.2
_LONGEST: Final = 60.0  # seconds that what goes on behind may take, and a client waits
_PATIENCE: Final = 30.0  # seconds that the neighbour waits for an answer
_SOFT: Final = 1024  # descriptors that a process starts with on most machines
_ATTACKER: Final = ("127.0.0.2", 0)  # where attacks come from: not the neighbour's address
_ANSWER: Final = "all is well"
_NEIGHBOURS: Final = "x-neighbour"
_WORK: Final = json.dumps([{"name": f"pear {n}", "of": [n, n + 1]} for n in range(20_000)])
_IDLE: Final = 0.025  # seconds of processor that reading `_WORK` takes where nothing else runs
_BUSIEST: Final = 3.0  # so many times longer, and no more, may what is bounded take for it
AWS: Final = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "not-a-real-secret",
    "AWS_REGION": "eu-central-1",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What something cost, or may cost at the most.

    `memory` in MiB over what was resident before; `cpu` in seconds of the process, `loop` of its
    event loop's thread; `descriptors` and `threads` that are there afterwards and were not
    before; `disk` in MiB of the home; `late` in seconds: the neighbour's slowest answer; `wrong`:
    the neighbour's answers that were not right.
    """

    memory: float = 128.0
    cpu: float = 4.0
    loop: float = 1.5
    descriptors: float = 64.0
    threads: float = 32.0  # pools fill as they are used
    disk: float = 48.0
    late: float = 15.0
    wrong: float = 0.0

    def over(self, most: Cost) -> dict[str, str]:
        """What of it is over `most`: `name: this > that`."""
        return {
            one.name: f"{getattr(self, one.name):.2f} > {getattr(most, one.name):.2f}"
            for one in fields(self)
            if getattr(self, one.name) > getattr(most, one.name)
        }


class _Model(ScriptedUpstream):
    """The scripted model. What is scripted is for the attacker: however slowly an attack comes, the
    neighbour's questions use none of it up.
    """

    def _turn(self, request: Received) -> Turn:
        mine = request.header(_NEIGHBOURS) is not None
        return Text(_ANSWER) if mine else super()._turn(request)


class Neighbour(threading.Thread):
    """Asks again and again on connections of its own, each new, and keeps what it saw.

    It sees for itself whether an answer is right; `wrong` says what was not.
    """

    def __init__(self, address: tuple[str, int], key: str, every: float = 0.2) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._key = key
        self._every = every
        self._over = threading.Event()
        self.asked = 0
        self.slowest = 0.0
        self.wrong: list[str] = []

    def run(self) -> None:
        """See the class."""
        while not self._over.wait(self._every):
            self.ask()

    def ask(self) -> None:
        """One question on a connection of its own."""
        began = time.monotonic()
        said = f"pear {self.asked}"
        body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": said}]}
        try:
            connection = http.client.HTTPConnection(*self._address, timeout=_PATIENCE)
            with contextlib.closing(connection):
                connection.request(
                    "POST",
                    "/v1/messages",
                    json.dumps(body),
                    {"x-api-key": self._key, _NEIGHBOURS: "1"},
                )
                answer = connection.getresponse()
                text = answer.read()
            if answer.status != 200 or _ANSWER.encode() not in text:
                self.wrong.append(f"{answer.status}: {text[:200]!r}")
        except (OSError, http.client.HTTPException) as error:
            self.wrong.append(repr(error))
        self.asked += 1
        self.slowest = max(self.slowest, time.monotonic() - began)

    def stop(self) -> None:
        """Let the last question be answered."""
        self._over.set()
        self.join()


class _Peak(threading.Thread):
    """The highest resident memory of a process and those it started, each by itself, in bytes,
    since it was started.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._before = {one: _status(one, "VmHWM") for one in _family(pid)}
        self._over = threading.Event()
        self._highest: dict[int, int] = {}

    def run(self) -> None:
        """Look often; what passes between two looks shows in VmHWM when it was the highest ever."""
        looks = 0
        while not self._over.wait(0.01):
            if looks % 50 == 0:  # it takes reading a file for each thread
                family = _family(self._pid)
            looks += 1
            for one in family:
                self._look(one, "VmRSS")

    def stop(self) -> int:
        """The highest that was seen."""
        self._over.set()
        self.join()
        for one in _family(self._pid):
            self._look(one, "VmRSS")
            if _status(one, "VmHWM") > self._before.get(one, 0):
                self._look(one, "VmHWM")
        return sum(self._highest.values())

    def _look(self, pid: int, name: str) -> None:
        with contextlib.suppress(OSError, StopIteration):
            self._highest[pid] = max(self._highest.get(pid, 0), _status(pid, name))


@dataclass(slots=True)
class House:
    """See the module. `cost` is what the last `within` measured."""

    bailee: Bailee
    upstream: ScriptedUpstream
    key: str
    neighbours: str
    ready: dict[str, Any]
    broken: bool = False
    cost: Cost = field(default_factory=Cost)
    _open: list[socket.socket] = field(default_factory=list)

    @classmethod
    def build(cls, folder: Path) -> House:
        """Start a server over a new home in `folder`, with a key each for attacker and neighbour,
        who have accounts of their own; every channel leads to the scripted model.
        """
        upstream = _Model(tools_only=False, after=Text(_ANSWER))
        upstream.start()
        bailee = Bailee(folder, fresh=True)
        try:
            ready = _up(bailee, upstream)
            keys = [
                bailee.json("key", "create", "--plan", "team", "--name", name)["key"]
                for name in ("attacker", "neighbour")
            ]
        except BaseException:
            bailee.close()
            upstream.stop()
            raise
        house = cls(bailee, upstream, keys[0], keys[1], ready)
        house.settle()
        return house

    # -- the attacker's hands --------------------------------------------------------------------

    def address(self, door: str = "gateway") -> tuple[str, int]:
        """Where `gateway`, `console` or `ingest` listens."""
        split = self._url(door)
        assert split.hostname is not None and split.port is not None
        # A browser takes names under `localhost` to this machine by itself; a resolver may not.
        host = "127.0.0.1" if split.hostname.endswith(".localhost") else split.hostname
        return host, split.port

    def host(self, door: str = "gateway") -> str:
        """What a client of that door writes as Host."""
        return self._url(door).netloc

    def _url(self, door: str) -> SplitResult:
        url: str = self.ready["ingest"]["otlp"] if door == "ingest" else self.ready[door]
        return urlsplit(url)

    def post(
        self, body: bytes, path: str = "/v1/messages", door: str = "gateway", **headers: str
    ) -> tuple[int, bytes]:
        """One request with the attacker's key; status and body of its answer. Underscores in the
        names of `headers` are hyphens. Status 0: the connection was closed without one.
        """
        given = {"x-api-key": self.key, "content-type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        connection = http.client.HTTPConnection(
            *self.address(door), timeout=_LONGEST, source_address=_ATTACKER
        )
        with contextlib.closing(connection):
            with contextlib.suppress(ConnectionError):  # answered before it was all there
                connection.request("POST", path, body, given)
            try:
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (ConnectionError, http.client.HTTPException):
                return 0, b""

    def head(self, *lines: str, method: str = "POST", path: str = "/v1/messages") -> bytes:
        """A request's head with the attacker's key, and further `lines`."""
        given = [f"{method} {path} HTTP/1.1", f"Host: {self.host()}", f"x-api-key: {self.key}"]
        return "\r\n".join([*given, *lines, "", ""]).encode()

    def open(
        self, sent: bytes, count: int = 1, door: str = "gateway", window: int = 0
    ) -> list[socket.socket]:
        """Connections on which `sent` was written, or as much as was taken. They stay open until
        the end of `within`. `window`: bytes that are taken of an answer before it is read.
        """
        made = []
        for _ in range(count):
            connection = socket.socket()
            self._open.append(connection)
            if window:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
            connection.settimeout(10)
            connection.bind(_ATTACKER)
            with contextlib.suppress(ConnectionError, TimeoutError):
                connection.connect(self.address(door))
                connection.sendall(sent)
                made.append(connection)
        return made

    def say(self, sent: bytes, door: str = "gateway", seconds: float = 20.0) -> bytes:
        """What is answered to `sent`, up to the connection's end or so many silent seconds."""
        with socket.create_connection(self.address(door), seconds, _ATTACKER) as connection:
            with contextlib.suppress(ConnectionError, TimeoutError):
                connection.sendall(sent)
            parts = []
            with contextlib.suppress(ConnectionError, TimeoutError):
                while part := connection.recv(65536):
                    parts.append(part)
        return b"".join(parts)

    def ask(self, operation: str, **arguments: object) -> Any:
        """The one item of an operation, asked as the command line asks it: by the control socket
        of the home.
        """
        return ask_server(Home(self.bailee.home), operation, arguments)

    def exchanges(self) -> int:
        """How many exchanges are kept."""
        self.settle()
        return sum(one["exchanges"] for one in self.ask("sessions.list"))

    def filed(self, session: str, exchanges: int) -> None:
        """Wait until a session has so many exchanges in the index, and nothing goes on behind. A
        busy machine may leave the sealer waiting for longer than `settle` does.
        """
        end = time.monotonic() + _LONGEST * _BUSIEST
        while time.monotonic() < end:
            self.settle()
            there = {one["id"]: one["exchanges"] for one in self.ask("sessions.list")}
            if there.get(session, 0) >= exchanges:
                return

    def let_go(self) -> None:
        """Close what `open` opened."""
        while self._open:
            self._open.pop().close()

    def operator(self) -> Visitor:
        """Somebody who is signed in to the console."""
        visitor = Visitor(self.ready["console"])
        assert 200 == visitor.get(self.bailee.run("sign-in").stdout.strip()).status
        return visitor

    # -- what it costs ---------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The server's process."""
        pid: int = self.ready["pid"]
        return pid

    @contextlib.contextmanager
    def within(self, *, settled: bool = True, **most: float) -> Iterator[Cost]:
        """What is done inside costs no more than `Cost`'s defaults, or what is said here, until
        nothing goes on behind any more; the server lives, and the neighbour was served as ever.

        Connections that were opened are closed before descriptors are counted. `settled` False
        does not wait for what goes on behind.
        """
        bounds = replace(Cost(), **most)
        paces = [_pace()]
        neighbour = Neighbour(self.address(), self.neighbours)
        peak = _Peak(self.pid)
        before = self._standing()
        self.broken = True  # until all is known to be well
        neighbour.start()
        peak.start()
        try:
            yield bounds
            neighbour.ask()
        finally:
            self.let_go()
            neighbour.stop()
            if settled:
                self.settle(cpu=before.cpu + bounds.cpu * _BUSIEST)
            highest = peak.stop()
            after = self._standing()
        self.cost = cost = Cost(
            memory=highest / MIB - before.memory,
            cpu=after.cpu - before.cpu,
            loop=after.loop - before.loop,
            descriptors=after.descriptors - before.descriptors,
            threads=after.threads - before.threads,
            disk=after.disk - before.disk,
            late=neighbour.slowest,
            wrong=float(len(neighbour.wrong)),
        )
        paces.append(_pace())
        pace, clock = (max(1.0, min(max(one), _BUSIEST)) for one in zip(*paces, strict=True))
        print(cost, pace, clock)  # shown with a failure, and with -rP
        bounds = replace(
            bounds, cpu=bounds.cpu * pace, loop=bounds.loop * pace, late=bounds.late * clock
        )
        assert {} == cost.over(bounds), f"{cost}; {neighbour.wrong[:3]}"
        self.broken = False

    def settle(self, cpu: float = float("inf")) -> None:
        """Wait until the server does nothing, or has used `cpu` seconds of processor, or for a
        minute.
        """
        end = time.monotonic() + _LONGEST
        seen, quiet = processor(self.pid), 0.0
        while quiet < _QUIET and time.monotonic() < end and seen <= cpu:
            time.sleep(_STEP)
            before, seen = seen, processor(self.pid)
            quiet = quiet + _STEP if seen - before <= 0.02 else 0.0

    def _standing(self) -> Cost:
        return Cost(
            memory=sum(_status(one, "VmRSS") for one in _family(self.pid)) / MIB,
            cpu=processor(self.pid),
            loop=processor(self.pid, self.pid),
            descriptors=float(_descriptors(self.pid)),
            threads=float(len(list(Path(f"/proc/{self.pid}/task").iterdir()))),
            disk=size_of(self.bailee.home) / MIB,
        )

    def killed(self) -> Cost:
        """Kill -9, and a start over what is left; what the start cost until it was ready."""
        self.bailee.stop(signal.SIGKILL)
        self.ready = _up(self.bailee, self.upstream)
        standing = self._standing()
        memory = sum(_status(one, "VmHWM") for one in _family(self.pid))
        return replace(standing, memory=memory / MIB)

    @contextlib.contextmanager
    def ended(self) -> Iterator[Node]:
        """Kill -9, and the home opened here, for things to be put into it; then a start."""
        self.bailee.stop(signal.SIGKILL)
        home = Home(self.bailee.home)
        lock = HomeLock(home)
        lock.acquire()
        try:
            with Node.open(home, environment={}) as node:
                yield node
        finally:
            lock.release()
        self.ready = _up(self.bailee, self.upstream)

    def end(self) -> None:
        """End the server as an operator would: status 0, no complaint; or, broken, by force."""
        self.let_go()
        try:
            if not self.broken:
                assert 0 == self.bailee.stop()
        finally:
            self.bailee.close()
            self.upstream.stop()


def processor(pid: int, thread: int | None = None) -> float:
    """Seconds of processor time that a process, with those it started, or one of its threads, has
    used.
    """
    if thread is not None:
        return sum(_times(f"/proc/{pid}/task/{thread}/stat")[:2])
    children = sum(sum(_times(f"/proc/{one}/stat")) for one in _family(pid)[1:])
    return sum(_times(f"/proc/{pid}/stat")) + children


def _pace() -> tuple[float, float]:
    """How many times longer work takes than on an idle machine: by its own processor time, and by
    the clock.
    """
    began, since = time.thread_time(), time.monotonic()
    for _ in range(5):
        json.loads(_WORK)
    taken = time.thread_time() - began, time.monotonic() - since
    return taken[0] / 5 / _IDLE, taken[1] / 5 / _IDLE


def _times(stat: str) -> list[float]:
    """User and system time, and those of the children that ended, in seconds."""
    try:
        parts = Path(stat).read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return [0.0]
    return [int(part) / _TICKS for part in parts[11:15]]


def _family(pid: int) -> list[int]:
    """A process and those that it started and that are there."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that ended
            found += map(int, children.read_text().split())
    return found


def size_of(folder: Path) -> int:
    """Bytes that a folder's files take."""
    total = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += file.lstat().st_blocks * 512
    return total


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name + ":")).split()[1]) * 1024


def _descriptors(pid: int) -> int:
    """How many are open. Who may not look into the process sees the size of its table."""
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except PermissionError:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("FDSize:")).split()[1])


def _up(bailee: Bailee, upstream: ScriptedUpstream) -> dict[str, Any]:
    """Start it with every channel leading to the scripted model, and with as few descriptors as
    a process usually has. This one, the attacker's, has as many as the machine gives.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_SOFT, hard))
    url = upstream.url
    try:
        return bailee.up("--upstream", url, "--bedrock", url, "--vertex", url, env=AWS)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

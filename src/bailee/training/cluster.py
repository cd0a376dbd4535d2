"""The engine `ray`: shards as tasks of a Ray cluster.

Theory of operation: this process starts one other, the *driver* (`driving`), and says tasks to it
in lines, as many as the cluster has room for. The driver is Ray's client: it hands each task to
the cluster, where a worker of Ray has it carried out by a process beside it (`spreading`), the
same as the engine `local` has. So no key is ever in a process of Ray. And the home is no client of
Ray, whose clients unpickle what a cluster says: that would be code of the cluster's in a process
with all keys.

Rules kept here:

* The driver is given what starts Python and what names Ray's token and certificates, and no more
  of the environment. It may not phone home.
* What it says is bounded and of the form of a result, or it is ended.
* When it ends, what it had is given back as failed, once each.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import IO, Final

import orjson

from bailee.errors import InputError, StorageError
from bailee.json_values import JsonObject, members, text
from bailee.training.pool import ENDED, STARTS
from bailee.training.shards import ShardResult, ShardTask

COMMAND: Final = (sys.executable, "-P", "-m", "bailee.training.driving")
_RAY: Final = (
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
    "RAY_AUTH_TOKEN_PATH",
    "RAY_USE_TLS",
    "RAY_TLS_SERVER_CERT",
    "RAY_TLS_SERVER_KEY",
    "RAY_TLS_CA_CERT",
    "RAY_TMPDIR",
    "TMPDIR",
)
_ADDRESS: Final = re.compile(r"ray://(?:[A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:]{2,45}\]):[0-9]{1,5}")
MOST_WORKERS: Final = 256
_LONGEST: Final = 1 << 20  # bytes of a line of the driver
_POLITE: Final = 10.0  # seconds that the driver may take to leave the cluster


def cluster_address(engine: str) -> str | None:
    """The address of the cluster that an engine's name means: `ray://HOST:PORT`, of its server for
    clients, or `auto` for `ray`, the cluster that runs on this machine. None: it means no cluster.

    Raises:
        InputError: it is no such address.
    """
    if engine == "ray":
        return "auto"
    if not engine.startswith("ray:"):
        return None
    if _ADDRESS.fullmatch(engine) is None:
        raise InputError(
            "the cluster's address is not one.",
            hint="use ray://HOST:10001, or ray for this machine",
        )
    return engine


class RayEngine:
    """An `Engine` over a cluster that somebody else started. An export makes one; `run` is called
    on its thread. It starts and ends the driver, and nothing else.
    """

    def __init__(
        self,
        address: str,
        workers: int | None,
        *,
        command: Sequence[str] = COMMAND,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """`address`: see `cluster_address`; `workers`: at most so many tasks at once, else as many
        as the cluster has processors.
        """
        self._address = address
        self._workers = workers
        self._command = tuple(command)
        passed = {name: environment[name] for name in (*STARTS, *_RAY) if name in environment}
        self._environment = passed | {"RAY_USAGE_STATS_ENABLED": "0"}

    def run(self, tasks: Iterable[ShardTask]) -> Generator[ShardResult, None, None]:
        """See `Engine`.

        Raises:
            StorageError: the cluster can't be reached.
        """
        process = subprocess.Popen(  # noqa: S603
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what Ray says of itself; a traceback could have content
            env=self._environment,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            _put(process.stdin, {"address": self._address, "workers": self._workers})
            room = _room(_line(process.stdout))
            yield from _spread(process.stdin, process.stdout, iter(tasks), room)
        finally:
            _end(process)


def _spread(
    to: IO[bytes], out: IO[bytes], left: Iterator[ShardTask], room: int
) -> Generator[ShardResult, None, None]:
    at_work: dict[int, ShardTask] = {}
    while True:
        while len(at_work) < room and (task := next(left, None)) is not None:
            at_work[task.number] = task
            _put(to, {**asdict(task)})
        if not at_work:
            return
        result = _result(_line(out))
        if result is None or result.number not in at_work:
            break
        del at_work[result.number]
        yield result
    for task in at_work.values():
        yield ShardResult(task.export, task.number, failed=ENDED)


def _room(said: JsonObject) -> int:
    room = said.get("room")
    if isinstance(room, int) and 1 <= room <= MOST_WORKERS:
        return room
    why = text(said.get("why")) or ENDED
    raise StorageError(
        f"the Ray cluster can't be used ({why[:60]}).",
        hint="does it run, with the same Python, Ray and bailee as here? Its token is named by "
        "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH. Nothing was lost: the same command goes on",
    )


def _result(said: JsonObject) -> ShardResult | None:
    try:
        made = ShardResult(**said)  # type: ignore[arg-type]
    except TypeError:
        return None
    rows = made.rows if isinstance(made.rows, dict) else {}
    sound = all(isinstance(count, int) for count in rows.values()) and all(
        isinstance(one, str) for one in (made.export, made.sha256, made.facts, *made.unreadable)
    )
    return made if sound else None


def _put(to: IO[bytes], said: JsonObject) -> None:
    with suppress(OSError):  # that it has ended shows when it is listened to
        to.write(orjson.dumps(said) + b"\n")
        to.flush()


def _line(out: IO[bytes]) -> JsonObject:
    """What the driver says next; nothing: it has ended, or makes no sense."""
    try:
        return members(orjson.loads(out.readline(_LONGEST)))
    except (OSError, ValueError):
        return {}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the driver, politely at first: then the cluster forgets its tasks at once."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(_POLITE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()

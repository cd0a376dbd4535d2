"""The engine `local`: workers as processes of this machine.

Rules kept here:

* A worker is started for its first task, and again when it has ended: who ends one costs its task,
  which is given back as failed.
* It is given tasks, one at a time, and of the environment only what starts Python. When this
  process ends, so do its workers: their standard input does.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Final

import orjson

from bailee.json_values import members
from bailee.training.shards import ShardResult, ShardTask

COMMAND: Final = (sys.executable, "-P", "-m", "bailee.training.working")
STARTS: Final = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""What of the environment starts Python: all that a worker gets."""
ENDED: Final = "WorkerEnded"
"""What is given back as `failed` when a worker has ended."""


class LocalEngine:
    """An `Engine` with so many processes at once. An export makes one; `run` is called on its
    thread, and has a thread for each worker.
    """

    def __init__(
        self,
        workers: int,
        *,
        command: Sequence[str] = COMMAND,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._workers = workers
        self._command = tuple(command)
        self._environment = environment

    def run(self, tasks: Iterable[ShardTask]) -> Generator[ShardResult, None, None]:
        """See `Engine`."""
        shared = _Shared(iter(tasks))
        results: queue.Queue[ShardResult | Exception | None] = queue.Queue()
        workers = [WorkerProcess(self._command, self._environment) for _ in range(self._workers)]
        threads = [
            threading.Thread(target=_work, args=(worker, shared, results), daemon=True)
            for worker in workers
        ]
        for thread in threads:
            thread.start()
        working = len(threads)
        try:
            while working:
                found = results.get()
                if found is None:
                    working -= 1
                elif isinstance(found, Exception):
                    raise found
                else:
                    yield found
        finally:
            shared.end()
            for worker in workers:
                worker.end()
            for thread in threads:
                thread.join()


class _Shared:
    """The tasks, for several threads."""

    def __init__(self, tasks: Iterator[ShardTask]) -> None:
        self._tasks = tasks
        self._lock = threading.Lock()
        self._ended = False

    def next(self) -> ShardTask | None:
        """The next, or None: there is none any more."""
        with self._lock:
            return None if self._ended else next(self._tasks, None)

    def end(self) -> None:
        """There is none any more."""
        self._ended = True


class WorkerProcess:
    """A worker: one process at a time, started when it is needed. An engine has it, or a task on a
    cluster. `ask` is called on one thread, `end` on any.
    """

    def __init__(
        self,
        command: tuple[str, ...] = COMMAND,
        environment: Mapping[str, str] = os.environ,
        more: tuple[str, ...] = (),
    ) -> None:
        """`more`: what else of the environment it gets."""
        self._command = command
        names = (*STARTS, *more)
        self._environment = {name: environment[name] for name in names if name in environment}
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, task: ShardTask) -> ShardResult:
        """Have a task carried out."""
        try:
            process = self._process or self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(orjson.dumps(asdict(task)) + b"\n")
            process.stdin.flush()
            return ShardResult(**members(orjson.loads(process.stdout.readline())))  # type: ignore[arg-type]
        except (OSError, ValueError, TypeError):
            self.end()
            return ShardResult(task.export, task.number, failed=ENDED)

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(  # noqa: S603
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a traceback could have content in it
            env=self._environment,
        )
        return self._process

    def end(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def _work(
    worker: WorkerProcess,
    shared: _Shared,
    results: queue.Queue[ShardResult | Exception | None],
) -> None:
    try:
        while (task := shared.next()) is not None:
            results.put(worker.ask(task))
    except Exception as error:
        results.put(error)
    finally:
        results.put(None)

"""`python -m bailee.training.driving`: the client of a Ray cluster, for one export.

It is told a cluster's address and then tasks, a line each, on standard input; it says how many
tasks it takes at once, and then results, in the order in which they come. It has no home, no key
and no content: of a task it knows the token, of a result the counts.

Rules kept here:

* Ray tries nothing again: a token is of one try. The home decides what is done again.
* Standard output is for results alone; what Ray prints goes nowhere.
* When standard input ends, so does it, and with it its tasks.
* It has no stream of the cluster's logs. Ray's client waits for the end of that stream before it
  says that a connection was refused, and a server that could not start for it ends it minutes late.
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import BinaryIO, Final

import orjson

from bailee import __version__
from bailee.json_values import JsonObject, members, text
from bailee.training.cluster import MOST_WORKERS
from bailee.training.shards import ShardResult, ShardTask
from bailee.training.spreading import carried_out, unfit

_PATIENCE: Final = 120.0  # seconds that the cluster may take over its first task
_TRIES: Final = 4


class UnfitError(Exception):
    """The cluster is not given a shard. Its text says why, in a word."""


class _Saying:
    """Standard output, for several threads."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._lock = threading.Lock()

    def say(self, line: bytes) -> None:
        """A line."""
        with self._lock:
            self._out.write(line + b"\n")
            self._out.flush()


def room(address: str, workers: int | None) -> int:
    """Reach the cluster; how many tasks it has room for.

    Raises:
        UnfitError: it is not to be used.
        Exception: what Ray raises, it can't be reached.
    """
    import ray

    _hear_no_logs()
    for tries in range(_TRIES, 0, -1):
        try:
            ray.init(address=address, log_to_driver=False, configure_logging=False)
            break
        except ConnectionAbortedError:  # its server for this client was slow to start
            if tries == 1:
                raise
            ray.shutdown()
    look = ray.remote(max_retries=0, num_cpus=0)(unfit)
    wrong = ray.get(look.remote(__version__), timeout=_PATIENCE)
    if wrong is not None:
        raise UnfitError(wrong)
    processors = int(ray.cluster_resources().get("CPU", 0))  # type: ignore[no-untyped-call]
    return max(1, min(workers or processors, processors, MOST_WORKERS))


def _hear_no_logs() -> None:
    """Have Ray's client ask for no logs: what would read them ends as it starts."""
    from ray.util.client import logsclient, worker

    class NoLogs(logsclient.LogstreamClient):
        """Nothing is asked, nothing comes, and it is closed at once."""

        def _start_logthread(self) -> threading.Thread:
            return threading.Thread()

    vars(worker)["LogstreamClient"] = NoLogs


def _one(task: bytes, saying: _Saying) -> None:
    """Have a task carried out, and say its result. Each has a thread that waits for it."""
    import ray

    try:
        spread = ray.remote(max_retries=0, num_cpus=1)(carried_out)
        result: bytes = ray.get(spread.remote(task))
    except Exception as error:
        asked = ShardTask(**members(orjson.loads(task)))  # type: ignore[arg-type]
        failed = ShardResult(asked.export, asked.number, failed=type(error).__name__)
        result = orjson.dumps(asdict(failed))
    saying.say(result)


def main() -> None:
    """Go on until standard input is closed."""
    with os.fdopen(os.dup(1), "wb") as out:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 (a device)
            os.dup2(nowhere.fileno(), 1)
        saying = _Saying(out)
        said: JsonObject = members(orjson.loads(sys.stdin.buffer.readline()))
        wanted = said.get("workers")
        try:
            found = room(text(said["address"]), wanted if isinstance(wanted, int) else None)
        except Exception as error:
            why = str(error) if isinstance(error, UnfitError) else type(error).__name__
            saying.say(orjson.dumps({"why": why}))
            return
        saying.say(orjson.dumps({"room": found}))
        pool = ThreadPoolExecutor(found)
        for line in sys.stdin.buffer:
            pool.submit(_one, line.rstrip(b"\n"), saying)
        import ray

        ray.shutdown()
        os._exit(0)  # threads may still wait for what was given up


if __name__ == "__main__":
    main()

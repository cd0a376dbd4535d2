"""What a worker of a Ray cluster does with a task: it has a process beside it carry it out.

The process is that of the engine `local` (`pool.WorkerProcess`), with the same bare environment,
and where the certificates lie. So no key and no session is ever in a process of Ray, which listens,
writes logs and keeps results.
The process is kept for the next task, and ends with the worker.

Ray is given the name of a function and bytes: the cluster's machines have the same bailee.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from functools import cache
from typing import Final

import orjson

from bailee import __version__
from bailee.json_values import members
from bailee.training import reaching
from bailee.training.pool import WorkerProcess
from bailee.training.shards import ShardResult, ShardTask

UNGUARDED: Final = "ClusterWithoutToken"
OTHER_VERSION: Final = "OtherVersion"


def carried_out(task: bytes) -> bytes:
    """A task, as JSON, carried out; its result, as JSON. Ray calls it on a worker's main thread."""
    asked = ShardTask(**members(orjson.loads(task)))  # type: ignore[arg-type]
    wrong = unfit(__version__)
    if wrong is not None:
        return orjson.dumps(asdict(ShardResult(asked.export, asked.number, failed=wrong)))
    return orjson.dumps(asdict(_beside().ask(asked)))


def unfit(version: str) -> str | None:
    """Why this worker is not given a shard by a bailee of this version; None: it may have one.

    A cluster that asks for no token runs whatever anybody who reaches its ports sends to it, as
    the user who may lease keys.
    """
    if os.environ.get("RAY_AUTH_MODE") != "token":
        return UNGUARDED
    return None if version == __version__ else OTHER_VERSION


@cache
def _beside() -> WorkerProcess:
    return WorkerProcess(more=reaching.NAMED)

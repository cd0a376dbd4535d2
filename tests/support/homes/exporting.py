"""Training exports without processes, and their datasets as tests read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

from bailee.training.shards import ShardResult, ShardTask
from bailee.training.working import carry_out


class InThisProcess:
    """An engine that does one shard after another here. `meanwhile` is done when the first has been
    written, before it is committed.
    """

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self._meanwhile = meanwhile
        self.done = False

    def run(self, tasks: Iterable[ShardTask]) -> Generator[ShardResult, None, None]:
        """See `Engine`."""
        for task in tasks:
            result = carry_out(task)
            if not self.done:
                self.done = True
                self._meanwhile()
            yield result


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The rows of a dataset of JSON lines or Parquet, in order."""
    found: list[dict[str, Any]] = []
    for path in sorted((folder / "data").iterdir()):
        if path.suffix == ".jsonl":
            found += [json.loads(line) for line in path.read_text().splitlines()]
        else:
            import pyarrow.parquet as pq

            found += pq.read_table(path).to_pylist()
    return found

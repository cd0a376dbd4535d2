"""The unit of a training export, and how it is spread over workers. Pure.

A *shard* is some hundred sessions in order. One function makes one file of one shard
(`working.carry_out`), and an *engine* does nothing but call it in other processes: here
(`pool`), or wherever the same function can run and reach the home's leases.

Rules kept here:

* A task names no session, no account and no key. It has a token, good for this shard and for
  minutes, with which its worker asks the home (`leasing`) for what it may write.
* A result has no content: names, counts and hashes.
* A shard can be done twice. Its file is of one name, and what is committed is the last.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ShardTask:
    """What a worker is given. `number`: of the shard; `address`: where leases are asked for (the
    path of a Unix socket, or `tls://HOST:PORT`); `token`: for this shard; `folder`: where its files
    go ("": they are handed to the home, where leases are asked for); `format`: `parquet` or
    `jsonl`; `names_model`: the folder of the model by which names are found ("": they are not
    looked for), and `names_digest` what it must be (`naming.digest_of_model`).
    """

    export: str
    number: int
    address: str
    token: str
    folder: str
    format: str
    names_model: str = ""
    names_digest: str = ""


@dataclass(frozen=True, slots=True)
class ShardResult:
    """What became of a task. `sha256`, `facts`: of its two files; `rows`: by session, as
    commitments; `unreadable`: the sessions that could not be read, and are not in it. `failed`:
    the kind of error that ended the worker; the rest is empty then.
    """

    export: str
    number: int
    sha256: str = ""
    facts: str = ""
    rows: dict[str, int] | None = None
    unreadable: tuple[str, ...] = ()
    failed: str | None = None


class Engine(Protocol):
    """Spreads shards over workers. The export calls it once, on one thread; it decides nothing."""

    def run(self, tasks: Iterable[ShardTask]) -> Generator[ShardResult, None, None]:
        """The results of all tasks, as they come, in any order. A task is taken when a worker is
        free for it: its token counts from then. A worker that ends costs its task, which is given
        back as `failed`. Closing it ends the workers.
        """
        ...


def shard_file(number: int, ending: str) -> str:
    """The name of a shard's file while the export goes on."""
    return f"shard-{number:05}.{ending}"


def facts_file(number: int) -> str:
    """The name of the file with what is known of its rows."""
    return f"shard-{number:05}.facts"


def final_file(number: int, of: int, ending: str) -> str:
    """The name of a shard's file in the dataset, as its loaders expect it."""
    return f"train-{number:05}-of-{of:05}.{ending}"

"""A vault in a folder of its own, with the time in the test's hands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from obstore.store import LocalStore
from sqlalchemy import Connection

from bailee.db.migrate import upgrade
from bailee.errors import StorageError
from bailee.keeping.holds import Holds
from bailee.keeping.receipts import Receipts
from bailee.keyring import FileRoot, Keyring
from bailee.testing import FakeClock
from bailee.vault.exchange import CapturedExchange, Outcome, Terms
from bailee.vault.interpreted import Interpreted
from bailee.vault.lasting_rows import open_rows
from bailee.vault.objects import StoredObjects
from bailee.vault.vault import Vault
from bailee.vault.workbench import Interpret
from support.homes.databases import opened


def interpret(exchange: CapturedExchange) -> Interpreted:
    """The simplest API: JSON bodies; the session and the agent come in headers."""
    headers = dict(exchange.request_headers)
    if headers.get("break"):
        raise RuntimeError("a defect")
    try:
        body = json.loads(exchange.request)
        answer = json.loads(exchange.answer) if exchange.answer else None
        messages = body.pop("messages", None)
    except (ValueError, AttributeError):
        return Interpreted(
            client_session=headers.get("session"),
            raw_request=exchange.request,
            raw_answer=exchange.answer,
        )
    return Interpreted(
        client_session=headers.get("session"),
        agent=headers.get("agent"),
        fields=body,
        messages=messages,
        answer=answer,
        usage={"input_tokens": 10, "output_tokens": 1},
    )


@dataclass
class Bench:
    """A home, its vault, and the means to use and reopen it. `bucket`: a folder that is one, of a
    home on PostgreSQL; and whether what is answered is `lasting` there.
    """

    path: Path
    clock: FakeClock = field(default_factory=FakeClock)
    options: dict[str, Any] = field(default_factory=dict)
    interpret: Interpret = interpret
    leaves: list[tuple[str, str, Mapping[str, object]]] = field(default_factory=list)
    vault: Vault = field(init=False)
    keyring: Keyring = field(init=False)
    count: int = 0
    consents: dict[str, int] = field(default_factory=dict)
    bucket: Path | None = None
    lasting: bool = False

    def open(self) -> Vault:
        """Open everything, as a process does that starts."""
        self.engine = opened(self.path / "data" / "data.db")
        upgrade(self.engine, "data")
        self.keys = opened(self.path / "keyring" / "keyring.db")
        upgrade(self.keys, "keys")
        root = FileRoot(self.path / "keyring" / "root.json")
        self.keyring = Keyring.open(self.keys, root, self.clock)

        def record(kind: str, subject: str, body: Mapping[str, object]) -> None:
            self.leaves.append((kind, subject, body))

        def record_all(
            kind: str, entries: Sequence[tuple[str, Mapping[str, object]]], _within: Connection
        ) -> None:
            for subject, body in entries:
                record(kind, subject, body)

        self.vault = Vault(
            self.engine,
            self.path / "vault",
            keyring=self.keyring,
            clock=self.clock,
            interpret=self.interpret,
            record=record,
            holds=Holds(self.engine, keyring=self.keyring, record=record),
            receipts=Receipts(
                self.engine,
                record_all,
                self.keyring.generation,
                overwritten=self.keyring.overwrites,
            ),
            **{"spool_file_bytes": 1 << 18, **self._elsewhere(), **self.options},
        )
        return self.vault

    def _elsewhere(self) -> dict[str, Any]:
        if self.bucket is None:
            return {}
        kinds = {}
        for kind in ("segments", "spool"):
            (self.bucket / kind).mkdir(parents=True, exist_ok=True)
            kinds[kind] = StoredObjects(LocalStore(self.bucket / kind))
        rows = open_rows(self.engine, kinds["spool"], writes=self.lasting)
        return {"objects": kinds["segments"], "rows": rows}

    def close(self) -> None:
        """Close everything."""
        self.vault.close()
        self.engine.dispose()
        self.keys.dispose()

    def reopen(self) -> Vault:
        """Start again, with recovery."""
        self.close()
        vault = self.open()
        vault.recover()
        return vault

    def exchange(
        self,
        messages: Any = None,
        answer: Any = None,
        *,
        session: str | None = "s",
        owner: str = "ada",
        period: str = "P30D",
        plan: str = "pro",
        agent: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        at: datetime | None = None,
        request: bytes | None = None,
        **fields: Any,
    ) -> CapturedExchange:
        """A captured exchange; by default without an answer."""
        self.count += 1
        seconds = (at or self.clock()).timestamp()
        if session is not None:
            headers += (("session", session),)
        if agent is not None:
            headers += (("agent", agent),)
        body = {**fields, **({} if messages is None else {"messages": messages})}
        return CapturedExchange(
            exchange_id=f"x{self.count}",
            owner=owner,
            key_id="k1",
            plan=plan,
            channel="api",
            terms=Terms(period, "retain.test", "d" * 64),
            started_at=seconds - 1,
            ended_at=seconds,
            outcome=Outcome.COMPLETE,
            method="POST",
            target="/v1/messages",
            status=200,
            request_headers=headers,
            answer_headers=(),
            request=json.dumps(body).encode() if request is None else request,
            answer=b"" if answer is None else json.dumps(answer).encode(),
            consent=self.consents.get(owner, 0),
        )

    def submit(self, *exchanges: CapturedExchange) -> list[StorageError | None]:
        """Submit on a loop of its own and wait until all are durable or refused."""

        async def run() -> list[StorageError | None]:
            loop = asyncio.get_running_loop()
            self.vault.spool._loop = loop  # a test's loop lives for one call
            waits = []
            for exchange in exchanges:
                future: asyncio.Future[StorageError | None] = loop.create_future()
                self.vault.spool.submit(exchange, future.set_result)
                waits.append(future)
            return list(await asyncio.wait_for(asyncio.gather(*waits), 30))

        return asyncio.run(run())

    def keep(self, *exchanges: CapturedExchange) -> None:
        """Submit and wait until they are in the index."""
        assert [None] * len(exchanges) == self.submit(*exchanges)
        self.vault.flush()

    def files(self) -> list[Path]:
        """Every file under the home."""
        return sorted(path for path in self.path.rglob("*") if path.is_file())

    def holds(self, *needles: bytes) -> list[tuple[str, bytes]]:
        """Which of the needles are in which file under the home."""
        return [
            (str(path.relative_to(self.path)), needle)
            for path in self.files()
            for needle in needles
            if needle in path.read_bytes()
        ]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Make a bench with an open vault; closed after the test."""
    made: list[Bench] = []

    def build(**options: Any) -> Bench:
        bench = Bench(tmp_path / f"home{len(made)}", options=options)
        bench.open()
        made.append(bench)
        return bench

    yield build
    for bench in made:
        bench.close()


@pytest.fixture
def bench(make: Callable[..., Bench]) -> Bench:
    """A bench with the usual options."""
    return make()

"""A witness's application holds back who asks too much, and says why when it can't keep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from bailee.app.witness import site
from bailee.errors import StorageError
from bailee.ingest.door import DoorLimits
from bailee.ingest.quotas import Rate
from bailee.ledger.folder import Folder
from bailee.ledger.witness import Witness
from support.logs.branches import AT, LOG, request

pytestmark = pytest.mark.row("P4", "G1")


class FullFolder(Folder):
    """A folder on a full disk, once its witness is there."""

    full = False

    def write(self, files: object) -> None:
        """See `Folder`."""
        if self.full:
            raise StorageError("the disk is full.")
        super().write(files)  # type: ignore[arg-type]


def asked(tmp_path: Path, *bodies: bytes, limits: DoorLimits, prepare: Callable[[FullFolder], None]
) -> list[httpx2.Response]:  # fmt: skip
    """The answers to requests from one address, one after the other."""
    (tmp_path / "known-logs").write_text(f"log {LOG.key.text}\nquorum none\n")
    folder = FullFolder(tmp_path)

    async def ask(witness: Witness) -> list[httpx2.Response]:
        transport = httpx2.ASGITransport(app=site(witness, lambda: AT, limits))
        async with httpx2.AsyncClient(transport=transport, base_url="http://w") as client:
            return [await client.post("/add-checkpoint", content=body) for body in bodies]

    with Witness(tmp_path, "w.example/one", folder) as witness:
        prepare(folder)
        return asyncio.run(ask(witness))


def test_an_address_that_asks_too_much_waits(tmp_path: Path) -> None:
    """After its burst, 429 and for how long; what it asks beyond is not looked at."""
    few = DoorLimits(requests_per_address=Rate(0.001, 2))
    body = request(0, 5).body
    answers = asked(tmp_path, body, b"x", body, limits=few, prepare=lambda _: None)
    assert [200, 400, 429] == [one.status_code for one in answers]
    assert answers[2].headers["retry-after"].isdecimal()


def test_bodies_that_are_under_way_are_bounded(tmp_path: Path) -> None:
    """More than an address may have under way is refused, whatever it would have been."""
    small = DoorLimits(held=100)
    (answer,) = asked(tmp_path, request(0, 5).body, limits=small, prepare=lambda _: None)
    assert 429 == answer.status_code


def test_what_can_not_be_kept_is_answered_503_and_not_signed(tmp_path: Path) -> None:
    """The log asks again later; nothing of a signature is in the answer."""

    def fill(folder: FullFolder) -> None:
        folder.full = True

    (answer,) = asked(tmp_path, request(0, 5).body, limits=DoorLimits(), prepare=fill)
    assert (503, True) == (answer.status_code, "retry-after" in answer.headers)
    assert "—" not in answer.text

"""A home whose ingest takes feedback on a port of 127.0.0.1, with people of several kinds."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from pathlib import Path
from typing import Any

from bailee.app.feedback import ReportPolicyAccess, make_receiver
from bailee.app.telemetry import make_ingest
from bailee.client.payloads import report
from bailee.console import Listener, bind
from bailee.feedback.receiver import ANSWERS, REPORTS, ReportReceiver
from bailee.ingest.door import DoorLimits
from bailee.ingest.shares import Share
from support.clients.asking import perform
from support.homes.places import Place

REPORT = {
    "description": "medlar: it stops",
    "transcript": [{"role": "user", "content": "quince in a transcript"}],
    "errors": ["ValueError: sorb"],
    "environment": {"bailee": "0.1.0", "system": "Linux"},
}
PLANTED = (b"medlar", b"quince", b"sorb")


def body(content: Any) -> bytes:
    """A report as our own client makes it."""
    return report(content).body


class Site(Place):
    """The home with its listener. `keys`: ada's own, bob's own, one of nobody's account, one that
    keeps nothing, and ada's that only sends.
    """

    def __init__(
        self,
        folder: Path,
        limits: DoorLimits = REPORTS,
        answers: DoorLimits = ANSWERS,
        share: Share | None = None,
    ) -> None:
        super().__init__(folder)
        ada = self.ask("person.create", email="ada@example.org", plan="pro")
        bob = self.ask("person.create", email="bob@example.org", plan="max")
        self.ada, self.adas = ada["person"], ada["account"]
        zed = self.ask("key.create", plan="api", name="zed")
        zero = self.ask("key.create", plan="enterprise", name="zero", zero_retention=True)
        sends = self.ask("key.create", person="ada@example.org", name="sends", ingest=True)
        self.keys = {
            "ada": ada["key"],
            "bob": bob["key"],
            "zed": zed["key"],
            "zero": zero["key"],
            "sends": sends["key"],
        }
        self.listen(limits, answers, share)

    def ask(self, operation: str, **arguments: Any) -> Any:
        """Carry out an operation."""
        return perform(self.node, operation, arguments)

    def listed(self, **arguments: Any) -> list[dict[str, Any]]:
        """The reports on the first page of `feedback.list`."""
        items: list[dict[str, Any]] = self.ask("feedback.list", **arguments)["items"]
        return items

    def listen(
        self,
        limits: DoorLimits = REPORTS,
        answers: DoorLimits = ANSWERS,
        share: Share | None = None,
    ) -> None:
        """Start the listener over the open home."""
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self._ingest = make_ingest(self.node)
        if (limits, answers, share) == (REPORTS, ANSWERS, None):
            self.receiver = make_receiver(self.node)
        else:
            node = self.node
            self.receiver = ReportReceiver(
                node.reports,
                node.survey,
                ReportPolicyAccess(node),
                node.clock,
                limits=limits,
                answers=answers,
                share=lambda _: share or Share(),
            )
        self._ingest.app.router.routes.extend(self.receiver.routes)
        listening = bind("127.0.0.1", 0, "ingest")
        self.port = listening.getsockname()[1]
        self._listener = Listener(self._ingest.app, listening, None)
        self._do(self._listener.start())

    def close(self) -> None:
        """Stop."""
        self._do(self._listener.close())
        self.receiver.close()
        self._ingest.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        super().close()

    def call(
        self, method: str, path: str, content: Any = b"", **headers: str
    ) -> tuple[int, http.client.HTTPMessage, Any]:
        """Status, headers and JSON body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, content, {"content-type": "application/json"} | given)
        response = connection.getresponse()
        raw = response.read()
        connection.close()
        return response.status, response.headers, json.loads(raw) if raw else None

    def send(self, who: str = "ada", content: Any = REPORT, **headers: str) -> Any:
        """Send a report that is taken; what is answered."""
        status, _, answer = self.call(
            "POST", "/api/claude_cli_feedback", body(content), x_api_key=self.keys[who], **headers
        )
        assert 200 == status, answer
        return answer

    def answers(self, content: Any, **headers: str) -> int:
        """The status that a survey's answer gets."""
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.call("POST", "/api/v1/survey", raw, **headers)[0]

    def files(self, *needles: bytes) -> list[tuple[str, bytes]]:
        """Which needles are in which file of the home."""
        return [
            (path.name, needle)
            for path in self.folder.rglob("*")
            if path.is_file()
            for needle in needles
            if needle in path.read_bytes()
        ]

    def wrapped(self, report_id: str) -> bytes:
        """A report's key as the keyring holds it."""
        from sqlalchemy import select

        from bailee.db.keys import deks

        with self.node.keyring.engine.connect() as connection:
            query = select(deks.c.wrapped).where(deks.c.subject == f"report:{report_id}")
            found: bytes = connection.execute(query).scalar_one()
            return found

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

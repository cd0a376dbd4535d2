"""kill -9 of the whole server under load: what a client saw complete is there afterwards."""

from __future__ import annotations

import http.client
import json
import random
import signal
import threading
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bailee.testing.upstream import ScriptedUpstream, Text
from support.clients.programs import Bailee

CLIENTS = 6


class Talker(threading.Thread):
    """Talks in one session until the server dies; notes every prompt whose answer it saw end."""

    def __init__(self, gateway: str, key: str, number: int) -> None:
        super().__init__()
        self._address = urlsplit(gateway).netloc
        self._key = key
        self._number = number
        self.session = str(uuid.uuid4())
        self.acknowledged: list[str] = []
        self._messages: list[dict[str, object]] = []

    def run(self) -> None:
        """See the class."""
        connection = http.client.HTTPConnection(self._address, timeout=20)
        try:
            for turn in range(1_000_000):
                self._turn(connection, f"client {self._number} turn {turn}", stream=turn % 2 == 0)
        except (OSError, http.client.HTTPException):
            pass  # the server is gone: what was not acknowledged is not claimed
        finally:
            connection.close()

    def has_seen(self, count: int) -> None:
        """Wait until it has, or can see no more."""
        while self.is_alive() and len(self.acknowledged) < count:
            time.sleep(0.01)

    def _turn(self, connection: http.client.HTTPConnection, prompt: str, *, stream: bool) -> None:
        self._messages.append({"role": "user", "content": prompt})
        body = {"model": "m", "max_tokens": 9, "stream": stream, "messages": self._messages[-21:]}
        headers = {"x-api-key": self._key, "x-claude-code-session-id": self.session}
        connection.request("POST", "/v1/messages", json.dumps(body), headers)
        answer = connection.getresponse().read()
        if (b"message_stop" in answer) if stream else (json.loads(answer)["type"] == "message"):
            self.acknowledged.append(prompt)
        self._messages.append({"role": "assistant", "content": [{"type": "text", "text": "ok"}]})


@pytest.mark.row("R5", "D4")
def test_no_acknowledged_exchange_is_lost(bailee: Bailee) -> None:
    """Killed at random points, five times on one home; after each restart all is there, once."""
    chance = random.Random(20261123)
    talkers: list[Talker] = []
    with ScriptedUpstream(tools_only=False, after=Text("ok")) as upstream:
        for _ in range(5):
            ready = bailee.up("--upstream", upstream.url)
            now = [Talker(ready["gateway"], ready["key"], len(talkers) + n) for n in range(CLIENTS)]
            for talker in now:
                talker.start()
            for talker in now:
                talker.has_seen(2)
            time.sleep(chance.uniform(0.0, 1.5))
            bailee.stop(signal.SIGKILL)
            for talker in now:
                talker.join()
            talkers += now

        bailee.up("--upstream", upstream.url)
        kept = _listed(bailee)
        for talker in talkers:
            assert talker.session in kept
            _all_there_once(bailee, talker)
    assert all(len(talker.acknowledged) > 1 for talker in talkers)


def _listed(bailee: Bailee) -> set[str]:
    """The sessions, once all that was left is filed: each time the list waits for it, two seconds,
    and says what is not.
    """
    for _ in range(60):
        listed = bailee.run("sessions", "list", "--json")
        assert 0 == listed.returncode
        if not listed.stderr:
            return {session["id"] for session in json.loads(listed.stdout)}
    raise AssertionError(listed.stderr)


def _all_there_once(bailee: Bailee, talker: Talker) -> None:
    exported = bailee.run("sessions", "export", talker.session).stdout
    requests = [json.loads(line).get("request") for line in exported.splitlines()]
    last = [r["messages"][-1]["content"] for r in requests if r is not None]
    assert [] == [prompt for prompt in talker.acknowledged if last.count(prompt) != 1]
    assert len(last) <= len(talker.acknowledged) + 1  # one may have been under way


def test_a_half_written_home_is_recovered_by_a_command_too(bailee: Bailee, tmp_path: Path) -> None:
    """After a kill no server is needed: the next command finds what was acknowledged."""
    with ScriptedUpstream(tools_only=False, after=Text("ok")) as upstream:
        ready = bailee.up("--upstream", upstream.url)
        talker = Talker(ready["gateway"], ready["key"], 0)
        talker.start()
        talker.has_seen(9)
        bailee.stop(signal.SIGKILL)
        talker.join()

    assert talker.acknowledged
    _all_there_once(bailee, talker)

"""Zero retention: a canary goes through every path that could keep it, and is looked for."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bailee.testing.upstream import AssistantMessage, Failure, ScriptedUpstream, Text
from support.clients.programs import Bailee, message

Serve = Callable[..., Bailee]
CANARY = "canary-5f0c2a7e"


def _post(bailee: Bailee, key: str, body: bytes, path: str = "/v1/messages") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(bailee.ready["gateway"]).netloc, timeout=30)
    try:
        connection.request("POST", path, body, {"x-api-key": key})
        response = connection.getresponse()
        return response.status, response.read()
    except (http.client.HTTPException, ConnectionError):
        return 0, b""  # the answer was cut off, as the script says
    finally:
        connection.close()


def _body(**more: Any) -> bytes:
    messages = [{"role": "user", "content": f"keep this to yourself: {CANARY}"}]
    return json.dumps({"model": CANARY, "max_tokens": 9, "messages": messages, **more}).encode()


@pytest.mark.row("R2")
def test_a_canary_is_found_nowhere(served: Serve, upstream: ScriptedUpstream) -> None:
    """Answered, streamed, failed, cut off, malformed, abandoned, and the server killed: no file
    of the home holds it, and neither do output, audit record, or the list of sessions.
    """
    bailee = served()
    key = bailee.json("key", "create", "--plan", "enterprise", "--zero-retention")["key"]
    upstream.then(
        Text(CANARY),
        Text(CANARY),
        Failure(400, "invalid_request_error", CANARY),
        AssistantMessage(({"type": "text", "text": CANARY * 9},), cut=3),
    )

    assert 200 == _post(bailee, key, _body())[0]
    assert CANARY.encode()[:9] in _post(bailee, key, _body(stream=True))[1]
    assert 400 == _post(bailee, key, _body())[0]
    _post(bailee, key, _body(stream=True))
    _post(bailee, key, b"{" + CANARY.encode())
    _post(bailee, key, _body(), path=f"/v1/{CANARY}?q={CANARY}")
    _post(bailee, key, _body(), path=f"/{CANARY}")
    _post(bailee, CANARY, _body())
    with socket.create_connection(urlsplit(bailee.ready["gateway"]).netloc.split(":")) as client:
        head = (
            f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-length: 999\r\n"
        )
        client.sendall(head.encode() + b"\r\n" + CANARY.encode())

    assert [] == bailee.json("sessions", "list")
    assert CANARY not in json.dumps(bailee.json("audit", "list"))
    bailee.stop(signal.SIGKILL)  # which asserts that nothing was written to standard error
    assert [] == bailee.holds(CANARY.encode(), CANARY.encode().hex().encode())
    bailee.up("--upstream", upstream.url)
    assert [] == bailee.json("sessions", "list")


@pytest.mark.row("R2")
def test_the_same_canary_is_kept_encrypted_under_other_keys(
    served: Serve, upstream: ScriptedUpstream
) -> None:
    """The search above can fail: an ordinary key's session is there, readable by its owner."""
    bailee = served()
    upstream.then(Text("noted"))
    message(bailee.ready, CANARY)

    (session,) = bailee.sessions()

    assert CANARY in json.dumps(bailee.json("sessions", "show", session["id"]))
    assert [] == bailee.holds(CANARY.encode())


@pytest.mark.row("R2")
def test_a_crash_leaves_no_image_of_the_memory(served: Serve) -> None:
    """The server's limit on core files is nothing."""
    bailee = served()

    (limit,) = [
        line.split()
        for line in Path(f"/proc/{bailee.ready['pid']}/limits").read_text().splitlines()
        if "core" in line
    ]

    assert ["0", "0"] == limit[4:6]


def test_the_memory_is_not_for_dumping_or_other_processes() -> None:
    """The kernel's flag is cleared, too, for systems that pipe core dumps to a program."""
    script = (
        "import ctypes; from bailee.app.process import leave_no_core; leave_no_core();"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    assert b"0\n" == done.stdout


def test_zero_retention_is_refused_for_a_consumer_plan(bailee: Bailee) -> None:
    """With the reason; no key is made."""
    refused = bailee.run("key", "create", "--plan", "pro", "--zero-retention")

    assert 2 == refused.returncode
    assert "commercial" in refused.stderr
    assert [] == bailee.json("key", "list")


def test_an_unknown_key_learns_nothing(served: Serve) -> None:
    """The same answer for a malformed, an unknown and a missing key."""
    bailee = served()
    answers = set()
    for key in ("", "bl_", "bl_" + "0" * 10 + "_" + "0" * 48, "sk-ant-other"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            message(bailee.ready, "hello", key=key or " ")
        answers.add((refused.value.code, json.loads(refused.value.read())["error"]["message"]))

    assert 1 == len(answers)
    assert 401 == answers.pop()[0]

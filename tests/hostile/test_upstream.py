"""An upstream that fails or misleads: a question is asked once, and goes nowhere else."""

from __future__ import annotations

import contextlib
import http.client
import time

import pytest

from bailee.testing.upstream import Exactly, Reply, Text
from support.attacks.attacked import House

pytestmark = pytest.mark.row("G1")
BODY = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"medlar"}]}'


@pytest.mark.parametrize("after", [0.0, 2.0], ids=["at once", "after a while"])
def test_a_question_is_asked_once(house: House, after: float) -> None:
    """An upstream whose pooled connection dies after the whole request is not asked again."""
    assert 200 == house.post(BODY)[0]
    seen = len(house.upstream.requests)
    house.upstream.then(_Dies(after))
    status, _ = house.post(BODY)
    assert (seen + 1, 502) == (len(house.upstream.requests), status)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_prompt_is_not_redirected(house: House, status: int) -> None:
    """A client is never told to carry prompt and key to another host."""
    house.upstream.then(
        Exactly(Reply(status, (("location", "http://127.0.0.1:9/v1/messages"),), (b"",)))
    )
    host, port = house.address()
    connection = http.client.HTTPConnection(host, port, timeout=20)
    with contextlib.closing(connection):
        connection.request("POST", "/v1/messages", BODY, {"x-api-key": house.key})
        answer = connection.getresponse()
        assert (502, None) == (answer.status, answer.getheader("location"))


def test_a_slow_reader_gets_the_whole_answer(house: House) -> None:
    """What reads slowly on a connection that ends with the answer is not cut off, however long
    ago it asked.
    """
    text = "pear " * 1_000_000
    house.upstream.then(Text(text))
    sent = house.head(f"content-length: {len(BODY)}").replace(b"HTTP/1.1", b"HTTP/1.0", 1) + BODY
    # Little is taken at once, so that much waits in the server to the last.
    (reader,) = house.open(sent, window=16_384)
    time.sleep(5.5)  # longer than a connection is let linger
    got, came = bytearray(), b"-"
    while came:
        got += (came := reader.recv(65_536))  # a reset is a failure too
        time.sleep(0.02)
    house.let_go()
    assert got.endswith(b"}") and text.encode() in got


class _Dies:
    """A turn that ends its connection, some seconds after the request, without a word."""

    def __init__(self, after: float) -> None:
        self._after = after

    def reply(self, request: object) -> Reply:
        """See `Turn.reply`."""
        time.sleep(self._after)
        raise ConnectionResetError

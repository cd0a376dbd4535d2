"""What the gateway's own code takes of the processor for one exchange: no socket, no loop, no
kernel. One connection of a client's and one to an upstream, both played, in this process.

    python -m bench.dialogue

Reads a line with a load's name and a number, carries out so many exchanges, and answers with the
processor's time of one in microseconds. The first line that it writes says whether this is the
compiled build. `bench.compiled` asks two such processes in turns.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from bailee.compiled import is_compiled
from bailee.testing.played import KEY, PlayedGateway
from bailee.testing.recording import Done, MemoryRecording
from bailee.vault.exchange import CapturedExchange
from bench.gateway_ends import STREAM, Stub
from bench.loads import LOADS

_BODIES = {"small": LOADS[0].body, "50 deltas": LOADS[2].body, "120 KB": LOADS[5].body}
_TERMS = ("zero retention", "recorded")
TURNS = tuple((load, terms) for load in _BODIES for terms in _TERMS)
_DOCUMENT = (Stub.small,)
_EVENTS = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nrequest-id: req_1\r\n"
    b"transfer-encoding: chunked\r\n\r\n",
    *(b"%x\r\n%b\r\n" % (len(event), event.encode()) for event in STREAM),
    b"0\r\n\r\n",
)
_READ = 64 * 1024  # what one read of a socket gives at most


class _AtOnce(MemoryRecording):
    """As if durable at once."""

    def submit(self, exchange: CapturedExchange, done: Done) -> None:  # noqa: ARG002
        done(None)


def runner(load: str, terms: str) -> Callable[[], None]:
    """Carries out one exchange when it is called."""
    played = PlayedGateway(_AtOnce(), lambda _: None, kept=terms == "recorded")
    client, upstream = played.client, played.upstream
    asked, answer = _request(_BODIES[load]), _EVENTS if load == "50 deltas" else _DOCUMENT

    def run() -> None:
        for piece in asked:
            client.data_received(piece)
        for piece in answer:
            upstream.data_received(piece)
        played.loop.turn()
        played.down.written.clear()
        played.up.written.clear()

    run()
    assert played.gateway._pools["api"].idle == 1, "the exchange did not end"
    return run


def _request(body: str) -> Sequence[bytes]:
    whole = (
        f"POST /v1/messages?beta=true HTTP/1.1\r\nHost: 127.0.0.1\r\nx-api-key: {KEY}\r\n"
        "anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\n"
        "User-Agent: claude-cli/2.1.332 (external, cli)\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
    return [whole[at : at + _READ] for at in range(0, len(whole), _READ)]


def main() -> None:
    """Answers until its input ends."""
    runners = {" ".join(one): runner(*one) for one in TURNS}
    print("compiled" if is_compiled() else "python", flush=True)
    for line in sys.stdin:
        name, number = line.rsplit(maxsplit=1)
        run = runners[name]
        began = time.process_time()
        for _ in range(int(number)):
            run()
        print((time.process_time() - began) / int(number) * 1e6, flush=True)


if __name__ == "__main__":
    main()

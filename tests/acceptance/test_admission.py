"""Many connections to a server as it is started, with few descriptors to begin with."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bailee.testing.upstream import ScriptedUpstream, Text
from support.clients.programs import Bailee, message

Serve = Callable[..., Bailee]
FEW = 256


@contextlib.contextmanager
def few_descriptors() -> Iterator[int]:
    """Programs that are started now may have few; gives what they may have at most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, hard))
    try:
        yield hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.row("G1")
def test_half_open_heads_do_not_take_the_descriptors(
    served: Serve, upstream: ScriptedUpstream
) -> None:
    """The limit is raised at the start. A thousand heads that never end leave the process some, and
    who has a key is served beside them.
    """
    upstream.then(Text("Good day."))
    with few_descriptors() as most:
        bailee = served()
    folder = Path("/proc") / str(bailee.ready["pid"])
    line = next(x for x in (folder / "limits").read_text().splitlines() if "open files" in x)
    assert min(most, 65_536) == int(line.split()[3])

    at = urlsplit(bailee.ready["gateway"])
    with contextlib.ExitStack() as stack:
        for _ in range(1_000):
            half = stack.enter_context(socket.create_connection((at.hostname, at.port), 20))
            with contextlib.suppress(OSError):
                half.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nX-A: ")
        answer = message(bailee.ready, "Hello")
        assert "Good day." == answer["content"][0]["text"]
